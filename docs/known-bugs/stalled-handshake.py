#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A destination that accepts the connection of an encrypted migration and says nothing stops the
source's monitor. No Godwit in here: a QEMU without a guest's code, QMP, and a socket.

    stalled-handshake.py [QEMU]        default: qemu-system-x86_64

Exit status: 0 the source answers query-migrate, 1 it does not, 2 that could not be tried.
"""
import select
import socket
import sys

from qemu import Qemu, folder, version

SECONDS = 10


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder():
        with open("keys.psk", "w", encoding="ascii") as keys:
            keys.write("qemu:" + "5a" * 32 + "\n")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("peer.sock")
        listener.listen()
        source = Qemu(binary, "-machine", "pc,accel=tcg", "-S", "-object",
                      "tls-creds-psk,id=tls,dir=.,endpoint=client,username=qemu")
        try:
            source.set(tls_creds="tls")
            source.tell("migrate", uri="unix:peer.sock")
            peer, _ = listener.accept()
            # It has sent its part of the handshake, and reported all that it will.
            if not select.select([peer], [], [], SECONDS)[0]:
                print("the source does not begin the handshake", file=sys.stderr)
                return 2
            source.await_event("MIGRATION", status="setup")
            source.send("query-migrate")
            if select.select([source.process.stdout], [], [], SECONDS)[0]:
                print("query-migrate is answered")
                return 0
            print(f"query-migrate is not answered in {SECONDS} s")
            peer.close()
            while "id" not in (answer := source.read()):
                pass
            print("after the peer has closed the connection:", answer["return"]["status"])
            return 1
        finally:
            source.end()


sys.exit(main())
