#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QMP's device_add of a device that does not exist, under TCG, while a guest runs that never leaves its
code. Nothing of Godwit in here: a QEMU, QMP, a guest of seven instructions.

    device-add-hangs.py [QEMU]       default: qemu-system-riscv64; it must be one for riscv64

Exit status: 0 the command is refused, 1 it is not answered in 10 s, 2 that could not be tried.
"""
import os
import select
import sys

from qemu import Qemu, folder, version

SECONDS = 10
# It counts down from 2^28, which takes most of a second, shows a character on the console, and jumps to
# itself. Right after the start of QEMU the command would be answered.
#
#       lui t1, 0x10000
# 1:    addi t1, t1, -1
#       bnez t1, 1b
#       lui t0, 0x10000
#       li t1, 'A'
#       sb t1, 0(t0)
#       j .
LOOP = bytes.fromhex("37030010" "1303f3ff" "e31e03fe" "b7020010" "13031004" "23806200" "6f000000")


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-riscv64"
    print(version(binary), flush=True)
    with folder() as console:
        with open("loop", "wb") as file:
            file.write(LOOP)
        guest = Qemu(binary, "-machine", "virt,accel=tcg", "-m", "32", "-bios", "loop", "-serial",
                     "file:console", "-S")
        guest.tell("cont")
        os.read(console, 1)
        guest.send("device_add", driver="no-such-device")
        if not select.select([guest.process.stdout], [], [], SECONDS)[0]:
            print(f"device_add is not answered in {SECONDS} s")
            return 1
        print(guest.read()["error"]["desc"])
    return 0


sys.exit(main())
