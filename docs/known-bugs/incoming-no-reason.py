#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A destination that lives on after bytes that begin no channel (exit-on-error false) reports that
its migration failed, and not why. No Godwit in here: a QEMU, QMP, and a socket.

    incoming-no-reason.py [QEMU]        default: qemu-system-x86_64

Exit status: 0 query-migrate has an error-desc, 1 it has none, 2 that could not be tried.
"""
import socket
import sys

from qemu import Qemu, folder, version


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary))
    with folder():
        destination = Qemu(binary, "-machine", "none", "-incoming", "defer")
        try:
            answer = destination.ask("migrate-incoming", uri="unix:migrate.sock",
                                     **{"exit-on-error": False})
            if "error" in answer:
                print(f"migrate-incoming: {answer['error']['desc']}")
                return 2
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect("migrate.sock")
                peer.sendall(b"these are not the bytes of a migration")
                destination.await_event("MIGRATION", status="failed")
                report = destination.tell("query-migrate")
        finally:
            destination.end()
    print(f"query-migrate: {report}")
    return 0 if report.get("error-desc") else 1


sys.exit(main())
