#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A live migration under TCG of a guest whose RAM is not the first of QEMU's RAM blocks. Nothing of
Godwit in here: two QEMUs, QMP, a guest of 64 bytes.

    tcg-block-offset.py [QEMU [DIMM]]       default: qemu-system-x86_64, a DIMM of 64 MiB

Both sides have 64 MiB of RAM and a DIMM, whose memory QEMU allocates first. The guest adds one to the
first byte of each of 8 pages, over and over, and does not use the DIMM. It is migrated live; the
destination (-S) does not run it. Then its memory should be the source's, and is compared with it.
With DIMM 0 there is no DIMM.
Exit status: 0 both sides are equal, 1 they are not or the source has ended, 2 that could not be tried.
"""
import sys

from qemu import Qemu, folder, memory, rom, version

PAGES, RAM = 8, 64


def completes(source):
    """Whether the source's migration completes. If not, its QEMU has ended."""
    while True:
        line = source.process.stdout.readline()
        if not line:
            return False
        if '"MIGRATION"' in line and '"completed"' in line:
            return True


def migrate(binary, dimm):
    """The bytes of both sides, or None if the source has ended."""
    machine = ["-machine", "pc,accel=tcg", "-bios", "rom", "-m", f"{RAM},slots=1,maxmem=1G"]
    if dimm:
        machine += ["-object", f"memory-backend-ram,id=memory,size={dimm}M",
                    "-device", "pc-dimm,memdev=memory"]
    source = Qemu(binary, *machine, "-debugcon", "file:console")
    destination = Qemu(binary, *machine, "-S", "-incoming", "defer")
    with open("console", "rb", buffering=0) as console:
        console.read(1)
    destination.tell("migrate-incoming", uri="unix:migrate.sock")
    # So slowly that the guest writes to its pages again once they were sent.
    source.set(max_bandwidth=200_000, downtime_limit=1)
    source.tell("migrate", uri="unix:migrate.sock")
    source.await_event("MIGRATION", status="active")
    if not completes(source):
        print(f"the source has ended with status {source.process.wait()}")
        return None
    destination.await_event("MIGRATION", status="completed")
    return memory(source, "source.memory", PAGES), memory(destination, "destination.memory", PAGES)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    dimm = int(sys.argv[2]) if len(sys.argv) > 2 else RAM
    print(version(binary), flush=True)
    with folder():
        with open("rom", "wb") as file:
            file.write(rom(PAGES))
        both = migrate(binary, dimm)
    if not both:
        return 1
    here, there = both
    pages = sum(here[page] != there[page] for page in range(PAGES))
    print(f"{pages} of {PAGES} pages differ", *(
        [f"the first byte of the first one: {here[0]:#04x} on the source, {there[0]:#04x} on the "
         "destination"] if pages else []), sep=", ")
    return 1 if pages else 0


sys.exit(main())
