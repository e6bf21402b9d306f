#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A disk that fails when it is handed over. No Godwit in here: QEMUs without a guest's code, and QMP.

    failing-disk.py locked|running|flush [QEMU]        default: qemu-system-x86_64

"locked": another QEMU has the destination's image; the destination was started paused, and is asked to
run its guest. "running": it was not started paused. "flush": the source's disk cannot be flushed.
Exit status: 0 the guest does not run without its disk, or QEMU gives a reason; 1 it does, or QEMU gives
none; 2 that could not be tried.
"""
import sys

from qemu import Qemu, folder, version

RULES = "inject-error.0.event=pwritev_zero,inject-error.0.iotype=flush,inject-error.0.errno=5"
BREAK = 'qemu-io -d /machine/peripheral/blk/virtio-backend "write -z 0 64k"'


def disk(image, rules=None):
    with open(image, "wb") as file:
        file.truncate(1 << 20)
    nodes = ["-blockdev", f"driver=file,filename={image},node-name=file"]
    if rules:
        nodes += ["-blockdev", f"driver=blkdebug,image=file,node-name=debug,{rules}"]
    return [*nodes, "-blockdev", f"driver=raw,file={'debug' if rules else 'file'},node-name=disk",
            "-device", "virtio-blk,drive=disk,id=blk"]


def hold(binary):
    """A QEMU that has the image "there" for writing."""
    holder = Qemu(binary, "-machine", "none", "-blockdev",
                  "driver=file,filename=there,node-name=file")
    holder.tell("nbd-server-start", addr={"type": "unix", "data": {"path": "nbd.sock"}})
    holder.tell("block-export-add", **{"type": "nbd", "id": "export", "node-name": "file",
                                       "writable": True})
    return holder


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("locked", "running", "flush"):
        print(__doc__, file=sys.stderr)
        return 2
    way = sys.argv[1]
    binary = sys.argv[2] if len(sys.argv) > 2 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder():
        machine = ["-machine", "q35,accel=tcg", "-m", "64"]
        source = Qemu(binary, *machine, *disk("here", RULES if way == "flush" else None))
        destination = Qemu(binary, *machine, *disk("there"), "-incoming", "defer",
                           *([] if way == "running" else ["-S"]))
        everybody = [source, destination] + ([] if way == "flush" else [hold(binary)])
        if way == "flush":
            source.send("human-monitor-command", **{"command-line": BREAK})
            while '"id"' not in source.process.stdout.readline():
                pass  # qemu-io reports there what it has written
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        source.tell("migrate", uri="unix:migrate.sock")
        if way == "flush":
            source.await_event("MIGRATION", status="failed")
            while source.tell("query-status")["status"] == "finish-migrate":
                pass
            reason = source.tell("query-migrate").get("error-desc")
            print(f"query-migrate: failed, {reason or 'no reason'}")
            print(f"the source is {source.tell('query-status')['status']}")
            bad = not reason
        else:
            destination.await_event("MIGRATION", status="completed")
            if way == "locked":
                answer = destination.ask("cont")
                print(f"cont: {answer['error']['desc'] if 'error' in answer else '{}'}")
            status = destination.tell("query-status")["status"]
            print(f"the destination is {status}")
            bad = status == "running"
        for one in everybody:
            one.end()
        return int(bad)


sys.exit(main())
