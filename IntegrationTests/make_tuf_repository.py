# SPDX-License-Identifier: Apache-2.0
"""Makes a TUF repository with python-tuf.

usage: make_tuf_repository.py DIRECTORY SCHEME

Every key is of the scheme. Root was rotated twice, and needs two of three keys; the target `top` is in targets, `dir/glob`
in a delegation by pattern, `bins/N` in a delegation by hash prefixes, `succinct/N` in succinct roles that are below one.
"""

import sys
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from securesystemslib.signer import CryptoSigner, Signature, Signer, SSlibKey
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Root, Snapshot, SuccinctRoles, TargetFile, Targets, Timestamp,
)

directory, scheme = Path(sys.argv[1]), sys.argv[2]
expires = (datetime.now(timezone.utc) + timedelta(days=7)).replace(microsecond=0)


class P384Signer(Signer):
    """What python-tuf verifies and does not sign with."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP384R1())
        self.public_key = SSlibKey.from_crypto(self.private.public_key(), scheme=scheme)

    public_key = None

    @classmethod
    def from_priv_key_uri(cls, *_):
        raise NotImplementedError

    def sign(self, payload):
        return Signature(self.public_key.keyid, self.private.sign(payload, ec.ECDSA(hashes.SHA384())).hex())


def signer():
    match scheme:
        case "ed25519":
            return CryptoSigner(ed25519.Ed25519PrivateKey.generate())
        case "ecdsa-sha2-nistp256":
            return CryptoSigner(ec.generate_private_key(ec.SECP256R1()))
        case "ecdsa-sha2-nistp384":
            return P384Signer()
        case "rsassa-pss-sha256":
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            return CryptoSigner(private, SSlibKey.from_crypto(private.public_key(), scheme=scheme))
    raise SystemExit(f"unknown scheme {scheme}")


def write(name, bytes):
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes)


def publish(role, payload, signers, versioned=True):
    metadata = Metadata(payload)
    for one in signers:
        metadata.sign(one, append=True)
    bytes = metadata.to_bytes()
    # A static web server undoes the percent-encoding: a slash in the name of a role is a directory.
    write("metadata/" + (f"{payload.version}." if versioned else "") + role + ".json", bytes)
    return MetaFile(payload.version, len(bytes), {"sha256": sha256(bytes).hexdigest()})


def target(path):
    content = f"content of {path}".encode()
    file = TargetFile.from_data(path, content, ["sha256", "sha512"])
    head, _, last = path.rpartition("/")
    write("targets/" + (head + "/" if head else "") + f"{file.hashes['sha256']}.{last}", content)
    return file


online = {name: signer() for name in ("timestamp", "snapshot", "targets", "glob", "bins", "succinct")}
root_signers = [signer() for _ in range(3)]
root = Root(expires=expires, consistent_snapshot=True)
for one in root_signers:
    root.add_key(one.public_key, "root")
root.roles["root"].threshold = 2
for name in ("timestamp", "snapshot", "targets"):
    root.add_key(online[name].public_key, name)
publish("root", root, root_signers[:2])
for _ in range(2):
    root.version += 1
    old, new = root_signers.pop(0), signer()
    root.revoke_key(old.public_key.keyid, "root")
    root.add_key(new.public_key, "root")
    publish("root", root, [old, *root_signers, new])
    root_signers.append(new)

meta = {}
bin_paths = [f"bins/{number}" for number in range(8)]
succinct_paths = [f"succinct/{number}" for number in range(8)]
prefixes = [f"{number:02x}" for number in range(256)]
roles = {"glob é/?": DelegatedRole("glob é/?", [online["glob"].public_key.keyid], 1, False, ["dir/*"])}
for number in range(16):
    name = f"bin-{number:x}"
    roles[name] = DelegatedRole(
        name, [online["bins"].public_key.keyid], 1, False, path_hash_prefixes=prefixes[number * 16 : number * 16 + 16]
    )
    payload = Targets(expires=expires)
    for path in bin_paths:
        if sha256(path.encode()).hexdigest().startswith(f"{number:x}"):
            payload.targets[path] = target(path)
    meta[f"{name}.json"] = publish(name, payload, [online["bins"]])
roles["succinct"] = DelegatedRole("succinct", [online["succinct"].public_key.keyid], 1, True, ["succinct/*"])
key = online["succinct"].public_key
succinct = SuccinctRoles([key.keyid], 1, 5, "s")
meta["succinct.json"] = publish(
    "succinct",
    Targets(expires=expires, delegations=Delegations({key.keyid: key}, succinct_roles=succinct)),
    [online["succinct"]],
)
for name in succinct.get_roles():
    payload = Targets(expires=expires)
    for path in succinct_paths:
        if succinct.get_role_for_target(path) == name:
            payload.targets[path] = target(path)
    meta[f"{name}.json"] = publish(name, payload, [online["succinct"]])
glob = Targets(expires=expires, targets={"dir/a b%20c": target("dir/a b%20c")})
meta["glob é/?.json"] = publish("glob é/?", glob, [online["glob"]])
targets = Targets(expires=expires, targets={"top": target("top")})
keys = {one.public_key.keyid: one.public_key for one in (online["glob"], online["bins"], online["succinct"])}
targets.delegations = Delegations(keys, roles)
meta["targets.json"] = publish("targets", targets, [online["targets"]])
snapshot = Snapshot(expires=expires, meta=meta)
publish("timestamp", Timestamp(expires=expires, snapshot_meta=publish("snapshot", snapshot, [online["snapshot"]])),
        [online["timestamp"]], versioned=False)
print(len(list((directory / "metadata").iterdir())))
