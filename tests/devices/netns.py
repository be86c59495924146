"""A network namespace whose only way out is one port: the platform's.

    netns.py hold --port P     makes one and prints `ready {"enter": [...]}`, the words that before a command
                               run it inside; it lasts as long as this process
    netns.py reach PORT...     run inside: says as JSON which interfaces are there and which ports answer

The namespace has a loopback interface and nothing else. 127.0.0.1:P inside is a listener whose socket was
handed out to the process outside, which relays each connection to 127.0.0.1:P there. There are no veth
pairs, routes or firewall rules to get wrong or to leave behind: the namespace goes with its last process.
Whoever is not root needs a kernel that lets users make user namespaces.
"""

import argparse
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
PIECE_BYTES = 256 * 1024
LIBC = ctypes.CDLL(None, use_errno=True)


def inside(port, outside):
    """The process inside: makes the namespace, hands out its listener, and waits for its end."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    user, group = os.getuid(), os.getgid()
    if LIBC.unshare(CLONE_NEWNET | (CLONE_NEWUSER if user else 0)):
        sys.exit(f"no network namespace without root here: {os.strerror(ctypes.get_errno())}")
    if user:
        for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(line)
    with socket.socket() as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(probe, SIOCGIFFLAGS, request))
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    with socket.create_server(("127.0.0.1", port), backlog=512) as listener:
        socket.send_fds(outside, [b"x"], [listener.fileno()])
    # The one end of this pair that is read closes when the process outside ends.
    outside.recv(1)


def relay(source, sink):
    """Copies one direction and keeps its half-close; a reset on either side ends both."""
    try:
        while piece := source.recv(PIECE_BYTES):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It was closed already.


def connect(port, accepted):
    """Carries one connection out; when the port outside refuses, the one inside is closed."""
    with accepted:
        try:
            platform = socket.create_connection(("127.0.0.1", port))
        except OSError:
            return
        with platform:
            for end in (accepted, platform):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up = threading.Thread(target=relay, args=(accepted, platform), daemon=True)
            up.start()
            relay(platform, accepted)
            up.join()


def hold(port):
    """Makes the namespace and relays until this process ends."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        inside(port, theirs)
        os._exit(0)
    theirs.close()
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    if not descriptors:
        return 1
    listener = socket.socket(fileno=descriptors[0])
    enter = ["nsenter", f"--target={pid}", "--net"] + (["--user", "--preserve-credentials"] if os.getuid() else [])
    print("ready", json.dumps({"enter": enter}), flush=True)
    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=connect, args=(port, accepted), daemon=True).start()


def reach(ports):
    """Which interfaces are there, and which ports of 127.0.0.1 take a connection."""

    def answers(port):
        with socket.socket() as probe:
            probe.settimeout(5)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    interfaces = [name for _, name in socket.if_nameindex()]
    print(json.dumps({"interfaces": interfaces, "reached": [port for port in ports if answers(port)]}))
    return 0


def main():
    arguments = argparse.ArgumentParser(description="A network namespace with one way out.")
    commands = arguments.add_subparsers(dest="command", required=True)
    commands.add_parser("hold").add_argument("--port", type=int, required=True)
    commands.add_parser("reach").add_argument("ports", type=int, nargs="+")
    options = arguments.parse_args()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    return hold(options.port) if options.command == "hold" else reach(options.ports)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
