#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Saves a machine that has never run with one QEMU, and loads it into another one. No Godwit in here.

    across.py SOURCE DESTINATION ARGUMENT...
    for example: across.py /usr/bin/qemu-system-ppc64 build/qemu-system-ppc64 -machine pseries-7.2

Exit status: 0 it loads, 1 it does not, or a QEMU dies, 2 that could not be tried.
"""
import os
import sys
import tempfile
import time

from device import Machine
from qemu import program, version


def main():
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    binaries = [program(name) for name in sys.argv[1:3]]
    for binary in binaries:
        print(version(binary))
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        source = Machine("source", binaries[0], sys.argv[3:])
        # QEMU reports completion before the command has ended.
        if source.migrate("migrate", "exec:cat >part && mv part stream") == "completed":
            while not os.path.exists("stream"):
                time.sleep(0.01)
        died = source.end()
        if not died:
            destination = Machine("destination", binaries[1], [*sys.argv[3:], "-incoming", "defer"])
            state = destination.migrate("migrate-incoming", "exec:cat stream")
            print(f"destination: {state}")
            died = destination.end() or state != "completed"
            destination.errors.seek(0)
            for line in destination.errors.read().splitlines()[-4:-1]:
                print(f"  {line}")
        os.chdir("/")
    sys.exit(1 if died else 0)


if __name__ == "__main__":
    main()
