#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A riscv64 virt machine that loads a snapshot in the QEMU that has saved it, finds another time in its
timer. Nothing of Godwit in here: a QEMU, QMP, no guest.

    riscv-loadvm-time.py [QEMU]        default: qemu-system-riscv64

The machine is stopped, its timer read, and a snapshot saved. It runs on for a moment, is stopped, and
loads the snapshot: the timer should read as it did.
Exit status: 0 it did, 1 it did not, 2 that could not be tried.
"""
import sys
import time

from qemu import Qemu, folder, version

MTIME = 0x200bff8


def monitor(side, line):
    return side.tell("human-monitor-command", **{"command-line": line})


def mtime(side):
    return int(monitor(side, f"xp /1gx {MTIME:#x}").split()[1], 16)


def job(side, command, **arguments):
    side.tell(command, **{"job-id": "job"}, **arguments)
    side.await_event("JOB_STATUS_CHANGE", id="job", status="concluded")
    side.tell("job-dismiss", id="job")


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-riscv64"
    print(version(binary), flush=True)
    with folder():
        with open("image", "wb"):
            pass
        side = Qemu(binary, "-machine", "virt", "-accel", "tcg", "-bios", "none", "-m", "64")
        side.tell("blockdev-add", **{"driver": "file", "filename": "image", "node-name": "file"})
        job(side, "blockdev-create", options={"driver": "qcow2", "file": "file", "size": 1 << 20})
        side.tell("blockdev-add", **{"driver": "qcow2", "file": "file", "node-name": "disk"})
        time.sleep(0.5)
        side.tell("stop")
        before = mtime(side)
        if monitor(side, "savevm one"):
            return 2
        side.tell("cont")
        time.sleep(0.5)
        side.tell("stop")
        later = mtime(side)
        if monitor(side, "loadvm one"):
            return 2
        after = mtime(side)
        side.end()
    print(f"the timer was at {before}, ran on to {later}, and is at {after} after loadvm")
    return int(before != after)


sys.exit(main())
