#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A snapshot with mapped-ram, loaded where RAM holds something else since. Nothing of Godwit in here: a
QEMU, QMP, a guest of 64 bytes.

    snapshot-zero-pages.py [QEMU [CAPABILITY]]        default: qemu-system-x86_64, mapped-ram

The snapshot is saved before the guest runs, when all of its 2048 pages are zero. Then the guest adds
one to the first byte of each, over and over, and the snapshot is loaded: all should be zero again.
CAPABILITY can be "none".
Exit status: 0 they are, 1 they are not, 2 that could not be tried.
"""
import sys

from qemu import Qemu, folder, memory, rom, version

PAGES = 2048


def job(side, command, **arguments):
    """Lets a job run to its end, which must be a good one."""
    side.tell(command, **{"job-id": "job"}, **arguments)
    side.await_event("JOB_STATUS_CHANGE", id="job", status="concluded")
    reason = side.tell("query-jobs")[0].get("error")
    side.tell("job-dismiss", id="job")
    if reason:
        print(f"{command}: {reason}", file=sys.stderr)
        sys.exit(2)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    capability = sys.argv[2] if len(sys.argv) > 2 else "mapped-ram"
    print(version(binary), flush=True)
    with folder():
        with open("rom", "wb") as file:
            file.write(rom(PAGES))
        with open("image", "wb"):
            pass
        side = Qemu(binary, "-S", "-machine", "pc,accel=tcg", "-m", "64", "-bios", "rom")
        side.tell("blockdev-add", **{"driver": "file", "filename": "image", "node-name": "file"})
        job(side, "blockdev-create", options={"driver": "qcow2", "file": "file", "size": 1 << 20})
        side.tell("blockdev-add", **{"driver": "qcow2", "file": "file", "node-name": "disk"})
        if capability != "none":
            side.enable(capability)
        where = {"tag": "one", "vmstate": "disk", "devices": ["disk"]}
        job(side, "snapshot-save", **where)
        side.tell("cont")
        while not all(memory(side, "before", PAGES)):
            pass
        side.tell("stop")
        job(side, "snapshot-load", **where)
        left = sum(1 for byte in memory(side, "after", PAGES) if byte)
        side.end()
    print(f"{left} of {PAGES} pages that are zero in the snapshot are not after it was loaded")
    return 1 if left else 0


sys.exit(main())
