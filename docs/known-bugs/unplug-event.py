#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A USB device is unplugged while the guest's CPU only computes: no interrupt, no I/O. QEMU should report
the end of the device (DEVICE_DELETED) at once, and not first when the guest is stopped. No Godwit in here:
a QEMU, QMP, and a guest of a few instructions.

    unplug-event.py [QEMU]        default: qemu-system-x86_64

Exit status: 0 the event comes at once, 1 it comes only after `stop`, 2 that could not be tried.
"""
import os
import sys
import time

from qemu import Qemu, folder, rom, version

# What has not come after so many seconds does not come.
SECONDS = 20


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary))
    with folder() as console:
        with open("bios", "wb") as bios:
            bios.write(rom(2048))
        vm = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "24", "-bios", "bios", "-debugcon", "file:console",
                  "-device", "qemu-xhci")
        os.read(console, 1)
        vm.tell("device_add", driver="usb-tablet", id="tablet")
        vm.tell("device_del", id="tablet")
        came, until = False, time.monotonic() + SECONDS
        while not came and time.monotonic() < until:
            vm.tell("query-status")
            came = any(event["event"] == "DEVICE_DELETED" for event in vm.events)
            time.sleep(0.1)
        if not came:
            vm.tell("stop")
        vm.await_event("DEVICE_DELETED")
        vm.end()
    print("the event comes at once" if came else f"no event in {SECONDS} seconds, but after stop")
    return 0 if came else 1


sys.exit(main())
