#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""calc-dirty-rate under TCG. It must be refused, or measure what the guest dirties: its 8 MiB, over and
over. Nothing of Godwit in here: one QEMU, QMP, a boot sector.

    dirty-rate.py dirty-bitmap|dirty-ring|page-sampling|wraps [QEMU]     default: qemu-system-x86_64

"wraps" asks for so many seconds that they are 384 ms modulo 2^64, which must be refused.
Exit status: 0 it was refused, or measured more than 0; 1 it measured 0, was not refused, or QEMU
crashed; 2 that could not be tried.
"""
import os
import sys
import time

from qemu import Qemu, folder, version


def main():
    modes = ("dirty-bitmap", "dirty-ring", "page-sampling", "wraps")
    if len(sys.argv) < 2 or sys.argv[1] not in modes:
        print(__doc__, file=sys.stderr)
        return 2
    binary = sys.argv[2] if len(sys.argv) > 2 else "qemu-system-x86_64"
    wraps = sys.argv[1] == "wraps"
    arguments = {"calc-time": 18446744073709552} if wraps else {"calc-time": 1, "mode": sys.argv[1]}
    print(version(binary), flush=True)
    with folder() as console:
        qemu = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "64", "-drive",
                    "file=disk,format=raw",
                    "-debugcon", "file:console")
        os.read(console, 1)  # the guest works
        qemu.send("calc-dirty-rate", **arguments)
        while line := qemu.process.stdout.readline():
            if '"id"' not in line:
                continue
            if '"error"' in line:
                print("refused:", line.strip())
                qemu.end()
                return 0
            break
        else:
            print(f"QEMU ended with status {qemu.process.wait()}")
            return 1
        while (answer := qemu.tell("query-dirty-rate"))["status"] != "measured":
            time.sleep(0.1)
        qemu.end()
        print(f"measured: {answer['dirty-rate']} MiB/s")
        return 1 if wraps or not answer["dirty-rate"] else 0


sys.exit(main())
