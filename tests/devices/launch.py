"""Starts one real web interface as a device on a loopback port, in the foreground, and ends it whole.

    python3 tests/devices/launch.py NAME --port P --dir DIR

NAME is a function of interfaces.py, or `hostile`. When the interface answers, one line is printed:
`ready {"url": ...}`, with whatever else a test must know of it. SIGTERM, SIGINT or the end of the parent
end it and every process it started. All its state lies in DIR, each process's output in DIR/NAME.log.

What the interfaces are is in interfaces.py; what must be installed for them, in tests/setup/devices.sh.
"""

import argparse
import ctypes
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Python with what the interfaces import (JupyterLab, tornado), made by tests/setup/devices.sh.
PYTHON = ROOT / ".tools/devices/bin/python"
START_SECONDS_MAX = 60  # JupyterLab on a loaded two-core machine has been seen to need 12.
END_SECONDS_MAX = 3  # After that a process is killed: it is only a fixture.
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The interface cannot be started; the text says why, with the end of the log at fault."""


class Stage:
    """The port, the directory and the processes of one interface."""

    def __init__(self, port, directory):
        self.port = port
        self.dir = pathlib.Path(directory).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.processes = {}
        # Orphans of our children (a shell in a terminal) become ours, so that end() finds them.
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def path(self, name):
        return str(self.dir / name)

    def write(self, name, text):
        (self.dir / name).parent.mkdir(parents=True, exist_ok=True)
        (self.dir / name).write_text(text)
        return self.path(name)

    def log(self, name):
        return self.dir / f"{name}.log"

    def spawn(self, name, *argv, env=None, **options):
        """Starts a process that dies with this one; its output goes to its log."""
        with open(self.log(name), "wb") as log:
            options = {"stdout": log, "stderr": log} | options
            environment = {**os.environ, "HOME": str(self.dir), **(env or {})}
            try:
                process = subprocess.Popen(
                    [str(word) for word in argv],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    cwd=self.dir,
                    preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
                    **options,
                )
            except FileNotFoundError as error:
                raise Failed(f"{error.filename} is missing; tests/setup/devices.sh installs it") from error
        self.processes[name] = process
        return process

    def check(self):
        """Fails when a process has ended, with the end of its log."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = self.log(name).read_text(errors="replace")[-2000:]
                raise Failed(f"{name} ended with {process.returncode}:\n{log}")

    def until(self, what, condition):
        """Waits until `condition` is true, failing early when a process has ended."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"{what} did not come within {START_SECONDS_MAX} s")
            time.sleep(0.02)

    def until_listening(self, name):
        """Waits until the Unix socket DIR/name takes connections."""

        def listening():
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(self.path(name)) == 0

        self.until(f"the socket {name}", listening)

    def until_answering(self, url):
        """Waits until `url` gives any HTTP answer; certificates are the device's own and not checked."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

        def answering():
            try:
                opener.open(url, timeout=5).close()
            except urllib.error.HTTPError:
                return True
            except OSError:
                return False
            return True

        self.until(f"an answer of {url}", answering)

    def end(self):
        """Ends every process, last started first, and whatever they have left."""
        for process in reversed(self.processes.values()):
            process.terminate()
        deadline = time.monotonic() + END_SECONDS_MAX
        for process in self.processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        while left := children():
            for pid in left:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def children():
    """Process ids of our own children; adopted orphans are among them."""
    found = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in found.split()]


def free_port():
    """A port of 127.0.0.1 that was free just now, for helpers that know no Unix sockets."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def main():
    import interfaces

    arguments = argparse.ArgumentParser(description="Start one web interface as a device.")
    arguments.add_argument("name", choices=sorted(interfaces.ALL))
    arguments.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    arguments.add_argument("--dir", required=True, help="holds all state; made when missing")
    options = arguments.parse_args()

    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    for number in ends:
        signal.signal(number, lambda *_: sys.exit(0))
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    stage = Stage(options.port, options.dir)
    try:
        facts = {"url": f"http://127.0.0.1:{options.port}"} | (interfaces.ALL[options.name](stage) or {})
        stage.check()
        print("ready", json.dumps(facts), flush=True)
        while True:
            time.sleep(0.2)
            stage.check()
    except Failed as error:
        print(f"{options.name}: {error}", file=sys.stderr)
        return 1
    finally:
        # A second signal must not interrupt the ending.
        for number in ends:
            signal.signal(number, signal.SIG_IGN)
        stage.end()


if __name__ == "__main__":
    sys.exit(main())
