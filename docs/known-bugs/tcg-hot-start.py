#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QEMU under TCG can leave pages behind in a migration that is over, or switched to postcopy, soon after it
began. Nothing of Godwit in here: two QEMUs, QMP, a guest of 64 bytes.

    tcg-hot-start.py [QEMU [COUNT]]        default: qemu-system-x86_64, 40 times each

The guest adds one to the first byte of each of 8 pages, over and over. It is migrated: all at once,
or so slowly that most of its memory is still to be sent, but not those pages, when it is switched
to postcopy. The destination (-S) does not run it: when both say that the migration is completed,
its memory should be the source's, and is compared with it.
Exit status: 0 both sides were always equal, 1 they were not, 2 that could not be tried.
"""
import sys

from qemu import PAGE, START, Qemu, folder, memory, rom, version

PAGES = 8
# Enough for an empty guest, all of whose other pages are zero; and in the 0.1 s until QEMU looks up
# from sending a part of it, which the guest's pages are in.
FAST, SLOW = 1 << 30, 600_000


def migrate(binary, postcopy):
    """The bytes of both sides."""
    machine = "-machine", "pc,accel=tcg", "-m", "64", "-bios", "rom"
    source = Qemu(binary, *machine, "-debugcon", "file:console")
    destination = Qemu(binary, *machine, "-S", "-incoming", "defer")
    try:
        with open("console", "rb", buffering=0) as console:
            console.read(1)
        for side in source, destination:
            side.enable("postcopy-ram")
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        source.set(max_bandwidth=SLOW if postcopy else FAST, downtime_limit=1)
        source.tell("migrate", uri="unix:migrate.sock")
        source.await_event("MIGRATION", status="active")
        if postcopy:
            source.tell("migrate-start-postcopy")
        source.await_event("MIGRATION", status="completed")
        destination.await_event("MIGRATION", status="completed")
        return memory(source, "source.memory", PAGES), memory(destination, "destination.memory", PAGES)
    finally:
        source.end()
        destination.end()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    print(version(binary), flush=True)
    wrong = {"precopy": 0, "postcopy": 0}
    with folder():
        with open("rom", "wb") as file:
            file.write(rom(PAGES))
        for i in range(count):
            for how in wrong:
                here, there = migrate(binary, how == "postcopy")
                pages = [page for page in range(PAGES) if here[page] != there[page]]
                if pages and not wrong[how]:
                    print(f"{how} {i}: {len(pages)} of {PAGES} pages differ, the first at "
                          f"{START + pages[0] * PAGE:#x}: {here[pages[0]]:#04x} on the source, "
                          f"{there[pages[0]]:#04x} on the destination", flush=True)
                wrong[how] += bool(pages)
    for how, times in wrong.items():
        print(f"{how}: memory differs after {times} of {count} migrations")
    return 1 if any(wrong.values()) else 0


sys.exit(main())
