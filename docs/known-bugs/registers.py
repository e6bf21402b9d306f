#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes to registers of a machine that has never run, as firmware or a driver would, migrates it,
and reads a register on both sides. No Godwit in here: two QEMUs, QMP, and QEMU's qtest socket.

    registers.py QEMU WRITES READ ARGUMENT...

WRITES and READ are requests of qtest, separated by semicolons, and READ ends with the one whose
answer counts. For example, the PCI command register of the device at address 9 of a PC:

    registers.py qemu-system-x86_64 "outl 0xcf8 0x80004804; outw 0xcfc 2" \\
        "outl 0xcf8 0x80004804; inw 0xcfc" -machine pc -device edu,addr=9

Exit status: 0 the register survives, 1 it does not or cannot be loaded, 2 that could not be tried.
"""
import os
import socket
import sys
import tempfile
import time

from device import Machine
from qemu import program, version


class Hand:
    """Accesses to a machine, through the qtest socket."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)

    def connect(self):
        self.file = self.listener.accept()[0].makefile("rw")

    def ask(self, requests):
        """Makes the requests and returns the answer to the last one, as a number."""
        for request in requests.split(";"):
            self.file.write(request.strip() + "\n")
            self.file.flush()
            answer = self.file.readline().split()
            if not answer or answer[0] != "OK":
                print(f"{request}: {answer}")
                sys.exit(2)
        return int(answer[1], 0) if len(answer) > 1 else None


def main():
    if len(sys.argv) < 5:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    binary, writes, read, arguments = program(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    arguments += ["-qtest-log", "none", "-qtest"]
    print(version(binary))
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        hand = Hand("source.sock")
        source = Machine("source", binary, [*arguments, "unix:source.sock"])
        hand.connect()
        before = hand.ask(read)
        hand.ask(writes)
        written = hand.ask(read)
        print(f"source: {before:#x}, after the writes {written:#x}")
        if source.migrate("migrate", "exec:cat >part && mv part stream") != "completed":
            sys.exit(2)
        while not os.path.exists("stream"):
            time.sleep(0.01)
        hand = Hand("destination.sock")
        destination = Machine("destination", binary,
                              [*arguments, "unix:destination.sock", "-incoming", "defer"])
        hand.connect()
        loaded = destination.migrate("migrate-incoming", "exec:cat stream") == "completed"
        after = hand.ask(read) if loaded else None
        print(f"destination: {after:#x}" if loaded else "destination: it does not load that")
        source.end()
        if loaded:
            destination.end()
        os.chdir("/")
        sys.exit(2 if before == written == after else after != written)


if __name__ == "__main__":
    main()
