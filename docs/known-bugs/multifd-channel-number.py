#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A multifd destination with two channels, 0 and 1, gets a connection whose channel has the number 2.
It should refuse that. Nothing of Godwit in here: one QEMU, QMP, and a client.

    multifd-channel-number.py [QEMU]            default: qemu-system-x86_64

Exit status: 0 it lives, or ends with an error, 1 a signal kills it, 2 that could not be tried.
"""
import socket
import sys

from qemu import Qemu, folder, version

# A QEMU that lives on does so for longer.
PATIENCE = 3


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder():
        destination = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "24", "-incoming", "defer")
        destination.enable("multifd")
        destination.set(multifd_channels=2)
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        with socket.socket(socket.AF_UNIX) as main_channel, socket.socket(socket.AF_UNIX) as channel:
            main_channel.connect("migrate.sock")
            main_channel.sendall(b"QEVM\0\0\0\3")
            channel.connect("migrate.sock")
            # Magic, version, UUID, the channel's number, and the rest of its first packet.
            channel.sendall(b"\x11\x22\x33\x44\0\0\0\1" + bytes(16) + b"\2" + bytes(39))
            status = destination.ends(PATIENCE)
        destination.end()
        return int(status is not None and status < 0)


sys.exit(main())
