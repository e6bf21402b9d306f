#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A migration with x-colo. Both sides must reach "colo" and answer there, or the source alone may run the
guest. Nothing of Godwit in here: two QEMUs, QMP, a boot sector.

    colo.py [--return-path] [QEMU]                default: qemu-system-x86_64

--return-path sets that capability as well; 11.1 requires it.
Exit status: 0 both reached "colo", and answer; 1 a side does not answer, or both run the guest after a
failed migration; 2 that could not be tried.
"""
import os
import signal
import sys
import time

from qemu import Qemu, folder, version


def main():
    path = "--return-path" in sys.argv
    names = [word for word in sys.argv[1:] if word != "--return-path"]
    binary = names[0] if names else "qemu-system-x86_64"
    print(version(binary), flush=True)
    sides = []

    def stalled(*_):
        print(f"the {asked} has not answered for 10 s", flush=True)
        for side in sides:
            side.process.kill()
        os._exit(1)

    with folder() as console:
        machine = ["-machine", "pc,accel=tcg", "-m", "64", "-drive", "file=disk,format=raw,snapshot=on"]
        source = Qemu(binary, *machine, "-debugcon", "file:console")
        sides.append(source)
        os.read(console, 1)  # the guest works
        destination = Qemu(binary, *machine, "-debugcon", "null", "-incoming", "defer")
        sides.append(destination)
        for side in sides:
            side.enable(*(["return-path"] if path else []), "x-colo")
        source.set(x_checkpoint_delay=200)
        destination.tell("migrate-incoming", uri="unix:migrate.sock")
        source.tell("migrate", uri="unix:migrate.sock")
        signal.signal(signal.SIGALRM, stalled)
        asked = "source"
        for _ in range(50):
            signal.alarm(10)
            if (state := source.state()) in ("colo", "failed"):
                break
            time.sleep(0.1)
        time.sleep(1)
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
