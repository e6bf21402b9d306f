#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The announcements of a guest that arrives paused are sent all at once when it is resumed. No Godwit
in here: two QEMUs without a guest's code, and QMP.

    announce-paused.py [QEMU]        default: qemu-system-x86_64

Exit status: 0 each announcement keeps its distance, 1 they come together, 2 that could not be tried.
"""
import os
import socket
import sys
import tempfile
import time

from qemu import Qemu, version

INITIAL, STEP, MAX, ROUNDS = 200, 75, 300, 4
ALL = 0.2 + 0.275 + 0.3


def start(binary, *arguments):
    return Qemu(binary, "-machine", "q35,accel=tcg", "-m", "64", "-S", *arguments)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary))
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        network = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        network.bind(("127.0.0.1", 0))
        network.settimeout(10)
        port = network.getsockname()[1]
        nic = ["-device", "virtio-net,netdev=n", "-global", "virtio-net-pci.romfile=", "-netdev"]
        source = start(binary, *nic, "hubport,hubid=0,id=n")
        destination = start(binary, "-incoming", "defer", *nic,
                            f"socket,id=n,udp=127.0.0.1:{port},localaddr=127.0.0.1:0")
        try:
            destination.set(announce_initial=INITIAL, announce_step=STEP, announce_max=MAX,
                            announce_rounds=ROUNDS)
            source.tell("cont")
            destination.tell("migrate-incoming", uri="unix:migrate.sock")
            source.tell("migrate", uri="unix:migrate.sock")
            destination.await_event("MIGRATION", status="completed")
            time.sleep(ALL + 0.5)
            destination.tell("cont")
            times = []
            for _ in range(ROUNDS):
                network.recv(2000)
                times.append(time.monotonic())
            gaps = [(b - a) * 1000 for a, b in zip(times, times[1:])]
            print("ms between announcements, expected 200, 275 and 300 or more:",
                  *(f"{gap:.0f}" for gap in gaps))
            return int(sum(gaps) < INITIAL)
        finally:
            source.end()
            destination.end()


sys.exit(main())
