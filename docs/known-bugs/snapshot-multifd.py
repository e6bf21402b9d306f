#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QEMU before 10.2 crashes when it saves a snapshot while multifd is on. Nothing of Godwit in here: a QEMU,
QMP, no guest.

    snapshot-multifd.py [QEMU]        default: qemu-system-x86_64

Exit status: 0 the snapshot was saved or refused, 1 QEMU crashed, 2 that could not be tried.
"""
import sys

from qemu import Qemu, folder, version


def job(side, command, **arguments):
    """Runs a job; the reason why it failed, or None."""
    side.tell(command, **{"job-id": "job"}, **arguments)
    side.await_event("JOB_STATUS_CHANGE", id="job", status="concluded")
    reason = side.tell("query-jobs")[0].get("error")
    side.tell("job-dismiss", id="job")
    return reason


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder():
        with open("image", "wb"):
            pass
        side = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "64", "-S")
        side.tell("blockdev-add", **{"driver": "file", "filename": "image", "node-name": "file"})
        job(side, "blockdev-create", options={"driver": "qcow2", "file": "file", "size": 1 << 20})
        side.tell("blockdev-add", **{"driver": "qcow2", "file": "file", "node-name": "disk"})
        side.enable("multifd")
        side.send("snapshot-save", **{"job-id": "save", "tag": "one", "vmstate": "disk",
                                      "devices": ["disk"]})
        while line := side.process.stdout.readline():
            if '"concluded"' in line:
                print("the snapshot was saved or refused: "
                      f"{side.tell('query-jobs')[0].get('error', 'saved')}")
                side.end()
                return 0
        status = side.process.wait()
        print(f"QEMU ended with status {status}")
        return 1 if status < 0 else 2


sys.exit(main())
