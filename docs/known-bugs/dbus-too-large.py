#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The helper of a source's dbus-vmstate has more state than QEMU takes, so the state cannot be saved. What
the source reports, and what becomes of the guest. Nothing of Godwit in here: two QEMUs, QMP, and a
process that is both the bus and its only helper.

    dbus-too-large.py [QEMU [CAPABILITY...]]    default: qemu-system-x86_64, without a capability

Exit status: 0 the migration fails, 1 the source reports that it has completed, 2 that could not be tried.
"""
import os
import socket
import struct
import subprocess
import sys
import threading

from qemu import Qemu, folder, version

# QEMU takes 1 MiB.
STATE = bytes((1 << 20) + 1)
# The types of messages, and the header fields that matter here, by their numbers in D-Bus's specification.
CALL, RETURN, NO_METHOD = 1, 2, 3
MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = 3, 4, 5, 6, 7, 8
CLIENT, HELPER = ":1.0", ":2.0"


def padded(data, size):
    return data + bytes(-len(data) % size)


def string(text):
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def signature(text):
    return bytes([len(text)]) + text.encode() + b"\0"


def answer(method, body):
    """Signature and body of the reply of the bus, or of the helper; None if there is no such method."""
    identity = signature("s") + bytes(2) + string("first")
    entry = string("Id") + identity
    replies = {
        "Hello": ("s", string(CLIENT)),
        "AddMatch": ("", b""),
        "RemoveMatch": ("", b""),
        "ListQueuedOwners": ("as", struct.pack("<I", len(string(HELPER))) + string(HELPER)),
        "StartServiceByName": ("u", struct.pack("<I", 2)),
        "NameHasOwner": ("b", struct.pack("<I", 1)),
        "GetNameOwner": ("s", body),
        "GetAll": ("a{sv}", struct.pack("<II", len(entry), 0) + entry),
        "Get": ("v", signature("s") + b"\0" + string("first")),
        "Save": ("ay", struct.pack("<I", len(STATE)) + STATE),
        "Load": ("", b""),
    }
    return replies.get(method)


def fields_of(header):
    """The strings among the header's fields, by their numbers. Each begins at a multiple of 8."""
    fields, at = {}, 0
    while at < len(header):
        number, kind = header[at], header[at + 2:at + 3]
        at += 4
        if kind == b"g":
            size, at = header[at], at + 1
            at += size + 1
        elif kind in b"so":
            size = struct.unpack_from("<I", header, at)[0]
            fields[number] = header[at + 4:at + 4 + size].decode()
            at += 4 + size + 1
        else:
            at += 4
        at += -at % 8
    return fields


def reply(serial, sender, result):
    """The message that answers call SERIAL."""
    kind, (types, body) = (RETURN, result) if result else (NO_METHOD, ("", b""))
    fields = b""
    for number, of, value in (
            (REPLY_SERIAL, "u", struct.pack("<I", serial)),
            (DESTINATION, "s", string(CLIENT)),
            (SENDER, "s", string(sender)),
            (SIGNATURE, "g", signature(types)),
            *([] if result else [(ERROR_NAME, "s", string("org.freedesktop.DBus.Error.UnknownMethod"))])):
        fields = padded(fields, 8) + bytes([number]) + signature(of) + value
    return padded(b"l" + bytes([kind, 1, 1]) + struct.pack("<III", len(body), serial, len(fields)) + fields,
                  8) + body


def exactly(stream, size):
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def serve(client):
    """Is the bus for one client, until that is gone."""
    stream = client.makefile("rb")
    exactly(stream, 1)
    while not (line := stream.readline()).startswith(b"BEGIN"):
        if not line:
            return
        if line.startswith(b"AUTH EXTERNAL"):
            client.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        else:
            client.sendall(b"REJECTED EXTERNAL\r\n" if line.startswith(b"AUTH") else b"ERROR\r\n")
    try:
        while True:
            start = exactly(stream, 16)
            body_size, serial, size = struct.unpack_from("<III", start, 4)
            fields = fields_of(exactly(stream, size + -size % 8)[:size])
            body = exactly(stream, body_size)
            if start[1] == CALL:
                to = fields.get(DESTINATION, "org.freedesktop.DBus")
                client.sendall(reply(serial, to, answer(fields.get(MEMBER), body)))
    except (EOFError, OSError):
        pass


def bus(path):
    """Opens a bus at PATH."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def accept():
        while True:
            serve(listener.accept()[0])
    threading.Thread(target=accept, daemon=True).start()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    print(version(binary), flush=True)
    with folder():
        for side in "source", "destination":
            bus(f"{side}.bus")
        machine = ("-machine", "pc,accel=tcg", "-m", "24", "-S", "-object")
        state = "dbus-vmstate,id=state,addr=unix:path="
        source = Qemu(binary, *machine, f"{state}source.bus")
        destination = Qemu(binary, *machine, f"{state}destination.bus", "-incoming", "unix:socket")
        for side in source, destination:
            side.enable(*sys.argv[2:])
        source.tell("migrate", uri="unix:socket")
        while (status := source.state()) not in ("completed", "failed"):
            source.events.append(source.read())
        print(f"the source reports {status}")
        try:
            print(f"the destination has ended with status {destination.process.wait(5)}")
        except subprocess.TimeoutExpired:
            print("the destination lives")
    return int(status == "completed")


sys.exit(main())
