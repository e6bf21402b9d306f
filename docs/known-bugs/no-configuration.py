#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A source that sends no configuration (-global migration.send-configuration=off) migrates to a destination
that expects none. Nothing of Godwit in here: two QEMUs, QMP, a boot sector.

    no-configuration.py [QEMU]                                       default: qemu-system-x86_64

Exit status: 0 the guest arrives, 1 it does not, 2 that could not be tried.
"""
import os
import sys

from qemu import Qemu, folder, version


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    machine = ["-machine", "pc,accel=tcg", "-m", "24", "-snapshot", "-global",
               "migration.send-configuration=off", "-drive", "file=disk,format=raw,if=ide"]
    print(version(binary), flush=True)
    with folder() as console:
        destination = Qemu(binary, *machine, "-incoming", "unix:socket")
        source = Qemu(binary, *machine, "-debugcon", "file:console")
        os.read(console, 1)  # the guest works
        source.tell("migrate", uri="unix:socket")
        while line := source.process.stdout.readline():
            if '"status": "completed"' in line:
                destination.await_event("MIGRATION", status="completed")
                print("the guest has arrived")
                return 0
        print(f"the source ended with status {source.process.wait()}")
        return 1


sys.exit(main())
