#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A migration into a file with mapped-ram and x-ignore-shared. Nothing of Godwit in here: a QEMU, QMP,
no guest.

    mapped-ram-shared.py [QEMU]       default: qemu-system-x86_64

The machine, which never runs, has its RAM in a file that is mapped shared.
Exit status: 0 the migration completes or is refused, 1 it fails, 2 that could not be tried.
"""
import sys

from qemu import Qemu, folder, version


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder():
        source = Qemu(binary, "-S", "-machine", "pc,accel=tcg,memory-backend=ram", "-m", "32", "-object",
                      "memory-backend-file,id=ram,size=32M,mem-path=ram,share=on")
        source.enable("mapped-ram", "x-ignore-shared")
        answer = source.ask("migrate", uri="file:migrate")
        if "error" in answer:
            print(f"refused: {answer['error']['desc']}")
            return 0
        while (state := source.state()) not in ("completed", "failed"):
            pass
        reason = source.tell("query-migrate").get("error-desc")
    print(f"the migration has {state}" + (f": {reason}" if reason else ""))
    return 1 if state == "failed" else 0


sys.exit(main())
