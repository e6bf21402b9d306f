#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A guest that is stopped while its migration is in pre-switchover runs after the migration. No
Godwit in here: two QEMUs, a boot sector, and QMP.

    stop-lost.py [QEMU]        default: qemu-system-x86_64

The same `stop` before pre-switchover is tried as well: that guest must arrive stopped.
Exit status: 0 the guest is stopped, 1 it runs, 2 that could not be tried.
"""
import os
import sys

from qemu import END, START, Qemu, folder, version


def arrival(binary, console, early):
    """The guest's run state on the destination, after a `stop` before pre-switchover (EARLY) or
    in it."""
    machine = ("-machine", "pc,accel=tcg", "-m", "24", "-snapshot", "-drive",
               "file=disk,format=raw,if=ide", "-debugcon", "file:console")
    destination = Qemu(binary, *machine, "-incoming", "defer")
    source = Qemu(binary, *machine)
    try:
        os.read(console, 1)
        for side in destination, source:
            side.enable("pause-before-switchover")
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        if early:
            source.tell("stop")
        source.set(max_bandwidth=(END - START) * 5, downtime_limit=10000)
        source.tell("migrate", uri="unix:migrate.sock")
        source.await_event("MIGRATION", status="pre-switchover")
        if not early:
            source.tell("stop")
        source.tell("migrate-continue", state="pre-switchover")
        destination.await_event("MIGRATION", status="completed")
        return destination.tell("query-status")["status"]
    finally:
        source.end()
        destination.end()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary))
    with folder() as console:
        before, during = (arrival(binary, console, early) for early in (True, False))
    print(f"stopped before pre-switchover, the guest is {before} on the destination")
    print(f"stopped in pre-switchover, the guest is {during} on the destination")
    if before != "paused":
        return 2
    return 0 if during == "paused" else 1


sys.exit(main())
