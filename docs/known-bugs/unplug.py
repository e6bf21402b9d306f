#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Devices that are plugged into a paused machine and unplugged again. QEMU should free each, and report it
(DEVICE_DELETED), and a machine without the device should be able to take over. No Godwit in here: QEMUs
and QMP.

    unplug.py [QEMU [DEVICE...]]      default: qemu-system-aarch64, and the devices below

Exit status: 0 nothing is left of any device, 1 something is, 2 that could not be tried.
"""
import sys
import time

from qemu import Qemu, folder, version

SHARED = ("-m", "256", "-S", "-object", "memory-backend-ram,id=shared,size=1M,share=on")
PORT = ("-device", "pcie-root-port,id=socket")
# By the end of QEMU's name: a machine, and the bus where it lets a device go without its guest. A q35
# asks the guest by ACPI, unless it leaves that to the slots of PCI Express.
MACHINES = {
    "aarch64": (("-machine", "virt,accel=tcg", *PORT), "socket"),
    "ppc64": (("-machine", "pseries,accel=tcg"), "pci.0"),
    "x86_64": (("-machine", "q35,accel=tcg", "-global",
                "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", *PORT), "socket"),
}
DEVICES = ("e1000", "dc390", "ivshmem-plain,memdev=shared,master=on", "bochs-display", "intel-hda",
           "qemu-xhci", "i82801b11-bridge", "cxl-upstream")


def try_device(binary, device, address):
    """What is left of the DEVICE; nothing if all is well."""
    machine, bus = MACHINES[binary.rpartition("-")[2]]
    machine += SHARED
    source = Qemu(binary, *machine)
    destination = Qemu(binary, *machine, "-incoming", "defer")
    left = []
    try:
        # So the source hears what the destination says of its stream.
        for side in source, destination:
            side.enable("return-path")
        destination.tell("migrate-incoming", uri=address)
        # The human monitor takes numbers without their types.
        refusal = source.tell("human-monitor-command",
                              **{"command-line": f"device_add {device},bus={bus},id=subject"})
        if refusal.strip():
            print(f"{device}: {refusal.strip()}", file=sys.stderr)
            sys.exit(2)
        source.tell("device_del", id="subject")
        # A command that fails waits until all that is unplugged has been freed; the devices on a bus of the
        # device are freed before it.
        for _ in range(4):
            source.ask("device_add", driver="no-such-device")
        if not any(event["event"] == "DEVICE_DELETED" for event in source.events):
            left.append("it is never freed")
        source.tell("migrate", uri=address)
        while (state := source.state()) not in ("completed", "failed"):
            time.sleep(0.1)
        if state == "failed":
            left.append("a machine without it refuses to take over")
    finally:
        source.end()
        destination.end()
    return left


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-aarch64"
    print(version(binary))
    bad = False
    with folder():
        for number, device in enumerate(sys.argv[2:] or DEVICES):
            left = try_device(binary, device, f"unix:{number}.sock")
            bad |= bool(left)
            print(f"{device}: {', '.join(left) or 'nothing is left'}", flush=True)
    return 1 if bad else 0


sys.exit(main())
