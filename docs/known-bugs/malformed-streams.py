#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Destinations that get a migration stream with one wrong number in it. Each should refuse the stream:
end with exit status 1. No Godwit in here: a QEMU, QMP, and files.

    malformed-streams.py [QEMU]        default: qemu-system-x86_64

Exit status: 0 each stream is refused, 1 one is not, 2 that could not be tried.
"""
import os
import select
import sys
import time

from qemu import Qemu, folder, version

MIB, PAGE = 1 << 20, 4096
MACHINE = ("-machine", "q35,accel=tcg", "-m", "24", "-S")
# What neither ends nor loads its stream after so many seconds never does.
SECONDS = 20


def number(value, size):
    return (value % (1 << 8 * size)).to_bytes(size, "big")


def string(name):
    return number(len(name), 1) + name


def command(kind, data=b""):
    return b"\x08" + number(kind, 2) + number(len(data), 2) + data


ADVISE = command(3, number(PAGE, 8) + number(PAGE, 8))
LISTEN, RUN = command(4), command(5)
RAM = string(b"pc.ram")


def discard(start):
    return command(6, b"\0" + RAM + b"\0" + number(start, 8) + number(PAGE, 8))


def packaged(data):
    return command(7, number(len(data), 4)) + data


def record(binary, *capabilities):
    """The stream of a QEMU with these capabilities, which has not run its guest."""
    source = Qemu(binary, *MACHINE)
    try:
        source.enable(*capabilities)
        source.tell("migrate", uri="file:good" if capabilities else "exec:cat > good")
        source.await_event("MIGRATION", status="completed")
    finally:
        source.end()
    with open("good", "rb") as file:
        return file.read()


def outcome(binary, stream, *capabilities):
    """What a destination does with the STREAM."""
    with open("bad", "wb") as file:
        file.write(stream)
    destination = Qemu(binary, *MACHINE, "-incoming", "defer")
    try:
        if capabilities:
            destination.enable(*capabilities)
        destination.send("migrate-incoming",
                         uri="file:bad" if "mapped-ram" in capabilities else "exec:cat bad")
        output, seen, until = destination.process.stdout.fileno(), b"", time.monotonic() + SECONDS
        while time.monotonic() < until:
            if not select.select([output], [], [], 0.1)[0]:
                continue
            data = os.read(output, 65536)
            seen += data
            if b'"completed"' in seen:
                return "loads it"
            if not data:
                status = destination.process.wait()
                return f"is killed by signal {-status}" if status < 0 else f"exits with status {status}"
        return "neither ends nor loads it"
    finally:
        destination.end()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary))
    accepted = 0
    with folder():
        good = record(binary)
        # A header of eight bytes, the configuration's type, and the machine's name.
        end = 13 + int.from_bytes(good[9:13], "big")

        def inserted(data):
            return good[:end] + data + good[end:]

        streams = [
            ("a machine's name of 0xffffffff bytes", good[:9] + number(-1, 4) + good[13:]),
            ("0xffffffff capabilities", inserted(
                b"\x05" + string(b"configuration/capabilities") + number(1, 4) + number(-1, 4))),
            ("RAM_DISCARD beyond its RAM block", inserted(ADVISE + discard(1 << 44)), "postcopy-ram"),
            ("RAM_DISCARD without LISTEN", inserted(ADVISE + discard(0)), "postcopy-ram"),
            ("LISTEN outside of a package", inserted(ADVISE + LISTEN), "postcopy-ram"),
            ("ADVISE and LISTEN without postcopy-ram", inserted(command(3) + LISTEN)),
            ("LISTEN twice", inserted(ADVISE + packaged(LISTEN + LISTEN)), "postcopy-ram"),
            ("RUN, and then an unknown section", inserted(ADVISE + packaged(LISTEN + RUN + b"\xee")),
             "postcopy-ram"),
            ("ENABLE_COLO without x-colo", inserted(command(8))),
        ]
        probe = Qemu(binary, *MACHINE)
        known = [entry["capability"] for entry in probe.tell("query-migrate-capabilities")]
        probe.end()
        if "mapped-ram" in known:
            mapped = record(binary, "mapped-ram")
            # Behind the block's name and length: a version of 4 bytes, and the size of pages.
            at = mapped.index(RAM + number(24 * MIB, 8)) + len(RAM) + 8 + 4
            streams += [(f"mapped-ram with pages of {size:#x} bytes",
                         mapped[:at] + number(size, 8) + mapped[at + 8:], "mapped-ram")
                        for size in (0, 2 * PAGE, 1 << 40)]
            streams += [(f"mapped-ram with a block of {size:#x} bytes",
                         mapped[:at - 12] + number(size, 8) + mapped[at - 4:], "mapped-ram")
                        for size in (1 << 41, 1 << 60)]
        for name, stream, *capabilities in streams:
            result = outcome(binary, stream, *capabilities)
            accepted += result != "exits with status 1"
            print(f"{name}: {result}", flush=True)
    return 1 if accepted else 0


sys.exit(main())
