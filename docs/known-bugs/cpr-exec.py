#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cpr-exec with RAM that the next QEMU cannot take over is not refused, and the RAM is lost; with a
command that cannot be executed it reports "completed" before "failed". No Godwit in here: a QEMU
without a guest's code, eight bytes in its RAM, and QMP.

    cpr-exec.py [QEMU]        default: qemu-system-x86_64

Exit status: 0 neither, 1 one of them or both, 2 that could not be tried.
"""
import sys

from qemu import Qemu, folder, program, version

MACHINE = ["-machine", "q35,accel=tcg", "-m", "64", "-S"]
ADDRESS, VALUE = 0x1000000, 0x1122334455667788
READ = f"xp /1xg {ADDRESS:#x}"


def value(qemu):
    return qemu.tell("human-monitor-command", **{"command-line": READ}).split()[-1]


def start(binary, *command):
    source = Qemu(binary, *MACHINE, "-device",
                  f"loader,addr={ADDRESS:#x},data={VALUE:#x},data-len=8")
    source.set(mode="cpr-exec", cpr_exec_command=list(command))
    return source


def private(binary):
    """Returns whether the RAM is lost."""
    source = start(binary, program(binary), "-nodefaults", "-display", "none", "-qmp", "stdio",
                   *MACHINE, "-incoming", "defer")
    try:
        print("before:", value(source))
        answer = source.ask("migrate", uri="file:stream")
        if "error" in answer:
            print("refused:", answer["error"]["desc"])
            return False
        while "QMP" not in source.read():
            pass
        source.events.clear()
        source.tell("qmp_capabilities")
        source.enable("events")
        source.tell("migrate-incoming", uri="file:stream")
        source.await_event("MIGRATION", status="completed")
        after = value(source)
        print("after: ", after)
        return int(after, 16) != VALUE
    finally:
        source.end()


def late(binary):
    """Returns whether QEMU reports "completed" for what fails."""
    source = start(binary, "/no-such-folder/qemu")
    try:
        answer = source.ask("migrate", uri="file:stream")
        states = []
        while "error" not in answer and "failed" not in states:
            event = source.events.pop(0) if source.events else source.read()
            if event["event"] == "MIGRATION":
                states.append(event["data"]["status"])
        print("a command that cannot be executed:", *states)
        return "completed" in states
    finally:
        source.end()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary))
    with folder():
        return int(private(binary) | late(binary))


sys.exit(main())
