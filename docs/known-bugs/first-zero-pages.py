#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A page that is zero when a migration sends it first, where the destination has something else. Nothing
of Godwit in here: two QEMUs, QMP and qtest, no guest.

    first-zero-pages.py [QEMU [CAPABILITY]]           default: qemu-system-ppc64, multifd

A pseries writes a device tree into RAM when it is reset, on the destination of a migration as well. The
source's is overwritten with zeros, as a guest may do, and both are paused when RAM is migrated. With
CAPABILITY mapped-ram it goes through a file. CAPABILITY can be "none".
Exit status: 0 the destination has zeros there, 1 it has not, 2 that could not be tried.
"""
import socket
import sys

from qemu import Qemu, folder, version

DEVICE_TREE = 0xfe00000     # with 256 MiB of RAM
MACHINE = "pseries,accel=tcg,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"


class Side(Qemu):
    """A paused machine, with qtest."""

    def __init__(self, binary, name, *arguments):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
            listener.listen()
            super().__init__(binary, "-S", "-m", "256", "-machine", MACHINE, "-qtest", f"unix:{name}",
                             "-qtest-log", "/dev/null", *arguments)
            self.hand = listener.accept()[0].makefile("rw")

    def access(self, line):
        """The answer to a line of qtest, without the OK before it."""
        self.hand.write(line + "\n")
        self.hand.flush()
        return self.hand.readline().removeprefix("OK").strip()

    def first_word(self):
        return int(self.access(f"readl {DEVICE_TREE:#x}"), 16)

    def await_end(self):
        self.await_event("MIGRATION", status="completed")


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-ppc64"
    capability = sys.argv[2] if len(sys.argv) > 2 else "multifd"
    print(version(binary), flush=True)
    with folder():
        source = Side(binary, "source")
        destination = Side(binary, "destination", "-incoming", "defer")
        if not destination.first_word():
            print("no device tree where one was expected", file=sys.stderr)
            return 2
        source.access(f"memset {DEVICE_TREE:#x} 0x4000 0")
        for side in source, destination:
            if capability != "none":
                side.enable(capability)
        uri = "file:stream" if capability == "mapped-ram" else "unix:migrate.sock"
        steps = [(destination, "migrate-incoming"), (source, "migrate")]
        if capability == "mapped-ram":
            steps.reverse()
        for side, command in steps:
            side.tell(command, uri=uri)
            if capability == "mapped-ram":
                side.await_end()
        if capability != "mapped-ram":
            source.await_end()
            destination.await_end()
        here, there = source.first_word(), destination.first_word()
        source.end()
        destination.end()
    print(f"first word of a page: {here:#x} on the source, {there:#x} on the destination")
    return 1 if here != there else 0


sys.exit(main())
