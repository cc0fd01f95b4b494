#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `hallmark-metadata` does, done with python-tuf, and the files that both are given. Prints one JSON object.

    tuf_peer.py generate COUNT DIRECTORY     root.json, targets.json of COUNT targets, snapshot.json of COUNT roles
    tuf_peer.py repository COUNT BINS DIRECTORY
                                             a repository of COUNT targets, whose snapshot lists BINS more roles
    tuf_peer.py refresh ROOT CACHE URL ROUNDS [PATH]
    tuf_peer.py load ROOT FILE ROUNDS targets|snapshot
    tuf_peer.py lookup ROOT FILE ROUNDS PATH...
    tuf_peer.py add ROOT FILE ROUNDS PATH SEED OUTPUT
    tuf_peer.py seed                         the key that signs all of it
"""

import datetime
import hashlib
import json
import pathlib
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

EXPIRES = datetime.datetime(2040, 1, 1, tzinfo=datetime.timezone.utc)
SEED = hashlib.sha256(b"a key of the benchmarks, known to all").hexdigest()


def signer(seed):
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed)))


def path(number):
    """Where targets lie in a repository of packages: 256 directories."""
    return f"packages/{number % 256:02x}/package-{number:07d}.tar.gz"


def write(path, payload, key, name, entries):
    """A signed file as python-tuf writes it, compact and sorted, without making a million objects first."""
    before, after = encode_canonical(payload.to_dict()).split(f'"{name}":{{}}')
    signed = f'{before}"{name}":{{{",".join(entries)}}}{after}'.encode()
    signature = key.sign(signed)
    with open(path, "wb") as file:
        signatures = encode_canonical([{"keyid": signature.keyid, "sig": signature.signature}])
        file.write(b'{"signatures":%s,"signed":%s}' % (signatures.encode(), signed))


def generate(count, directory):
    """The same bytes whenever it is called."""
    directory = pathlib.Path(directory)
    key = signer(SEED)
    root = Metadata(Root(expires=EXPIRES, consistent_snapshot=True))
    for role in ("root", "timestamp", "snapshot", "targets"):
        root.signed.add_key(key.public_key, role)
    root.sign(key)
    root.to_file(str(directory / "root.json"))

    targets = Targets(expires=EXPIRES)
    names = sorted(map(path, range(count)))
    entries = (f'"{name}":{{"hashes":{{"sha256":"{digest(name)}"}},"length":{len(name) * 997}}}' for name in names)
    write(directory / "targets.json", targets, key, "targets", entries)
    generate_snapshot(count, directory / "snapshot.json")


def digest(name):
    return hashlib.sha256(name.encode()).hexdigest()


def generate_snapshot(count, file):
    snapshot = Snapshot(expires=EXPIRES)
    snapshot.meta = {}
    names = [f"bins-{number:06x}.json" for number in range(count)] + ["targets.json"]
    entries = [f'"{name}":{{"hashes":{{"sha256":"{digest(name)}"}},"length":997,"version":1}}' for name in names[:-1]]
    write(file, snapshot, signer(SEED), "meta", [*entries, '"targets.json":{"version":1}'])


def repository(count, bins, directory):
    """Consistent snapshots; nobody delegates to the bins."""
    metadata = pathlib.Path(directory) / "metadata"
    metadata.mkdir(parents=True)
    generate(count, metadata)
    generate_snapshot(bins, metadata / "1.snapshot.json")
    (metadata / "root.json").rename(metadata / "1.root.json")
    (metadata / "targets.json").rename(metadata / "1.targets.json")
    (metadata / "snapshot.json").unlink()
    timestamp = Metadata(Timestamp(expires=EXPIRES, snapshot_meta=MetaFile(1)))
    timestamp.sign(signer(SEED))
    timestamp.to_file(str(metadata / "timestamp.json"))


def refresh(times, root, cache, url, rounds, path=None):
    from tuf.ngclient import Updater, UpdaterConfig

    config = UpdaterConfig(snapshot_max_length=1 << 28, targets_max_length=1 << 28)
    for _ in range(rounds):
        began, cpu = time.monotonic(), time.process_time()
        # One of them refreshes once.
        updater = Updater(cache, f"{url}/metadata/", config=config, bootstrap=pathlib.Path(root).read_bytes())
        updater.refresh()
        times.setdefault("refresh", []).append(time.monotonic() - began)
        times.setdefault("refreshCPU", []).append(time.process_time() - cpu)
        times.setdefault("processCPU", []).append(time.process_time())
        if path and timed(times, "lookup", lambda: updater.get_targetinfo(path)) is None:
            raise SystemExit(f"{path} is not there")


def verified(root, file, role):
    metadata = Metadata.from_file(file)
    root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    return metadata


def timed(times, name, work):
    began = time.monotonic()
    result = work()
    times.setdefault(name, []).append(time.monotonic() - began)
    return result


def resident(name):
    """Memory in KiB. getrusage would count the process that started this one."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name + ":")).split()[1])


def memory():
    """The most that was resident until now, and what is, without the program's and the libraries' files."""
    return {"peakKiB": resident("VmHWM"), "ownKiB": resident("RssAnon")}


def load(times, root, file, rounds, role):
    for number in range(rounds):
        # As one that updates does: what was loaded before is gone.
        metadata = None  # noqa: F841
        metadata = timed(times, "load", lambda: verified(root, file, role))
        if number == 0:
            most = memory()
    return len(metadata.signed.targets if role == "targets" else metadata.signed.meta), most


def lookup(times, root, file, rounds, *paths):
    targets = timed(times, "load", lambda: verified(root, file, "targets")).signed.targets
    for name in list(paths) * rounds:
        found = timed(times, "lookup", lambda: targets.get(name))
        if found is None or name + "?" in targets:
            raise SystemExit(f"{name} is not there, or what is not there is")
    return len(targets), memory()


def add(times, root, file, rounds, name, seed, output):
    metadata = timed(times, "load", lambda: verified(root, file, "targets"))
    key = signer(seed)

    def publish():
        metadata.signed.targets[name] = TargetFile.from_data(name, b"\0", ["sha256"])
        metadata.signed.version += 1
        timed(times, "sign", lambda: metadata.sign(key))
        timed(times, "write", lambda: metadata.to_file(output))

    for number in range(rounds):
        timed(times, "add", publish)
        if number == 0:
            most = memory()
    return len(metadata.signed.targets), most


def main():
    verb, *rest = sys.argv[1:]
    if verb == "generate":
        return generate(int(rest[0]), rest[1])
    if verb == "repository":
        return repository(int(rest[0]), int(rest[1]), rest[2])
    if verb == "refresh":
        times = {}
        refresh(times, *rest[:3], int(rest[3]), *rest[4:])
        return print(json.dumps({**memory(), **times}))
    if verb == "seed":
        return print(json.dumps({"seed": SEED}))
    root = Metadata.from_file(rest[0])
    root.verify_delegate("root", root)
    times = {}
    count, most = {"load": load, "lookup": lookup, "add": add}[verb](times, root, rest[1], int(rest[2]), *rest[3:])
    print(json.dumps({"count": count, **most, **times}))


if __name__ == "__main__":
    main()
