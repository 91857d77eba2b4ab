#!/usr/bin/env python3
"""What an idle session costs the server behind STARTTLS: opens many, says EHLO, and reads the growth of the server's memory.

Usage: idle_tls.py PORT PID SESSIONS, on loopback. The server must have been started just before, with a certificate."""

import socket
import ssl
import sys
import time


def reply(stream):
    """Reads one reply."""
    while True:
        line = stream.readline()
        if not line:
            sys.exit("the server has closed the connection")
        if line[3:4] == b" ":
            return line


def session(port, context):
    """A session that has said EHLO under TLS and nothing since."""
    plain = socket.create_connection(("127.0.0.1", port))
    stream = plain.makefile("rb", buffering=0)
    reply(stream)
    for said in (b"EHLO client.test\r\n", b"STARTTLS\r\n"):
        plain.sendall(said)
        reply(stream)
    secure = context.wrap_socket(plain)
    secure.sendall(b"EHLO client.test\r\n")
    if not reply(secure.makefile("rb", buffering=0)).startswith(b"250"):
        sys.exit("EHLO was refused")
    return secure


def proportional_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


def main():
    port, pid, count = (int(argument) for argument in sys.argv[1:4])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # What the first sessions leave behind is no cost of each.
    warm = [session(port, context) for _ in range(50)]
    time.sleep(1)
    base = proportional_kib(pid)
    held = [session(port, context) for _ in range(count)]
    time.sleep(1)
    grown = proportional_kib(pid) - base
    version, cipher = held[0].version(), held[0].cipher()[0]
    print(f"{count} sessions, {version} {cipher}: {grown / count:.1f} KiB each ({len(warm)} before)")


main()
