#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QEMU 7.2 lets a paused guest run when it makes a background snapshot of it, and leaves a guest standing
whose background snapshot is cancelled. Nothing of Godwit in here: a QEMU, QMP, a guest of 64 bytes.

    background-snapshot.py [QEMU [COUNT]]        default: qemu-system-x86_64, 5 times

The guest adds one to the first byte of each of 2048 pages, over and over. First it is stopped, and
a background snapshot is made: it should still be stopped. Then, COUNT times, one of a guest that
runs is begun so slowly that it does not end, and cancelled: the guest should run on.
Exit status: 0 both was so, 1 not, 2 that could not be tried (it takes userfaultfd, as root).
"""
import sys
import time

from qemu import END, GUEST, PAGE, START, Qemu, folder, version

# A guest that runs changes its memory at once.
PATIENCE = 5


def rom():
    """The boot sector as the BIOS's last 64 KiB, with its table where the ROM is below 1 MiB, and a jump
    to it where a CPU begins."""
    guest = GUEST.replace((0x7c3a).to_bytes(4, "little"), (0xf7c3a).to_bytes(4, "little"))
    return (bytes(0x7c00) + guest).ljust(0xfff0, b"\0") + b"\xe9\x0d\x7c".ljust(16, b"\0")


def memory(side):
    """The first bytes of the guest's pages."""
    side.tell("pmemsave", val=START, size=END - START, filename="memory")
    with open("memory", "rb") as file:
        return file.read()[::PAGE]


def moves(side):
    """Whether the guest changes its memory in time."""
    before, end = memory(side), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if memory(side) != before:
            return True
        time.sleep(0.05)
    return False


def start(binary):
    side = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "64", "-bios", "rom",
                "-debugcon", "file:console")
    with open("console", "rb", buffering=0) as console:
        console.read(1)
    side.enable("background-snapshot")
    return side


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(version(binary), flush=True)
    with folder():
        with open("rom", "wb") as file:
            file.write(rom())

        side = start(binary)
        side.tell("stop")
        side.tell("migrate", uri="exec:cat >snapshot")
        side.await_event("MIGRATION", status="completed")
        status = side.tell("query-status")["status"]
        print(f"a stopped guest is {status} after its background snapshot", flush=True)
        side.end()

        stood = 0
        for _ in range(count):
            side = start(binary)
            side.set(max_bandwidth=1 << 20)
            side.tell("migrate", uri="exec:cat >snapshot")
            side.await_event("MIGRATION", status="active")
            while not side.tell("query-migrate")["ram"]["normal"]:
                pass
            side.tell("migrate_cancel")
            side.await_event("MIGRATION", status="cancelled")
            stood += not moves(side)
            side.end()
    print(f"the guest stood still after {stood} of {count} that were cancelled")
    return 0 if status == "paused" and not stood else 1


sys.exit(main())
