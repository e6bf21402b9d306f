#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The destination of a multifd migration waits for its channels, and all connections are lost. It
should end. Nothing of Godwit in here: two QEMUs, QMP, a boot sector, and a proxy between the two
that passes on what the main connection sends, and nothing more of the others once the guest runs.

    multifd-hang.py [QEMU]                      default: qemu-system-x86_64

Exit status: 0 it ends, 1 it does not, 2 that could not be tried.
"""
import os
import select
import socket
import subprocess
import sys
import time

from qemu import Qemu, folder, version

# For so long the proxy passes on what the main connection sends, in seconds: the source ends an
# iteration meanwhile, and the destination waits for the channels to do so as well.
FORWARD = 2
# A QEMU that has not ended after so many seconds does not.
PATIENCE = 10
# What a channel says first: who it is.
HELLO = 64


def connect(proxy, port):
    """The two ends of the next connection through the proxy."""
    there = socket.create_connection(("127.0.0.1", port))
    proxy.settimeout(5)
    return proxy.accept()[0], there


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder() as console, socket.create_server(("127.0.0.1", 0)) as proxy:
        machine = ["-machine", "pc,accel=tcg", "-m", "24", "-snapshot",
                   "-drive", "file=disk,format=raw,if=ide"]
        source = Qemu(binary, *machine, "-debugcon", "file:console")
        destination = Qemu(binary, *machine, "-debugcon", "null", "-incoming", "defer", "-S")
        os.read(console, 1)
        for side in (source, destination):
            side.enable("multifd")
            side.set(multifd_channels=2)
        source.set(max_bandwidth=1 << 30, downtime_limit=1)
        destination.tell("migrate-incoming", uri="tcp:127.0.0.1:0")
        port = destination.tell("query-migrate")["socket-address"][0]["port"]
        source.tell("migrate", uri=f"tcp:127.0.0.1:{proxy.getsockname()[1]}")
        pairs = [connect(proxy, port) for _ in range(3)]
        # Channels say who they are before the main connection sends anything, and only they do.
        for here, there in pairs:
            here.setblocking(True)
            hello = here.recv(HELLO, socket.MSG_PEEK)
            if hello[:4] != b"QEVM":
                there.sendall(here.recv(HELLO, socket.MSG_WAITALL))
        main_here, main_there = next(p for p in pairs if p[0].recv(4, socket.MSG_PEEK) == b"QEVM")
        end = time.monotonic() + FORWARD
        while (left := end - time.monotonic()) > 0:
            if select.select([main_here], [], [], left)[0]:
                main_there.sendall(main_here.recv(65536))
        for here, there in pairs:
            here.close()
            there.close()
        try:
            destination.process.wait(PATIENCE)
            print(f"the destination has ended with status {destination.process.returncode}")
        except subprocess.TimeoutExpired:
            print(f"the destination has not ended after {PATIENCE} s")
        hangs = destination.process.poll() is None
        destination.end()
        source.end()
        return int(hangs)


sys.exit(main())
