#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A source migrates with a return path, and its peer requests a page as soon as it is connected. Nothing of
Godwit in here: one QEMU a round, QMP, a boot sector, and a socket.

    early-request.py [QEMU [ROUNDS]]            default: qemu-system-x86_64 20

Exit status: 0 each source lives, 1 one does not, 2 that could not be tried.
"""
import os
import socket
import struct
import subprocess
import sys

from qemu import Qemu, folder, version

# Type 4, a request for pages of the RAM block that was named before, and its length; where, how many bytes.
REQUEST = struct.pack(">HHQI", 4, 12, 0, 4096)
# A source that is killed by the request has ended after so many seconds.
PATIENCE = 3


def source_lives(binary, console):
    """Whether the source is still there once it was asked."""
    source = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "24", "-snapshot",
                  "-drive", "file=disk,format=raw,if=ide", "-debugcon", "file:console")
    os.read(console, 1)
    source.enable("return-path")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        listener.listen()
        source.send("migrate", uri="unix:socket")
        peer = listener.accept()[0]
        peer.sendall(REQUEST)
        try:
            source.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        peer.close()
    os.unlink("socket")
    lives = source.process.poll() is None
    source.end()
    return lives


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    print(version(binary), flush=True)
    with folder() as console:
        lost = sum(not source_lives(binary, console) for _ in range(rounds))
    print(f"{lost} of {rounds} sources ended when they were asked for a page")
    return int(lost > 0)


sys.exit(main())
