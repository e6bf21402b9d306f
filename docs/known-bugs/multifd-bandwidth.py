#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How much a multifd migration sends, against the max-bandwidth that was set. Nothing of Godwit in
here: two QEMUs, QMP, and a boot sector that writes to 8 MiB of memory.

    multifd-bandwidth.py [QEMU [CHANNELS]]        default: qemu-system-x86_64, 2

Exit status: 0 it keeps to what was set, 1 it sends more than twice that, 2 that could not be tried.
"""
import os
import sys
import time

from qemu import Qemu, folder, version

BANDWIDTH = 4 << 20
SECONDS = 4


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    channels = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    print(version(binary), flush=True)
    with folder() as console:
        machine = ["-machine", "pc,accel=tcg", "-m", "24", "-snapshot",
                   "-drive", "file=disk,format=raw,if=ide"]
        source = Qemu(binary, *machine, "-debugcon", "file:console")
        destination = Qemu(binary, *machine, "-debugcon", "null", "-incoming", "defer", "-S")
        os.read(console, 1)
        for side in (source, destination):
            side.enable("multifd")
            side.set(multifd_channels=channels)
        source.set(max_bandwidth=BANDWIDTH, downtime_limit=1)
        destination.tell("migrate-incoming", uri="tcp:127.0.0.1:0")
        port = destination.tell("query-migrate")["socket-address"][0]["port"]
        source.tell("migrate", uri=f"tcp:127.0.0.1:{port}")
        # No event says that the first periods of the limiter are over.
        time.sleep(1)
        began, before = time.monotonic(), source.tell("query-migrate")["ram"]["transferred"]
        time.sleep(SECONDS)
        info = source.tell("query-migrate")
        seconds, sent = time.monotonic() - began, info["ram"]["transferred"] - before
        destination.end()
        source.end()
        if info["status"] != "active":
            print(f"the migration was {info['status']} too early", file=sys.stderr)
            return 2
        print(f"{channels} channels, {BANDWIDTH / 2**20:.1f} MiB/s set, "
              f"{sent / seconds / 2**20:.1f} MiB/s sent")
        return int(sent / seconds > 2 * BANDWIDTH)


sys.exit(main())
