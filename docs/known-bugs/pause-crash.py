#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The destination of a postcopy migration may die if it is paused at the moment at which it sees that
the connection is lost. No Godwit in here: two QEMUs, a boot sector, and QMP.

    pause-crash.py [QEMU] [TIMES] [preempt]       default: qemu-system-x86_64 100

The program ends with the first destination that dies.
Exit status: 0 no destination dies, 1 one does, 2 that could not be tried.
"""
import os
import signal
import sys

from qemu import END, START, Qemu, folder, version


def pause(binary, console, capabilities):
    """What becomes of the destination, as words."""
    machine = ("-machine", "pc,accel=tcg", "-m", "24", "-snapshot", "-drive",
               "file=disk,format=raw,if=ide", "-debugcon", "file:console")
    destination = Qemu(binary, *machine, "-incoming", "defer")
    source = Qemu(binary, *machine)
    try:
        os.read(console, 1)
        for side in destination, source:
            side.enable(*capabilities)
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        source.set(max_bandwidth=(END - START) // 8, max_postcopy_bandwidth=4096)
        source.tell("migrate", uri="unix:migrate.sock")
        source.await_event("MIGRATION_PASS")
        source.tell("migrate-start-postcopy")
        destination.await_event("RESUME")
        source.await_event("MIGRATION", status="postcopy-active")
        source.send("migrate-pause")
        destination.send("migrate-pause")
        while line := destination.process.stdout.readline():
            if '"id"' in line:
                return "refuses" if '"error"' in line else "pauses"
        return f"killed by signal {-destination.process.wait()}"
    finally:
        source.end()
        destination.end()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    capabilities = ["postcopy-ram"] + [f"postcopy-{word}" for word in sys.argv[3:]]
    crash = f"killed by signal {int(signal.SIGSEGV)}"
    outcomes = []
    print(version(binary))
    with folder() as console:
        while len(outcomes) < times and crash not in outcomes:
            outcomes.append(pause(binary, console, capabilities))
    for state in sorted(set(outcomes)):
        print(f"{outcomes.count(state)} of {len(outcomes)} destinations: {state}")
    return 1 if crash in outcomes else 0


sys.exit(main())
