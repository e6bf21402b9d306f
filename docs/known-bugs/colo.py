#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A migration with x-colo. Both sides must reach "colo" and answer there, or the source alone may run the
guest. Nothing of Godwit in here: two QEMUs, QMP, a boot sector.

    colo.py [--return-path] [--stall | --virt] [QEMU]                default: qemu-system-x86_64

--return-path sets that capability as well; 11.1 requires it. With --stall, the connection passes some of
a checkpoint, and then nothing: the source must still answer. --virt takes that machine, without a guest.
Exit status: 0 both reached "colo", and answer; 1 a side does not answer or ends, or both run the guest
after a failed migration; 2 that could not be tried.
"""
import os
import signal
import socket
import sys
import threading
import time

from qemu import Qemu, folder, version


class Relay:
    """From relay.sock to migrate.sock. It passes LEFT more bytes from the source, if that is a number."""

    def __init__(self):
        self.left = None
        self.held = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind("relay.sock")
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        source, _ = self.listener.accept()
        destination = socket.socket(socket.AF_UNIX)
        destination.connect("migrate.sock")
        threading.Thread(target=self.copy, args=(source, destination, True), daemon=True).start()
        self.copy(destination, source, False)

    def copy(self, here, there, limited):
        while data := here.recv(65536):
            if limited and self.left is not None:
                data = data[:self.left]
                self.left -= len(data)
                if not self.left:
                    self.held.set()
            there.sendall(data)
            if self.held.is_set() and limited:
                return


def main():
    path = "--return-path" in sys.argv
    stall = "--stall" in sys.argv
    names = [word for word in sys.argv[1:] if not word.startswith("--")]
    binary = names[0] if names else "qemu-system-x86_64"
    print(version(binary), flush=True)
    sides = []

    def stalled(*_):
        print(f"the {asked} has not answered for 10 s", flush=True)
        for side in sides:
            side.process.kill()
        os._exit(1)

    with folder() as console:
        here, there = [], []
        machine = ["-machine", "virt,accel=tcg", "-m", "24"]
        if "--virt" not in sys.argv:
            machine = ["-machine", "pc,accel=tcg", "-m", "64", "-drive", "file=disk,format=raw,snapshot=on"]
            here, there = ["-debugcon", "file:console"], ["-debugcon", "null"]
        source = Qemu(binary, *machine, *here)
        sides.append(source)
        if here:
            os.read(console, 1)  # the guest works
        destination = Qemu(binary, *machine, *there, "-incoming", "defer")
        sides.append(destination)
        for side in sides:
            side.enable(*(["return-path"] if path else []), "x-colo")
        source.set(x_checkpoint_delay=100000 if stall else 200)
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        relay = Relay() if stall else None
        source.tell("migrate", uri="unix:relay.sock" if stall else "unix:migrate.sock")
        signal.signal(signal.SIGALRM, stalled)
        asked = "source"
        for _ in range(50):
            signal.alarm(10)
            if (state := source.state()) in ("colo", "failed"):
                break
            time.sleep(0.1)
        time.sleep(1)
        if stall:
            relay.left = 256 << 10
            source.set(x_checkpoint_delay=100000)  # begins a checkpoint
            relay.held.wait(10)
            time.sleep(1)
        if destination.process.poll() is not None:
            print("the destination has ended")
            return 1
        result = []
        for asked, side in (("source", source), ("destination", destination)):
            signal.alarm(10)
            result.append((side.state(), side.tell("query-status")["running"]))
            print(f"the {asked}: {result[-1][0]}, {'running' if result[-1][1] else 'stopped'}")
        signal.alarm(0)
        for side in sides:
            side.end()
        return 1 if state == "failed" and all(running for _, running in result) else 0


sys.exit(main())
