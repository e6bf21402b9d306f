#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A source whose peer does not answer its TLS handshake does not answer on QMP. No Godwit in here: a
QEMU without a guest's code, and QMP.

    tls-silent-peer.py [QEMU]        default: qemu-system-x86_64

The peer is a unix socket that takes the connection and says nothing.
Exit status: 0 the source answers, 1 it does not, 2 that could not be tried.
"""
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time

SECONDS = 10


class Qemu:
    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary, "-m", "64", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        """The answer, or None if there is none in time."""
        line = json.dumps({"execute": command, "arguments": arguments}) + "\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        while select.select([self.process.stdout], [], [], SECONDS)[0]:
            answer = json.loads(self.process.stdout.readline())
            if "error" in answer:
                raise OSError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        return None


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "qemu-system-x86_64"
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "keys.psk"), "w", encoding="ascii") as keys:
            keys.write("someone:" + "5a" * 32 + "\n")
        peer = socket.socket(socket.AF_UNIX)
        peer.bind(os.path.join(folder, "peer.sock"))
        peer.listen()
        qemu = Qemu(binary)
        try:
            qemu.execute("object-add", **{"qom-type": "tls-creds-psk", "id": "tls", "dir": folder,
                                          "endpoint": "client", "username": "someone"})
            qemu.execute("migrate-set-parameters", **{"tls-creds": "tls"})
            qemu.execute("migrate", uri=f"unix:{folder}/peer.sock")
            # Connecting takes a moment: the handshake begins after the first answers.
            for _ in range(30):
                answer = qemu.execute("query-migrate")
                if answer is None:
                    break
                time.sleep(0.1)
        finally:
            qemu.process.kill()
            qemu.process.wait()
    if answer is None:
        print(f"query-migrate is not answered in {SECONDS} s")
        return 1
    print(f"query-migrate says {answer.get('status')}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
