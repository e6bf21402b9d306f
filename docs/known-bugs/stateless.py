#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Enables memory decoding in the PCI command register of a device, as firmware does, migrates the
machine, which has never run, and reads the register again. No Godwit in here: two QEMUs, QMP, and
QEMU's qtest socket.

    stateless.py QEMU DEVICE[,PROPERTY=VALUE...]      for example: stateless.py qemu-system-x86_64 edu

Exit status: 0 the register survives, 1 it does not, 2 that could not be tried.
"""
import os
import socket
import sys
import tempfile
import time

from device import Machine
from qemu import program, version

SLOT = 9
COMMAND = 0x80000000 | SLOT << 11 | 4


class Ports:
    """The machine's ports, through the qtest socket."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)

    def connect(self):
        self.file = self.listener.accept()[0].makefile("rw")

    def ask(self, request):
        self.file.write(request + "\n")
        self.file.flush()
        answer = self.file.readline().split()
        if not answer or answer[0] != "OK":
            print(f"{request}: {answer}")
            sys.exit(2)
        return int(answer[1], 0) if len(answer) > 1 else None

    def command(self):
        self.ask(f"outl 0xcf8 {COMMAND:#x}")
        return self.ask("inw 0xcfc")


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    binary = program(sys.argv[1])
    print(version(binary))
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        arguments = ["-machine", "pc", "-device", sys.argv[2] + f",addr={SLOT}", "-qtest-log", "none"]
        ports = Ports("source.sock")
        source = Machine("source", binary, [*arguments, "-qtest", "unix:source.sock"])
        ports.connect()
        before = ports.command()
        ports.ask("outw 0xcfc 2")
        written = ports.command()
        print(f"source: command register {before:#06x}, after a write of 0x0002 {written:#06x}")
        if before == written:
            sys.exit(2)
        if source.migrate("migrate", "exec:cat >part && mv part stream") != "completed":
            sys.exit(2)
        while not os.path.exists("stream"):
            time.sleep(0.01)
        ports = Ports("destination.sock")
        destination = Machine("destination", binary,
                              [*arguments, "-qtest", "unix:destination.sock", "-incoming", "defer"])
        ports.connect()
        if destination.migrate("migrate-incoming", "exec:cat stream") != "completed":
            sys.exit(2)
        after = ports.command()
        print(f"destination: command register {after:#06x}")
        source.end()
        destination.end()
        os.chdir("/")
        sys.exit(after != written)


if __name__ == "__main__":
    main()
