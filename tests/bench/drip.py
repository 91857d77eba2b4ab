#!/usr/bin/env python3
"""Slow senders: many sessions that are in the middle of a message and send an octet of it every second.

Usage: drip.py PORT SESSIONS SECONDS, on loopback. Says `dripping` when all are there; `bench rate` beside it shows what others notice."""

import resource
import socket
import sys
import time

PARTS = 100
SAID = b"EHLO slow.test\r\n", b"MAIL FROM:<a@slow.test>\r\n", b"RCPT TO:<b@example.test>\r\n", b"DATA\r\n"


def reply(plain):
    """Reads one reply, which comes in one piece here."""
    octets = plain.recv(4096)
    if octets[:1] not in (b"2", b"3"):
        sys.exit(f"refused: {octets!r}")


def sender(port):
    plain = socket.create_connection(("127.0.0.1", port))
    reply(plain)
    for said in SAID:
        plain.sendall(said)
        reply(plain)
    return plain


def main():
    port, count, seconds = (int(argument) for argument in sys.argv[1:4])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    senders = [sender(port) for _ in range(count)]
    print("dripping", flush=True)
    end = time.monotonic() + seconds
    sent = 0
    while time.monotonic() < end:
        begun = time.monotonic()
        # Not all at once: they know nothing of each other.
        for part in range(PARTS):
            for plain in senders[part::PARTS]:
                sent += plain.send(b"x")
            time.sleep(max(0, begun + (part + 1) / PARTS - time.monotonic()))
    print(f"{count} sessions, {sent / count:.0f} octets each")


main()
