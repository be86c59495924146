"""What the VNC device shows: a line that moves ten times a second, and a ground that changes with each key.

Run in a terminal. The keys r, g and b make the screen red, green and blue; every key goes to the file named
by the argument. It owns no window: the terminal around it draws.
"""

import os
import select
import sys
import termios
import tty

GROUNDS = {b"r": "#c00000", b"g": "#00a000", b"b": "#0000c0"}
PERIOD_SECONDS = 0.1


def main():
    keyboard = sys.stdin.fileno()
    saved = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    try:
        with open(sys.argv[1], "wb", buffering=0) as typed:
            step = 0
            while True:
                ready, _, _ = select.select([keyboard], [], [], PERIOD_SECONDS)
                if ready:
                    key = os.read(keyboard, 64)
                    if not key:
                        return
                    typed.write(key)
                    if ground := GROUNDS.get(key[-1:].lower()):
                        print(f"\x1b]11;{ground}\x07", end="")
                step += 1
                # Two thirds of the screen stay ground; the moving block keeps its rows.
                print("\x1b[3;1H\x1b[2K" + " " * (step % 70) + "\x1b[7m        \x1b[0m", end="")
                print(f"\x1b[5;3Hframe {step:6}\x1b[7;3H", end="", flush=True)
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, saved)


if __name__ == "__main__":
    main()
