#!/usr/bin/env python3
"""How soon ETRN is answered for one of many held domains with much mail queued.

    etrn.py FOLDER [MESSAGES] [DOMAINS]

FOLDER has the server and libpull_delivery.so, and examples/fill: target/release after
`cargo build --release -p stagepost -p pull-delivery` and `cargo build --release -p stagepost-queue --example fill`.
1,000,000 messages for 10,000 domains unless told. Prints one line for each figure.
"""

import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 500

CONFIG = """hostname = "mx.example.test"
state_dir = "state"
[log]
level = "error"
[[listen]]
name = "mx"
address = "127.0.0.1:{port}"
[[route]]
domain = "@held.test"
hold = "60d"
[[plugin]]
name = "pull-delivery"
path = "{plugin}"
"""

NODE = """[[plugin.config.node]]
name = "d{number}.held.test"
networks = ["127.0.0.1"]
queues = ["q{number}"]
"""

# What a client may say for one of the nodes (RFC 1985 section 5.3).
FORMS = ["d{number}.held.test", "@d{number}.held.test", "#q{number}"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def greeted(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    assert client.recv(512).startswith(b"220")
    client.sendall(b"EHLO client.test\r\n")
    assert client.recv(2048).startswith(b"250")
    return client


def ask(client, node):
    """Seconds until ETRN for a node is answered, and the reply."""
    begun = time.perf_counter()
    client.sendall(f"ETRN {node}\r\n".encode())
    reply = client.recv(512)
    return time.perf_counter() - begun, reply


def show(what, times):
    ordered = sorted(times)
    figures = (statistics.median(ordered), ordered[int(len(ordered) * 0.99)], ordered[-1])
    middle, late, last = (figure * 1000 for figure in figures)
    print(f"{what}: p50 {middle:.2f} ms, p99 {late:.2f} ms, at most {last:.2f} ms")


def main():
    target = os.path.abspath(sys.argv[1])
    messages, domains = (int(word) for word in (sys.argv[2:] + ["1000000", "10000"][len(sys.argv) - 2:])[:2])
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        spool = f"{folder}/state/spool"
        os.makedirs(f"{folder}/state", mode=0o700)
        subprocess.run([f"{target}/examples/fill", spool, str(messages), str(domains)], check=True)
        with open(f"{folder}/stagepost.toml", "w") as out:
            out.write(CONFIG.format(port=port, plugin=f"{target}/libpull_delivery.so"))
            for number in range(domains):
                out.write(NODE.format(number=number))
        begun = time.perf_counter()
        server = subprocess.Popen([f"{target}/stagepost", "run", "--config", "stagepost.toml"], cwd=folder)
        try:
            while True:
                try:
                    greeted(port).close()
                    break
                except ConnectionRefusedError:
                    assert server.poll() is None
                    time.sleep(0.05)
            print(f"started with {messages} messages and {domains} nodes in {time.perf_counter() - begun:.1f} s")
            each = messages // domains
            chance = random.Random(1)
            nodes = chance.sample(range(domains), min(ROUNDS, domains))
            for form in FORMS:
                times = []
                for number in nodes:
                    client = greeted(port)
                    taken, reply = ask(client, form.format(number=number))
                    assert reply.startswith(f"253 2.0.0 {each} ".encode()), reply
                    times.append(taken)
                    client.close()
                show(f"ETRN {form.format(number='N')} for one of {domains}, {each} waiting", times)
            times = []
            for _ in nodes:
                client = greeted(port)
                taken, reply = ask(client, "foreign.test")
                assert reply.startswith(b"459"), reply
                times.append(taken)
                client.close()
            show("ETRN for none of them", times)
        finally:
            server.kill()
            server.wait()


main()
