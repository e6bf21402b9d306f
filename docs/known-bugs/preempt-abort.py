#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A source migrates with postcopy-preempt to a peer that closes each connection soon. The migration must
fail, and the guest run on. Nothing of Godwit in here: one QEMU a round, QMP, a boot sector, and a socket.

    preempt-abort.py [QEMU [ROUNDS]]            default: qemu-system-x86_64 60

Exit status: 0 each source lives, 1 one does not, 2 that could not be tried.
"""
import os
import select
import socket
import sys
import threading

from qemu import Qemu, folder, version


def slam(listener):
    """Closes each connection once something has come over it."""
    while True:
        try:
            peer = listener.accept()[0]
        except OSError:
            return
        select.select([peer], [], [], 1)
        peer.close()


def how_it_ends(binary, console):
    source = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "24", "-snapshot",
                  "-drive", "file=disk,format=raw,if=ide", "-debugcon", "file:console")
    os.read(console, 1)
    source.enable("postcopy-ram", "postcopy-preempt")
    source.send("migrate", uri="unix:socket")
    # Once the migration has failed the source is asked for its state, twice.
    asked = 0
    while line := source.process.stdout.readline():
        if '"failed"' in line and "event" in line or asked and '"return"' in line:
            asked += 1
            if asked > 2:
                source.end()
                return "lives"
            source.process.stdin.write('{"execute": "query-status"}\n')
            source.process.stdin.flush()
    return f"was killed by signal {-source.process.wait()}"


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    print(version(binary), flush=True)
    with folder() as console, socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        listener.listen()
        threading.Thread(target=slam, args=[listener], daemon=True).start()
        ends = [how_it_ends(binary, console) for _ in range(rounds)]
    for end in sorted(set(ends)):
        print(f"{ends.count(end)} of {rounds}: the source {end}")
    return int(set(ends) != {"lives"})


sys.exit(main())
