#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Saves a machine that has never run, loads it into another QEMU, which saves it again, and counts the
bytes of the devices' states that differ between the two files. No Godwit in here. The machine's clock
stands still.

    again.py QEMU ARGUMENT...        for example: again.py qemu-system-ppc64 -machine mac99

Exit status: 0 the states are equal, 1 they differ, 2 that could not be tried.
"""
import os
import sys
import tempfile
import time

from device import Machine
from qemu import program, version


def save(machine, name):
    """Saves into a file of that name, and returns its content. QEMU reports completion early."""
    if machine.migrate("migrate", f"exec:cat >part && mv part {name}") != "completed":
        machine.end()
        sys.exit(2)
    while not os.path.exists(name):
        time.sleep(0.01)
    with open(name, "rb") as file:
        return file.read()


def states(stream):
    """What follows RAM: the first state is that of the timer."""
    at = stream.rfind(b"\x05timer\0\0\0\0")
    if at < 0:
        print("no state of a timer in the stream", file=sys.stderr)
        sys.exit(2)
    return stream[at:]


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    binary = program(sys.argv[1])
    arguments = [*sys.argv[2:], "-rtc", "base=2026-01-01,clock=vm"]
    print(version(binary))
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        source = Machine("source", binary, arguments)
        before = states(save(source, "before"))
        source.end()
        destination = Machine("destination", binary, [*arguments, "-incoming", "defer"])
        destination.migrate("migrate-incoming", "exec:cat before")
        after = states(save(destination, "after"))
        destination.end()
        os.chdir("/")
    if len(before) != len(after):
        print(f"{len(before)} bytes before, {len(after)} after")
        sys.exit(1)
    differ = [i for i in range(len(before)) if before[i] != after[i]]
    print(f"{len(differ)} of {len(before)} bytes differ")
    for i in differ[:4]:
        print(f"byte {i:#x}: {before[i]:#04x} -> {after[i]:#04x}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
