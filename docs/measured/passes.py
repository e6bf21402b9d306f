#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How often QEMUs go over the memory of a guest that writes to 8 MiB of its 24 MiB without a pause, at full
speed, before they stop it. No Godwit in here: QEMUs, QMP, and a guest of a few instructions.

    passes.py precopy|multifd QEMU...
"""
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "known-bugs"))
from qemu import Qemu, folder, version  # noqa: E402

ROUNDS = 10
MACHINE = ("-machine", "pc,accel=tcg", "-m", "24", "-snapshot", "-drive", "file=disk,format=raw,if=ide",
           "-debugcon", "file:console")


def migrate(binary, capabilities, console):
    """What QEMU says of one migration."""
    destination = Qemu(binary, *MACHINE, "-incoming", "defer")
    source = Qemu(binary, *MACHINE)
    try:
        os.read(console, 1)
        for side in source, destination:
            side.enable(*capabilities)
        destination.tell("migrate-incoming", uri="tcp:127.0.0.1:0")
        port = destination.tell("query-migrate")["socket-address"][0]["port"]
        source.set(max_bandwidth=1 << 40)
        source.tell("migrate", uri=f"tcp:127.0.0.1:{port}")
        source.await_event("MIGRATION", status="completed")
        return source.tell("query-migrate")
    finally:
        source.end()
        destination.end()


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("precopy", "multifd"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    capabilities = ["multifd"] if sys.argv[1] == "multifd" else []
    with folder() as console:
        for binary in sys.argv[2:]:
            rounds = [migrate(binary, capabilities, console) for _ in range(ROUNDS)]
            iterations = sorted(info["ram"]["dirty-sync-count"] for info in rounds)
            sent = statistics.median(info["ram"]["transferred"] for info in rounds) / 2**20
            print(f"{version(binary).split()[3]}: {sent:.1f} MiB in the median, iterations {iterations}", flush=True)


main()
