#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes content in a registry, for tests of what becomes of it.

registry_content.py image ADDRESS REPOSITORY REFERENCE TEXT   pushes an image made of the text; prints its digest and its layer's
registry_content.py blob ADDRESS REPOSITORY TEXT              pushes a blob that no manifest uses; prints its digest
registry_content.py garbage ADDRESS                           makes things that nobody needs until SIGTERM
"""

import json
import os
import signal
import socket
import sys
import threading
import time

from acknowledged import MANIFEST, request, sha256


def blob(address, repository, data):
    path = f"/v2/{repository}/blobs/uploads/?digest={sha256(data)}"
    status, _, body = request(address, "POST", path, data, {"Content-Type": "application/octet-stream"})
    if status != 201:
        raise OSError(f"{status}: {body[:200]!r}")
    return sha256(data)


def image(address, repository, reference, text, size=20_000):
    layer = (text.encode() + b"\n") * (size // (len(text) + 1) + 1)
    config = json.dumps({"created": text}).encode()
    for data in (layer, config):
        blob(address, repository, data)
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
    path = f"/v2/{repository}/manifests/{reference or sha256(manifest)}"
    status, _, body = request(address, "PUT", path, manifest, {"Content-Type": MANIFEST})
    if status != 201:
        raise OSError(f"{status}: {body[:200]!r}")
    return sha256(manifest), sha256(layer)


def cut_upload(address, number):
    """Half of a blob, then the line breaks."""
    host, port = address.split(":")
    data = os.urandom(30_000)
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        head = f"POST /v2/garbage/cut/blobs/uploads/?digest={sha256(data)} HTTP/1.1\r\nHost: {address}\r\n"
        connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data[: number % 30_000])


def garbage(address):
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    number = 0
    while not stopping.is_set():
        number += 1
        try:
            blob(address, "garbage/blobs", f"blob {number} {time.time()}".encode() * 500)
            image(address, "garbage/untagged", None, f"untagged {number} {time.time()}")
            image(address, "garbage/moved", "latest", f"moved {number} {time.time()}")
            cut_upload(address, number * 997)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            time.sleep(0.02)


if __name__ == "__main__":
    verb, address, *rest = sys.argv[1:]
    if verb == "image":
        print(*image(address, rest[0], rest[1], rest[2]))
    elif verb == "blob":
        print(blob(address, rest[0], rest[1].encode() * 1000))
    else:
        garbage(address)
