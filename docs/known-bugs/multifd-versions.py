#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two ways in which a multifd migration does not come to its end: one that goes on as postcopy, to
QEMU 7.2 from 11.1, and one that is cancelled, from 7.2 and 10.0. No Godwit in here: a boot sector,
two QEMUs, QMP.

    multifd-versions.py WHAT SOURCE DESTINATION [MACHINE]

WHAT is "postcopy", with which the migration goes on when it has begun its second pass, or "cancel".
SOURCE and DESTINATION are QEMU binaries for x86_64; MACHINE is pc-i440fx-7.2 if it is not given.
Exit status: 0 the migration ended, 1 it did not in 20 s, 2 that could not be tried.
"""
import os
import sys
import time

from qemu import END, START, Qemu, folder, version

SECONDS = 20
ENDS = "completed", "failed", "cancelled"


def migrate(what, first, second, machine, console):
    machine = ("-machine", f"{machine},accel=tcg", "-m", "24", "-snapshot",
               "-drive", "file=disk,format=raw,if=ide")
    source = Qemu(first, *machine, "-debugcon", "file:console")
    destination = Qemu(second, *machine, "-incoming", "defer")
    try:
        os.read(console, 1)
        for side in source, destination:
            side.enable("multifd", *(["postcopy-ram"] if what == "postcopy" else []))
            side.set(multifd_channels=16)
        destination.tell("migrate-incoming", uri="tcp:127.0.0.1:0")
        port = destination.tell("query-migrate")["socket-address"][0]["port"]
        source.set(max_bandwidth=(END - START) * 5, downtime_limit=1)
        source.tell("migrate", uri=f"tcp:127.0.0.1:{port}")
        source.await_event("MIGRATION_PASS", **{"pass": 2})
        source.tell("migrate-start-postcopy" if what == "postcopy" else "migrate_cancel")
        deadline = time.monotonic() + SECONDS
        while source.state() not in ENDS and time.monotonic() < deadline:
            time.sleep(0.1)
        state = source.state()
        print(f"the source is {state}" + ("" if state in ENDS else f" after {SECONDS} s"))
        return 0 if state in ENDS else 1
    finally:
        source.end()
        destination.end()


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[1] not in ("postcopy", "cancel"):
        print("usage: multifd-versions.py postcopy|cancel SOURCE DESTINATION [MACHINE]",
              file=sys.stderr)
        return 2
    what, source, destination = sys.argv[1:4]
    machine = sys.argv[4] if len(sys.argv) == 5 else "pc-i440fx-7.2"
    print(f"{what}, from {version(source)}\nto {version(destination)}")
    with folder() as console:
        return migrate(what, source, destination, machine, console)


sys.exit(main())
