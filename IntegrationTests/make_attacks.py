#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a collection's publisher signed, and what thieves of its keys make of it: make_attacks.py DIRECTORY GUN

Signs with openssl, as nobody here would publish. Each folder in DIRECTORY is something that mirror.py can serve:

first, second   honest: `app` is "app 1", then "app 2"; `qa/tool` is in targets/qa, which may hold qa/ only
recovered       honest: `app` is "app 3", after a new root has replaced the keys of timestamp and snapshot
and one for each attack, below.
"""

import base64
import hashlib
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

DIRECTORY, GUN = Path(sys.argv[1]), sys.argv[2]
LAST = 2**53


def openssl(*arguments, stdin=b""):
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Key:
    """A key; of the root, with a certificate in a collection's name."""

    def __init__(self, name, gun=None):
        self.file = DIRECTORY / f"{name}.pem"
        self.file.write_bytes(openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
        if gun:
            kind, public = "ecdsa-x509", openssl(
                "req", "-x509", "-key", str(self.file), "-days", "30", "-subj", "/CN=" + gun.replace("/", "\\/"),
                "-addext", "basicConstraints=critical,CA:FALSE", "-config", str(DIRECTORY / "req.conf"))
        else:
            kind, public = "ecdsa", openssl("pkey", "-in", str(self.file), "-pubout", "-outform", "DER")
        text = base64.b64encode(public).decode()
        self.value = {"keytype": kind, "keyval": {"private": None, "public": text}}
        self.id = hashlib.sha256(canonical(self.value)).hexdigest()

    def sign(self, content):
        der = openssl("dgst", "-sha256", "-sign", str(self.file), stdin=content)
        numbers, rest = [], der[2:]
        for _ in range(2):
            numbers.append(int.from_bytes(rest[2:2 + rest[1]], "big"))
            rest = rest[2 + rest[1]:]
        return base64.b64encode(b"".join(number.to_bytes(32, "big") for number in numbers)).decode()


def expires(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def signed(payload, *keys):
    content = canonical(payload)
    signatures = [{"keyid": key.id, "method": "ecdsa", "sig": key.sign(content)} for key in keys]
    return b'{"signed":' + content + b',"signatures":' + canonical(signatures) + b"}"


def hashes(content):
    return {name: base64.b64encode(hashlib.new(name, content).digest()).decode() for name in ("sha256", "sha512")}


def entry(content):
    return {"hashes": hashes(content), "length": len(content)}


def root(version, keys, *signers, days=3650):
    return signed({
        "_type": "Root", "consistent_snapshot": False, "expires": expires(days), "version": version,
        "keys": {key.id: key.value for key in keys.values()},
        "roles": {role: {"keyids": [key.id], "threshold": 1} for role, key in keys.items()},
    }, *(signers or [keys["root"]]))


def targets(version, files, key, delegations=(), days=1095):
    return signed({
        "_type": "Targets", "expires": expires(days), "version": version,
        "targets": {name: entry(content.encode()) for name, content in files.items()},
        "delegations": {
            "keys": {key.id: key.value for _, key, _ in delegations},
            "roles": [{"keyids": [key.id], "name": name, "paths": paths, "threshold": 1} for name, key, paths in delegations],
        },
    }, key)


def snapshot(version, files, key, days=1095):
    return signed({
        "_type": "Snapshot", "expires": expires(days), "version": version,
        "meta": {role: entry(content) for role, content in files.items()},
    }, key)


def timestamp(version, listed, key, days=14):
    return signed({
        "_type": "Timestamp", "expires": expires(days), "version": version, "meta": {"snapshot": entry(listed)},
    }, key)


def world(version, files, keys, **options):
    """Whole metadata: timestamp and snapshot over these files."""
    key = {**keys, **options.get("signers", {})}
    listing = snapshot(version, files, key["snapshot"])
    return {**files, "snapshot": listing, "timestamp": timestamp(version, listing, key["timestamp"], options.get("days", 14))}


def write(name, files, **others):
    for role, content in {**files, "1.root": ROOT, **others}.items():
        path = DIRECTORY / name / GUN / f"{role}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


DIRECTORY.mkdir(parents=True, exist_ok=True)
(DIRECTORY / "req.conf").write_text("[req]\ndistinguished_name=name\n[name]\n")
KEYS = {"root": Key("root", GUN), **{role: Key(role) for role in ("targets", "snapshot", "timestamp")}}
QA, SUB, THIEF = Key("qa"), Key("sub"), Key("thief")
DELEGATIONS = [("targets/qa", QA, ["qa/"])]
ROOT = root(1, KEYS)

# ---- What the publisher signed -------------------------------------------------------------------------------------------

qa = targets(1, {"qa/tool": "tool"}, QA)
old = {"root": ROOT, "targets": targets(1, {"app": "app 1"}, KEYS["targets"], DELEGATIONS), "targets/qa": qa}
new = {**old, "targets": targets(2, {"app": "app 2"}, KEYS["targets"], DELEGATIONS)}
first, second = world(1, old, KEYS), world(2, new, KEYS)
write("first", first)
write("second", second)

# ---- Without any key -----------------------------------------------------------------------------------------------------

write("rollback", first)
write("old-snapshot", {**second, "snapshot": first["snapshot"], "targets": first["targets"]})
write("mix-and-match", {**second, "targets": first["targets"]})
write("changed", {**second, "targets": second["targets"].replace(b'"app"', b'"apq"')})
write("no-json", {**second, "timestamp": b"<html>Log in to the network first</html>"})
for role in ("timestamp", "snapshot", "targets"):
    write(f"endless-{role}", second)
    # Another hash: a reader that has the role in its cache would not ask.
    write(f"endless-{role}", world(3, {**new, "targets": targets(3, {"app": "app 3"}, KEYS["targets"], DELEGATIONS)}, KEYS))
    (DIRECTORY / f"endless-{role}" / GUN / f"{role}.endless").write_bytes(b"")
other = {role: Key(f"other-{role}", GUN + "-other" if role == "root" else None) for role in KEYS}
elsewhere = {"root": root(1, other), "targets": targets(9, {"app": "malware"}, other["targets"])}
write("other-collection", world(9, elsewhere, other), **{"1.root": elsewhere["root"]})

# ---- What is signed by nobody who may --------------------------------------------------------------------------------------

write("forged-timestamp", {**second, "timestamp": timestamp(3, second["snapshot"], THIEF)})
impostor = {**KEYS, "root": Key("impostor", GUN)}
forged_root = root(2, impostor)
write("wrong-root", world(3, {**new, "root": forged_root}, impostor), **{"2.root": forged_root})
own = {role: Key(f"own-{role}", GUN if role == "root" else None) for role in KEYS}
begun = {"root": root(1, own), "targets": targets(1, {"app": "malware"}, own["targets"])}
write("begun-anew", world(1, begun, own), **{"1.root": begun["root"]})

# ---- With the server's keys stolen -----------------------------------------------------------------------------------------

malware = targets(3, {"app": "malware"}, THIEF, DELEGATIONS)
write("stolen-timestamp-forged-snapshot", world(3, new, {**KEYS, "snapshot": THIEF}))
write("stolen-timestamp-old-snapshot", {**second, "snapshot": first["snapshot"], "targets": first["targets"],
                                        "timestamp": timestamp(3, first["snapshot"], KEYS["timestamp"])})
stolen_snapshot = snapshot(3, {**new, "targets": malware}, KEYS["snapshot"])
write("stolen-snapshot", {**second, "snapshot": stolen_snapshot, "targets": malware})
write("stolen-both-forged-targets", world(3, {**new, "targets": malware}, KEYS))
write("stolen-both-old-targets", world(3, old, KEYS))
write("stolen-both-no-targets", world(3, {"root": ROOT, "targets/qa": qa}, KEYS))
write("fast-forward", world(LAST, new, KEYS))

# ---- A delegated role that says more than it may -----------------------------------------------------------------------------

greedy = targets(2, {"qa/tool": "tool", "app": "malware", "other": "malware"}, QA, [("targets/qa/sub", SUB, ["", "qa/"])])
below = targets(1, {"qa/more": "more", "beyond": "malware"}, SUB)
write("greedy-role", world(3, {**new, "targets/qa": greedy, "targets/qa/sub": below}, KEYS))
write("forged-role", world(3, {**new, "targets/qa": targets(2, {"qa/tool": "malware"}, THIEF)}, KEYS))

# ---- What has ended ----------------------------------------------------------------------------------------------------------

write("expired-timestamp", world(3, new, KEYS, days=-1))
write("expired-targets", world(3, {**new, "targets": targets(3, {"app": "app 3"}, KEYS["targets"], DELEGATIONS, days=-1)}, KEYS))
write("expired-role", world(3, {**new, "targets/qa": targets(2, {"qa/tool": "tool"}, QA, days=-1)}, KEYS))
ended = root(2, KEYS, days=-1)
write("expired-root", world(3, {**new, "root": ended}, KEYS), **{"2.root": ended})

# ---- And how it is put right ---------------------------------------------------------------------------------------------------

fresh = {**KEYS, "snapshot": Key("new-snapshot"), "timestamp": Key("new-timestamp")}
newest = root(2, fresh, KEYS["root"])
recovered = {"root": newest, "targets": targets(3, {"app": "app 3"}, KEYS["targets"], DELEGATIONS), "targets/qa": qa}
write("recovered", world(3, recovered, fresh), **{"2.root": newest})

(DIRECTORY / "keys.json").write_text(json.dumps({**{role: key.id for role, key in KEYS.items()}, "qa": QA.id}))
