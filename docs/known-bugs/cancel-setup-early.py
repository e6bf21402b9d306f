#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QEMU 10.0 says that a migration is cancelled while it still connects. No Godwit in here: a QEMU
without a guest's code, and QMP.

    cancel-setup-early.py [QEMU]        default: qemu-system-x86_64

The source connects to a unix socket whose queue is full, so that the connection is neither made
nor refused; then it is cancelled, and told to migrate to another destination.
Exit status: 0 a migration that is cancelled is over, 1 it is not, 2 that could not be tried.
"""
import os
import socket
import sys
import tempfile

from qemu import Qemu


def listen(name, queue):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(name)
    listener.listen(queue)
    return listener


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        busy = listen("busy.sock", 0)
        other = listen("other.sock", 1)
        first = socket.socket(socket.AF_UNIX)
        first.connect("busy.sock")
        source = Qemu(binary, "-machine", "q35,accel=tcg", "-m", "64", "-S")
        try:
            print("QEMU", source.tell("query-version")["qemu"])
            source.tell("migrate", uri="unix:busy.sock")
            print("connecting:", source.state())
            source.tell("migrate_cancel")
            cancelled = source.state()
            print("after migrate_cancel:", cancelled)
            if cancelled != "cancelled":
                return 0
            again = source.ask("migrate", uri="unix:other.sock")
            if "error" not in again:
                return 0
            print("another migrate:", again["error"]["desc"])
            print("the state is now:", source.state())
            first.close()
            busy.accept()
            late, _ = busy.accept()
            late.settimeout(60)
            print("sent to the destination that was cancelled:", len(late.recv(1)) > 0)
            return 1
        finally:
            source.end()
            other.close()


sys.exit(main())
