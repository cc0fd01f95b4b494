#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `hallmark-metadata` does, done with python-tuf, and the repositories that both are given. Prints one JSON object.

    tuf_peer.py generate COUNT DIRECTORY          root.json, targets.json
    tuf_peer.py load|lookup|add ROOT TARGETS [PATH [SEED OUTPUT]]
"""

import hashlib
import json
import pathlib
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

SEED = hashlib.sha256(b"a key of the benchmarks, known to all").hexdigest()


def signer(seed):
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)))


def path(number):
    """Where targets lie in a repository of packages: 256 directories."""
    return f"packages/{number % 256:02x}/package-{number:07d}.tar.gz"


def generate(count, directory):
    """The same bytes whenever it is called, as python-tuf writes them: compact, members sorted."""
    directory = pathlib.Path(directory)
    key = signer(SEED)
    expires = "2040-01-01T00:00:00Z"
    root = Metadata(Root(expires=None, consistent_snapshot=True))
    targets = Metadata(Targets())
    for role in ("root", "timestamp", "snapshot", "targets"):
        root.signed.add_key(key.public_key, role)
    for metadata in (root, targets):
        metadata.signed.expires = Metadata.from_bytes(
            json.dumps({"signatures": [], "signed": {**Targets().to_dict(), "expires": expires}}).encode()
        ).signed.expires
    root.sign(key)
    root.to_file(str(directory / "root.json"))
    head = encode_canonical(targets.signed.to_dict())
    before, after = head.split('"targets":{}')
    entries = ",".join(
        f'"{name}":{{"hashes":{{"sha256":"{hashlib.sha256(name.encode()).hexdigest()}"}},"length":{len(name) * 997}}}'
        for name in sorted(map(path, range(count)))
    )
    signed = f'{before}"targets":{{{entries}}}{after}'.encode()
    signature = key.sign(signed)
    with open(directory / "targets.json", "wb") as file:
        file.write(b'{"signatures":[%s],"signed":' % encode_canonical(signature.to_dict() | {"keyid": signature.keyid}).encode())
        file.write(signed)
        file.write(b"}")


def verified(root, targets):
    metadata = Metadata.from_file(targets)
    root.signed.verify_delegate("targets", metadata.signed_bytes, metadata.signatures)
    return metadata


def main():
    verb, *rest = sys.argv[1:]
    if verb == "generate":
        return generate(int(rest[0]), rest[1])
    root = Metadata.from_file(rest[0])
    root.verify_delegate("root", root)
    began = time.monotonic()
    metadata = verified(root, rest[1])
    figures = {"load": time.monotonic() - began}
    if verb == "lookup":
        began = time.monotonic()
        found = metadata.signed.targets.get(rest[2])
        figures = {"lookup": time.monotonic() - began}
        if found is None or rest[2] + "?" in metadata.signed.targets:
            raise SystemExit("found what is not there, or not what is")
    if verb == "add":
        began = time.monotonic()
        metadata.signed.targets[rest[2]] = TargetFile.from_data(rest[2], b"\0", ["sha256"])
        metadata.signed.version += 1
        edited = time.monotonic()
        metadata.sign(signer(rest[3]))
        signed = time.monotonic()
        metadata.to_file(rest[4])
        ended = time.monotonic()
        figures |= {"add": ended - began, "edit": edited - began, "sign": signed - edited, "write": ended - signed}
    print(json.dumps({"count": len(metadata.signed.targets), **figures}))


if __name__ == "__main__":
    main()
