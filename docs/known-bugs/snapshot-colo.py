#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QEMU loads a snapshot while x-colo is on, for which a machine without a COLO pair has no cache. Nothing
of Godwit in here: a QEMU, QMP, a boot sector.

    snapshot-colo.py [QEMU]                                          default: qemu-system-x86_64

Exit status: 0 the guest runs on from the snapshot, 1 QEMU crashed or refused to load it, 2 that could not
be tried.
"""
import os
import sys

from qemu import Qemu, folder, version


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder() as console:
        with open("image", "wb"):
            pass
        side = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "64", "-drive",
                    "file=disk,format=raw,snapshot=on", "-debugcon", "file:console")
        os.read(console, 1)  # the guest works
        side.tell("blockdev-add", **{"driver": "file", "filename": "image", "node-name": "file"})
        side.tell("blockdev-create", **{"job-id": "job", "options": {"driver": "qcow2", "file": "file",
                                                                     "size": 1 << 20}})
        side.await_event("JOB_STATUS_CHANGE", id="job", status="concluded")
        side.tell("job-dismiss", id="job")
        side.tell("blockdev-add", **{"driver": "qcow2", "file": "file", "node-name": "disk"})
        side.enable("x-colo", "return-path")
        for job, command in ("save", "snapshot-save"), ("load", "snapshot-load"):
            side.send(command, **{"job-id": job, "tag": "one", "vmstate": "disk", "devices": ["disk"]})
            while f'"{job}"' not in (line := side.process.stdout.readline()) or "concluded" not in line:
                if not line:
                    print(f"{command}: QEMU ended with status {side.process.wait()}")
                    return 1
            reason = [one.get("error") for one in side.tell("query-jobs") if one["id"] == job][0]
            print(f"{command}: {reason or 'done'}", flush=True)
            if reason:
                return 1
        side.send("query-status")
        while line := side.process.stdout.readline():
            if '"running"' in line:
                print(line.strip())
                return 0
        print(f"QEMU ended with status {side.process.wait()}")
        return 1


sys.exit(main())
