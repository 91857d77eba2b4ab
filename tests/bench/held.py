#!/usr/bin/env python3
"""Sessions held by an add-in that sleeps in its connect callback: what the others notice, and what each takes of memory.

    held.py FOLDER [SESSIONS]

FOLDER has the server, libdomino_bridge.so and libnotes.so: target/release. Needs a C compiler. Prints one line for each figure.
"""

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SLEEP_S = 5
ROUNDS = 200

CONFIG = """hostname = "mx.example.test"
state_dir = "state"
[log]
level = "warn"
[limits]
sessions_max = 20000
sessions_per_address_max = 20000
sessions_per_network_max = 20000
[[listen]]
name = "held"
address = "127.0.0.1:{held}"
[[listen]]
name = "other"
address = "127.0.0.1:{other}"
[dns]
servers = ["127.0.0.1:1"]
timeout = "1s"
[[local_domain]]
name = "example.test"
mailboxes = "any"
maildir = "mail"
[[plugin]]
name = "domino-bridge"
path = "{bridge}"
[plugin.config]
directory = "{folder}"
addins = ["probe"]
notes_ini = "{folder}/notes.ini"
threads_max = 2000
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def set_variables(folder, text):
    fresh = os.path.join(folder, "notes.new")
    with open(fresh, "w") as out:
        out.write(text)
    os.rename(fresh, os.path.join(folder, "notes.ini"))


def memory(pid):
    """Octets that are in memory, and threads."""
    with open(f"/proc/{pid}/status") as status:
        text = status.read()
    resident = int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024
    return resident, int(re.search(r"Threads:\s+(\d+)", text).group(1))


def greeted(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    line = client.recv(512)
    assert line.startswith(b"220"), line
    return client


def sessions(port):
    """Seconds that each of some short sessions takes."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        client = greeted(port)
        client.sendall(b"EHLO client.test\r\n")
        client.recv(1024)
        client.sendall(b"QUIT\r\n")
        client.recv(512)
        client.close()
        times.append(time.perf_counter() - begun)
    return times


def show(what, times):
    ordered = sorted(times)
    middle, late = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    print(f"{what}: p50 {middle * 1000:.2f} ms, p99 {late * 1000:.2f} ms")


def main():
    target, count = os.path.abspath(sys.argv[1]), int((sys.argv + ["500"])[2])
    with tempfile.TemporaryDirectory() as folder:
        held, other = free_port(), free_port()
        compile_line = ["cc", "-O2", "-fPIC", "-shared", "-I", f"{TREE}/include/domino", "-o", f"{folder}/libprobe.so"]
        subprocess.run(compile_line + [f"{TREE}/tests/addins/probe.c", f"-L{target}", "-lnotes"], check=True)
        bridge = f"{target}/libdomino_bridge.so"
        with open(f"{folder}/stagepost.toml", "w") as out:
            out.write(CONFIG.format(held=held, other=other, bridge=bridge, folder=folder))
        set_variables(folder, "")
        server = subprocess.Popen([f"{target}/stagepost", "run", "--config", "stagepost.toml"], cwd=folder)
        try:
            while True:
                try:
                    greeted(other).close()
                    break
                except ConnectionRefusedError:
                    assert server.poll() is None
                    time.sleep(0.05)
            show("none held", sessions(other))
            before, threads = memory(server.pid)
            set_variables(folder, f"probe_sleep={SLEEP_S}\n")
            clients = [socket.create_connection(("127.0.0.1", held), timeout=60) for _ in range(count)]
            while memory(server.pid)[1] < threads + count:
                time.sleep(0.02)
            after, threads_then = memory(server.pid)
            set_variables(folder, "")
            begun = time.perf_counter()
            times = sessions(other)
            assert time.perf_counter() - begun < SLEEP_S - 1, "they were not held all the while"
            show(f"{count} held", times)
            print(f"memory of a held session: {(after - before) / count / 1024:.1f} KiB; threads: {threads} -> {threads_then}")
            for client in clients:
                assert client.recv(512).startswith(b"220")
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
