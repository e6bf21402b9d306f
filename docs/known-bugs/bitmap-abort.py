#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A destination reads a stream with a dirty bitmap that cannot be. It should give the bitmap or the
stream up. Nothing of Godwit in here: two QEMUs, QMP, and a stream in a file with a number changed.

    bitmap-abort.py WHAT [QEMU]                 default: qemu-system-x86_64

WHAT is "chunk", whose bits are beyond the end of the bitmap, or "granularity", which is 0.
Exit status: 0 it takes the stream or refuses it, 1 a signal kills it, 2 that could not be tried.
"""
import sys
import time

from qemu import Qemu, folder, version

PATIENCE = 10
SIZE, GRANULARITY = 1 << 20, 65536
# The bitmap's name behind its length; its granularity is next.
NAME = b"\4name"
# The flags of a chunk with zeroes; its first sector and the number of its sectors are next.
ZEROES = b"\x42" + bytes(8) + (SIZE // 512).to_bytes(4, "big")


def change(what, stream):
    """The stream with another granularity, or another first sector."""
    if what == "granularity":
        at = stream.index(NAME) + len(NAME)
        return stream[:at] + bytes(4) + stream[at + 4:]
    at = stream.index(ZEROES) + 1
    return stream[:at] + (SIZE // 512).to_bytes(8, "big") + stream[at + 8:]


def main():
    what = sys.argv[1]
    binary = sys.argv[2] if len(sys.argv) > 2 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder():
        machine = ("-machine", "none", "-blockdev",
                   f"driver=null-co,size={SIZE},read-zeroes=on,node-name=disk")
        source = Qemu(binary, *machine)
        destination = Qemu(binary, *machine, "-incoming", "defer")
        for side in source, destination:
            side.enable("dirty-bitmaps")
        source.tell("block-dirty-bitmap-add", node="disk", name="name", granularity=GRANULARITY)
        source.tell("migrate", uri="exec:cat > part && mv part stream")
        while source.state() != "completed":
            time.sleep(0.1)
        for _ in range(PATIENCE * 10):
            try:
                with open("stream", "rb") as file:
                    stream = file.read()
                break
            except FileNotFoundError:
                time.sleep(0.1)
        with open("changed", "wb") as file:
            file.write(change(what, stream))
        destination.tell("migrate-incoming", uri="exec:cat changed")
        status = destination.ends(PATIENCE)
        source.end()
        destination.end()
        return int(status is not None and status < 0)


sys.exit(main())
