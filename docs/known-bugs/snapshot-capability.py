#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QEMU may crash when it saves a snapshot while a capability is on that is for migrations. Nothing of Godwit
in here: a QEMU, QMP, no guest.

    snapshot-capability.py CAPABILITY [QEMU [ARGUMENT...]]

QEMU is qemu-system-x86_64 if it is not given. The ARGUMENTS name a machine; the default is a pc with
64 MiB that does not run.
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
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    capability = sys.argv[1]
    binary = sys.argv[2] if len(sys.argv) > 2 else "qemu-system-x86_64"
    machine = sys.argv[3:] or ["-machine", "pc,accel=tcg", "-m", "64", "-S"]
    print(version(binary), flush=True)
    with folder():
        with open("image", "wb"):
            pass
        side = Qemu(binary, *machine)
        side.tell("blockdev-add", **{"driver": "file", "filename": "image", "node-name": "file"})
        job(side, "blockdev-create", options={"driver": "qcow2", "file": "file", "size": 1 << 20})
        side.tell("blockdev-add", **{"driver": "qcow2", "file": "file", "node-name": "disk"})
        side.enable(capability)
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
