#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Devices that are plugged into a paused ppc64 machine and unplugged again. An i82378 is a bridge with ISA
devices, whose ports should go with it. A tpci200 that has an address, which firmware would give it, should be
freed, and reported (DEVICE_DELETED), although "info mtree -f" has shown it. No Godwit in here: QEMUs, QMP
and qtest.

    unplug-ppc64.py [QEMU]      default: qemu-system-ppc64

Exit status: 0 nothing is left of either, 1 something is, 2 that could not be tried.
"""
import socket
import sys

from qemu import Qemu, folder, version

# The first PCI bridge of a pseries, and registers of the first device behind it. The words of a call of
# firmware, and of its result, are in the guest's memory.
BRIDGE = 0x800000020000000
IO_BAR, COMMAND = 0x14, 0x04
CALL, RESULT = 0x1000000, 0x1001000


def start(binary):
    return Qemu(binary, "-machine", "pseries,accel=tcg", "-m", "256", "-S", "-qtest-log", "none",
                "-chardev", "socket,id=qtest,path=qtest.sock,server=on,wait=off",
                "-qtest", "chardev:qtest")


def monitor(qemu, line):
    return qemu.tell("human-monitor-command", **{"command-line": line})


def plug(qemu, device):
    refusal = monitor(qemu, f"device_add {device},bus=pci.0,id=subject").strip()
    if refusal:
        print(f"{device}: {refusal}", file=sys.stderr)
        sys.exit(2)


def unplug(qemu):
    """Whether the device is freed. A command that fails waits until all that is unplugged has been."""
    qemu.tell("device_del", id="subject")
    for _ in range(4):
        qemu.ask("device_add", driver="no-such-device")
    return any(event["event"] == "DEVICE_DELETED" and event["data"].get("device") == "subject"
               for event in qemu.events)


def configure(lines, register, size, value):
    """Writes to configuration space, as firmware does for its client."""
    words = register, BRIDGE >> 32, BRIDGE & 0xffffffff, size, value
    commands = [f"writel {CALL + 4 * i} {word}" for i, word in enumerate(words)]
    commands.append(f"rtas ibm,write-pci-config {len(words)} {CALL} 1 {RESULT}")
    for command in commands:
        lines.write(command + "\n")
        lines.flush()
        answer = lines.readline().strip()
        if answer not in ("OK", "OK 0"):
            print(f"{command}: {answer}", file=sys.stderr)
            sys.exit(2)


def try_ports(binary):
    qemu = start(binary)
    plug(qemu, "i82378")
    unplug(qemu)
    left = [name for name in ("dma-chan", "pic", "pit", "pcspk")
            if f"): {name}" in monitor(qemu, "info mtree -f")]
    print(f"i82378: {'the ports of ' + ', '.join(left) + ' are left' if left else 'nothing is left'}")
    qemu.end()
    return bool(left)


def try_address(binary):
    qemu = start(binary)
    plug(qemu, "tpci200")
    with socket.socket(socket.AF_UNIX) as qtest:
        qtest.connect("qtest.sock")
        with qtest.makefile("rw") as lines:
            configure(lines, IO_BAR, 4, 0x1000)
            configure(lines, COMMAND, 2, 0x3)
    monitor(qemu, "info mtree -f")
    freed = unplug(qemu)
    print(f"tpci200 after info mtree -f: {'it is freed' if freed else 'it is never freed'}")
    qemu.end()
    return not freed


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-ppc64"
    print(version(binary), flush=True)
    with folder():
        bad = [try_ports(binary), try_address(binary)]
    return 1 if any(bad) else 0


sys.exit(main())
