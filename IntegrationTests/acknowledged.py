#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pushes to a registry that is killed now and then, and tells whether what it acknowledged is there.

acknowledged.py push ADDRESS JOURNAL    pushes until SIGTERM; whatever fails is pushed again
acknowledged.py verify ADDRESS JOURNAL  exits with 1 if anything acknowledged is missing or other than it was pushed
"""

import hashlib
import http.client
import json
import os
import signal
import sys
import threading
import time

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
WRITERS = 4


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def request(address, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def content(writer, number, kind, length):
    """The same bytes each time, so that the journal needs no copy of them."""
    return hashlib.shake_256(f"{writer} {number} {kind}".encode()).digest(length)


def image(writer, number):
    layer, config = content(writer, number, "layer", 40_000), json.dumps({"writer": writer, "number": number}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": sha256(config),
                "size": len(config),
            },
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(layer), "size": len(layer)}
            ],
        }
    ).encode()
    return layer, config, manifest


class Pusher(threading.Thread):
    def __init__(self, address, journal, lock, stopping, writer):
        super().__init__()
        self.address, self.journal, self.lock, self.stopping, self.writer = address, journal, lock, stopping, writer
        self.repository = f"crash/writer{writer}"

    def run(self):
        for number in range(1_000_000):
            while not self.stopping.is_set():
                try:
                    self.push(number)
                    break
                except (OSError, http.client.HTTPException):
                    self.record("retried", number)
                    time.sleep(0.02)
            if self.stopping.is_set():
                return

    def record(self, what, number):
        with self.lock:
            self.journal.write(f"{what} {self.writer} {number}\n")
            self.journal.flush()

    def push(self, number):
        layer, config, manifest = image(self.writer, number)
        for index, blob in enumerate((layer, config)):
            status, headers, body = request(self.address, "POST", f"/v2/{self.repository}/blobs/uploads/")
            self.insist(status, 202, body)
            location = headers["Location"].replace(f"http://{self.address}", "")
            half = len(blob) // 2
            status, headers, body = request(
                self.address, "PATCH", location, blob[:half], {"Content-Type": "application/octet-stream"}
            )
            self.insist(status, 202, body)
            location = headers["Location"].replace(f"http://{self.address}", "")
            separator = "&" if "?" in location else "?"
            status, _, body = request(
                self.address,
                "PUT",
                f"{location}{separator}digest={sha256(blob)}",
                blob[half:],
                {"Content-Type": "application/octet-stream"},
            )
            self.insist(status, 201, body)
            self.record(("layer", "config")[index], number)
        for tag in (f"n{number}", "latest"):
            if tag == "latest":
                self.record("tries", number)
            status, _, body = request(
                self.address, "PUT", f"/v2/{self.repository}/manifests/{tag}", manifest, {"Content-Type": MANIFEST}
            )
            self.insist(status, 201, body)
            self.record("tag" if tag != "latest" else "latest", number)

    def insist(self, status, expected, body):
        if status != expected:
            # Only a dying server may refuse; one that is up and refuses shows as no progress.
            raise OSError(f"{status} instead of {expected}: {body[:200]!r}")


def push(address, path):
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with open(path, "a", encoding="ascii") as journal:
        lock = threading.Lock()
        pushers = [Pusher(address, journal, lock, stopping, writer) for writer in range(WRITERS)]
        for pusher in pushers:
            pusher.start()
        for pusher in pushers:
            pusher.join()


def verify(address, path):
    counts, latest, tries, problems = {}, {}, {}, []

    def same(what, path, expected, accept=None):
        status, _, body = request(address, "GET", path, headers={"Accept": accept} if accept else {})
        if status != 200 or body != expected:
            problems.append(f"{what}: {status}, {len(body)} bytes instead of {len(expected)}")

    with open(path, encoding="ascii") as journal:
        for line in journal:
            what, writer, number = line.split()[0], *map(int, line.split()[1:])
            counts[what] = counts.get(what, 0) + 1
            layer, config, manifest = image(writer, number)
            repository = f"crash/writer{writer}"
            if what == "layer":
                same(line.strip(), f"/v2/{repository}/blobs/{sha256(layer)}", layer)
            elif what == "config":
                same(line.strip(), f"/v2/{repository}/blobs/{sha256(config)}", config)
            elif what == "tag":
                same(line.strip(), f"/v2/{repository}/manifests/n{number}", manifest, MANIFEST)
            elif what == "latest":
                latest[writer] = number
            elif what == "tries":
                tries[writer] = number
    for writer, number in latest.items():
        _, _, body = request(address, "GET", f"/v2/crash/writer{writer}/manifests/latest", headers={"Accept": MANIFEST})
        # The last attempt may have been stored without its acknowledgement having arrived.
        if body not in (image(writer, number)[2], image(writer, tries[writer])[2]):
            problems.append(f"latest of writer {writer} is neither {number} nor {tries[writer]}")
    for problem in problems[:20]:
        print(f"    {problem}")
    print("    " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) + f"; {len(problems)} lost")
    if problems or not counts.get("tag"):
        sys.exit(1)


if __name__ == "__main__":
    {"push": push, "verify": verify}[sys.argv[1]](*sys.argv[2:])
