#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The destination of a postcopy migration may die if it is paused at the moment at which it sees that
the connection is lost. No Godwit in here: two QEMUs, a boot sector, and QMP.

    pause-crash.py [QEMU] [TIMES] [preempt]       default: qemu-system-x86_64 100

The program ends with the first destination that dies.
Exit status: 0 no destination dies, 1 one does, 2 that could not be tried.
"""
import sys

from qemu import postcopy, until_it_dies


def pause(binary, console, capabilities):
    """What becomes of the destination, as words."""
    with postcopy(binary, console, *capabilities) as (source, destination):
        source.send("migrate-pause")
        destination.send("migrate-pause")
        while line := destination.process.stdout.readline():
            if '"id"' in line:
                return "refuses" if '"error"' in line else "pauses"
        return f"killed by signal {-destination.process.wait()}"


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    capabilities = [f"postcopy-{word}" for word in sys.argv[3:]]
    return until_it_dies(binary, times, "destinations",
                         lambda console, _: pause(binary, console, capabilities))


sys.exit(main())
