#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A destination that takes no more bytes once the guest was stopped stops the source's monitor. No
Godwit in here: a QEMU, a boot sector, QMP, and a socket.

    stalled-completion.py [QEMU]        default: qemu-system-x86_64

The source migrates to a socket that is read from until pre-switchover, and from then on not any more.
Exit status: 0 the source answers query-migrate, 1 it does not, 2 that could not be tried.
"""
import os
import socket
import sys
import threading
import time

from qemu import END, START, Qemu, folder, version

SECONDS, ENOUGH = 10, 20


def drain(listener, enough):
    peer, _ = listener.accept()
    peer.settimeout(0.1)
    while not enough.is_set():
        try:
            peer.recv(1 << 20)
        except socket.timeout:
            pass
    # Kept open, and not read from.
    enough.peer = peer


def ask(source):
    """Whether there is an answer before the end of the QEMU."""
    source.send("query-migrate")
    return any('"id"' in line for line in iter(source.process.stdout.readline, ""))


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary))
    with folder() as console:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("peer.sock")
        listener.listen()
        enough = threading.Event()
        thread = threading.Thread(target=drain, args=(listener, enough), daemon=True)
        thread.start()
        source = Qemu(binary, "-machine", "pc,accel=tcg", "-m", "24", "-snapshot", "-drive",
                      "file=disk,format=raw,if=ide", "-debugcon", "file:console")
        try:
            os.read(console, 1)
            source.enable("pause-before-switchover")
            source.set(max_bandwidth=(END - START) * 5, downtime_limit=10000)
            source.tell("migrate", uri="unix:peer.sock")
            source.await_event("MIGRATION", status="pre-switchover")
            enough.set()
            thread.join()
            source.tell("migrate-continue", state="pre-switchover")
            source.await_event("MIGRATION", status="device")
            # Ends QEMU, and with it the wait for an answer. The first one may come in time.
            patience = threading.Timer(SECONDS, source.process.kill)
            patience.start()
            answers = 0
            while answers < ENOUGH and ask(source):
                answers += 1
                time.sleep(0.1)
            patience.cancel()
        finally:
            source.end()
    if answers < ENOUGH:
        print(f"query-migrate is not answered in {SECONDS} s, after {answers} answers")
        return 1
    print(f"query-migrate is answered, {answers} times")
    return 0


sys.exit(main())
