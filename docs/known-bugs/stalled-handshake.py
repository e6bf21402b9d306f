#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A destination that accepts the connection of an encrypted migration and says nothing stops the
source's monitor. No Godwit in here: a QEMU, QMP, and a socket.

    stalled-handshake.py [QEMU]        default: qemu-system-x86_64

Exit status: 0 the source answers query-migrate, 1 it does not, 2 that could not be tried.
"""
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time

SECONDS = 10


class Monitor:
    def __init__(self, stream):
        self.stream, self.rest = stream, b""

    def line(self, seconds):
        """The next line, None if there is none in time."""
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            if not select.select([self.stream], [], [], max(0, end - time.monotonic()))[0]:
                return None
            self.rest += os.read(self.stream.fileno(), 1 << 16)
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def send(self, command, **arguments):
        self.stream.sendall((json.dumps({"execute": command, "arguments": arguments}) + "\n").encode())

    def answer(self, seconds=SECONDS):
        """The next answer, None if there is none in time. Events come between."""
        line = {}
        while line is not None and "return" not in line and "error" not in line:
            line = self.line(seconds)
        return line


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.splitlines()[0])
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/keys.psk", "w") as keys:
            keys.write("qemu:" + "5a" * 32 + "\n")
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        here, there = socket.socketpair()
        source = subprocess.Popen(
            [binary, "-nodefaults", "-display", "none", "-machine", "pc,accel=tcg", "-S",
             "-chardev", f"socket,id=monitor,fd={there.fileno()}", "-qmp", "chardev:monitor",
             "-object", f"tls-creds-psk,id=tls,dir={folder},endpoint=client,username=qemu"],
            pass_fds=[there.fileno()])
        try:
            monitor = Monitor(here)
            if monitor.line(SECONDS) is None:
                return 2
            for command, arguments in (("qmp_capabilities", {}),
                                       ("migrate-set-parameters", {"tls-creds": "tls"}),
                                       ("migrate", {"uri": "tcp:127.0.0.1:%d" % listener.getsockname()[1]})):
                monitor.send(command, **arguments)
                if "return" not in (monitor.answer() or {}):
                    return 2
            peer, _ = listener.accept()
            # It has sent its part of the handshake.
            select.select([peer], [], [], SECONDS)
            monitor.send("query-migrate")
            if monitor.answer():
                print("query-migrate is answered")
                return 0
            print(f"query-migrate is not answered in {SECONDS} s")
            peer.close()
            late = monitor.answer() or {}
            print("after the peer has closed the connection: " + late.get("return", {}).get("status", "nothing"))
            return 1
        finally:
            source.kill()
            source.wait()


sys.exit(main())
