#!/usr/bin/env python3
"""Sessions that wait for a list in the DNS that is dead: what those notice that need no list, and what each waiting one takes.

    dead_list.py FOLDER [SESSIONS]

FOLDER has the server and libaccess_control.so: target/release after `cargo build --release -p stagepost -p access-control`.
5,000 sessions unless told, or as many as the limit of open files (`ulimit -Hn`) lets. With nobody waiting and with all of them waiting take turns. Prints one line for each figure.
"""

import os
import re
import resource
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROUNDS = 5
SESSIONS = 400
# Somebody waits so long for the list; all that is measured beside them has to be over by then.
PATIENCE_S = 30
# Questions come again after a third of a second.
QUIET_S = 0.7
# Whose sessions need no list.
EXCLUDED = "127.0.0.2"

CONFIG = """hostname = "mx.example.test"
state_dir = "state"
[log]
level = "error"
[limits]
sessions_max = 20000
sessions_per_address_max = 20000
sessions_per_network_max = 20000
[[listen]]
name = "mx"
address = "127.0.0.1:{port}"
[dns]
servers = ["127.0.0.1:{names}"]
timeout = "{patience_s}s"
[[local_domain]]
name = "example.test"
mailboxes = "any"
maildir = "mail"
[[plugin]]
name = "access-control"
path = "{plugin}"
[plugin.config.relay]
exclude = "[{excluded}]"
[plugin.config.dns_black]
zones = [{{ name = "dead.test", test = false, timeout_ms = {patience_s}000 }}]
"""


class DeadServer:
    """A name server that answers nobody, and what it was asked."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.asked = set()

    def port(self):
        return self.socket.getsockname()[1]

    def read(self):
        """Notes what has come; the same question again is no other one."""
        try:
            while True:
                self.asked.add(self.socket.recv(512)[12:])
        except BlockingIOError:
            pass

    def wait_for(self, count):
        """Until so many have asked, and nobody asks again for the moment: what is measured is waiting, not asking."""
        while select.select([self.socket], [], [], QUIET_S)[0] or len(self.asked) < count:
            self.read()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def reply(client, code):
    octets = client.recv(2048)
    assert octets.startswith(code), octets


def say(client, line, code):
    client.sendall(line + b"\r\n")
    reply(client, code)


def greeted(port, address):
    client = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(address, 0))
    reply(client, b"220")
    say(client, b"EHLO client.test", b"250")
    return client


def needs_no_list(port):
    """Seconds that each of some sessions takes, from connecting to the reply to RCPT."""
    times = []
    for _ in range(SESSIONS):
        begun = time.perf_counter()
        client = greeted(port, EXCLUDED)
        say(client, b"MAIL FROM:<a@client.test>", b"250")
        say(client, b"RCPT TO:<b@example.test>", b"250")
        times.append(time.perf_counter() - begun)
        client.close()
    times.sort()
    return [1000 * statistics.median(times), 1000 * times[int(SESSIONS * 0.99)]]


def waiting(port, names, count):
    """Sessions, each from an address of its own, that have said MAIL and wait for the list."""
    names.asked.clear()
    clients = []
    for number in range(count):
        client = greeted(port, f"127.1.{number // 250}.{number % 250 + 1}")
        client.sendall(b"MAIL FROM:<a@client.test>\r\n")
        clients.append(client)
        names.read()
    names.wait_for(count)
    return clients


def break_off(client):
    """Closed as it is usual, a connection may be one that still wants its replies."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def answered(clients):
    """How many of them do not wait any more."""
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN)
    return len(poll.poll(0))


def taken(pid):
    """Octets in memory, threads and descriptors of the server."""
    with open(f"/proc/{pid}/status") as status:
        text = status.read()
    resident = int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024
    return resident, int(re.search(r"Threads:\s+(\d+)", text).group(1)), len(os.listdir(f"/proc/{pid}/fd"))


def until_served(server, port):
    while True:
        try:
            greeted(port, EXCLUDED).close()
            return
        except ConnectionRefusedError:
            assert server.poll() is None
            time.sleep(0.05)


def measure(server, port, names, count):
    alone, beside, grown = [], [], None
    needs_no_list(port)
    for _ in range(ROUNDS):
        before = taken(server.pid)
        alone.append(needs_no_list(port))
        begun = time.monotonic()
        clients = waiting(port, names, count)
        after = taken(server.pid)
        # Later rounds find the memory of the first.
        grown = grown or [now - then for now, then in zip(after, before)]
        beside.append(needs_no_list(port))
        early, took = answered(clients), time.monotonic() - begun
        assert early == 0, f"{early} did not wait all the while: it took {took:.1f} s"
        for client in clients:
            break_off(client)
        # The next round begins when nobody is asked about them any more.
        while taken(server.pid)[2] > before[2] + 10:
            time.sleep(0.05)
    return alone, beside, grown


def fitting(count):
    """As many of these sessions as there may be files open: a question that waits is sent three times, from a socket each."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(count, (hard - 100) // 4)


def main():
    folder, count = os.path.abspath(sys.argv[1]), fitting(int((sys.argv + ["5000"])[2]))
    names, port = DeadServer(), free_port()
    with tempfile.TemporaryDirectory() as site:
        with open(f"{site}/stagepost.toml", "w") as out:
            plugin = f"{folder}/libaccess_control.so"
            ports = {"port": port, "names": names.port()}
            out.write(CONFIG.format(plugin=plugin, excluded=EXCLUDED, patience_s=PATIENCE_S, **ports))
        server = subprocess.Popen([f"{folder}/stagepost", "run", "--config", "stagepost.toml"], cwd=site)
        try:
            until_served(server, port)
            alone, beside, (memory, threads, descriptors) = measure(server, port, names, count)
        finally:
            server.kill()
            server.wait()
    for what, at in ("p50", 0), ("p99", 1):
        one, other = ([times[at] for times in rounds] for rounds in (alone, beside))
        ratios = sorted(late / early for early, late in zip(one, other))
        print(f"a session that needs no list, {what}: {statistics.median(one):.2f} ms alone, "
              f"{statistics.median(other):.2f} ms beside {count} that wait: "
              f"{statistics.median(ratios):.2f} times ({ratios[0]:.2f}..{ratios[-1]:.2f})")
    print(f"a session that waits: {memory / count / 1024:.1f} KiB of memory, {descriptors / count:.2f} descriptors; "
          f"threads more for all of them: {threads}")
    assert threads < 20, "waiting holds threads"


if __name__ == "__main__":
    main()
