#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QEMU's TCG can lose a guest's write while it takes the dirty bitmap of a live migration. Nothing of
Godwit in here but the guest: two QEMUs, QMP.

    tcg-dirty-race.py IMAGE [QEMU [COUNT]]        default: qemu-system-x86_64, 500 times

IMAGE is a guest that Godwit has made for x86_64, as it leaves one behind:

    godwit migrate --arch x86_64 --accel tcg --stopped --window 0x100000:0x900000 --keep -o OUT
    IMAGE=OUT/0001-x86_64-migrate/work/source.image

It adds one to the first byte of each page from 1 MiB up to 9 MiB, over and over, and writes to its serial
port between passes. It is migrated live; the destination (-S) does not run it. Both sides stand
still then, and those pages are compared. A CPU that is preempted between marking a page and writing
to it is what it takes: everything here runs on one processor of the host, the guest's CPU last.
For QEMUs from 9.0 on: earlier ones lose more, see tcg-hot-page.sh.
Exit status: 0 both sides were always equal, 1 they were not, 2 that could not be tried.
"""
import os
import sys

from qemu import END, PAGE, START, Qemu, folder, memory, version

PAGES = (END - START) // PAGE


def migrate(image, binary, console):
    """The bytes of both sides."""
    machine = "-machine", "q35,accel=tcg", "-m", "24", "-bios", image
    source = Qemu(binary, *machine, "-serial", "file:console")
    destination = Qemu(binary, *machine, "-serial", "null", "-S", "-incoming",
                       "unix:migrate.sock")
    try:
        while os.read(console, 1) != b"B":
            pass
        for cpu in source.tell("query-cpus-fast"):
            os.setpriority(os.PRIO_PROCESS, cpu["thread-id"], 19)
        # So slowly that the first pass takes longer than the 0.1 s after which QEMU first works out
        # whether to go on.
        source.set(max_bandwidth=(END - START) * 5, downtime_limit=1)
        source.tell("migrate", uri="unix:migrate.sock")
        source.await_event("MIGRATION_PASS", **{"pass": 2})
        source.set(max_bandwidth=1 << 40, downtime_limit=10000)
        source.await_event("MIGRATION", status="completed")
        destination.await_event("MIGRATION", status="completed")
        return memory(source, "source.memory", PAGES), memory(destination, "destination.memory", PAGES)
    finally:
        source.end()
        destination.end()


def main():
    if len(sys.argv) < 2:
        print("usage: tcg-dirty-race.py IMAGE [QEMU [COUNT]]", file=sys.stderr)
        return 2
    image = os.path.abspath(sys.argv[1])
    binary = sys.argv[2] if len(sys.argv) > 2 else "qemu-system-x86_64"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 500
    print(version(binary), flush=True)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    wrong = 0
    with folder() as console:
        for i in range(count):
            here, there = migrate(image, binary, console)
            pages = [page for page in range(len(here)) if here[page] != there[page]]
            wrong += bool(pages)
            for page in pages:
                print(f"migration {i}: at {START + page * PAGE:#x} the source has "
                      f"{here[page]:#04x}, the destination {there[page]:#04x}", flush=True)
    print(f"memory differs after {wrong} of {count} migrations")
    return 1 if wrong else 0


sys.exit(main())
