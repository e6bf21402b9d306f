#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""After a migration the source no longer has the disk: its node is inactive. What writes to it must be
refused, and may abort QEMU instead. Nothing of Godwit in here: two QEMUs that share an image, QMP, no
guest.

    inactive-disk.py resize|write [QEMU]        default: qemu-system-x86_64

"resize" sends block_resize, "write" makes the device write, by qemu-io.
Exit status: 0 it was refused, 1 QEMU crashed, 2 that could not be tried.
"""
import sys

from qemu import Qemu, folder, version

WRITE = 'qemu-io -d /machine/peripheral/blk/virtio-backend "write -P 9 64k 64k"'


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("resize", "write"):
        print(__doc__, file=sys.stderr)
        return 2
    binary = sys.argv[2] if len(sys.argv) > 2 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder():
        with open("image", "wb") as image:
            image.truncate(1 << 20)
        disk = ["-blockdev", "driver=file,filename=image,node-name=file",
                "-blockdev", "driver=raw,file=file,node-name=disk",
                "-device", "virtio-blk,drive=disk,id=blk"]
        machine = ["-machine", "q35,accel=tcg", "-m", "64", *disk]
        source = Qemu(binary, *machine)
        destination = Qemu(binary, *machine, "-incoming", "defer")
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        source.tell("migrate", uri="unix:migrate.sock")
        source.await_event("MIGRATION", status="completed")
        destination.await_event("MIGRATION", status="completed")
        if sys.argv[1] == "resize":
            source.send("block_resize", **{"node-name": "disk", "size": 2 << 20})
        else:
            source.send("human-monitor-command", **{"command-line": WRITE})
        while line := source.process.stdout.readline():
            if '"id"' in line:
                print("refused:", line.strip())
                source.end()
                destination.end()
                return 0
        status = source.process.wait()
        destination.end()
        print(f"QEMU ended with status {status}")
        return 1 if status < 0 else 2


sys.exit(main())
