#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of `docker trust`, by docker, by hallmark, and by either in turn: docker_walk.py SERVER CA SEED STEPS REGISTRY LAYOUT

As verb_walk.py, for the repositories REGISTRY/walk/docker, /hallmark and /mixed. What is to be signed is put there by hallmark in all
three: docker does that through an engine.
"""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import verb_walk as walk

REGISTRY, LAYOUT = sys.argv[5:7]
PEOPLE = ("owner", "jane", "john")


def folder(twin, who):
    return twin.home(who).parent


def run(twin, tool, who, arguments):
    environment = {**walk.environment(), "DOCKER_CONFIG": str(folder(twin, who)), "DOCKER_CONTENT_TRUST_SERVER": walk.SERVER,
                   "DOCKER_HOST": "unix:///nonexistent"}
    done = subprocess.run([tool, *arguments], input=b"", capture_output=True, env=environment, cwd=folder(twin, who), timeout=60)
    return done.returncode == 0, done.stdout.decode(), done.stderr.decode()


class Twin(walk.Twin):
    def home(self, who):
        return walk.WORK / self.name / who / "trust"

    def choose(self, choices):
        self.tool = choices.choice(["docker", "hallmark"]) if self.name == "mixed" else self.name


twins = walk.twins = [Twin(name, f"{REGISTRY}/walk/") for name in ("docker", "hallmark", "mixed")]


def take(who, docker, hallmark, expected=True, everybody=None):
    """One step: by docker and by hallmark, or by one of them for all."""
    for twin in twins:
        twin.choose(walk.choices)
        twin.tool = everybody or twin.tool
    number = len(walk.history) + 1
    walk.history.append(f"{number}: {who}: docker {' '.join(docker)}  (mixed: by {twins[2].tool})")

    def one(twin):
        arguments = docker if twin.tool == "docker" else hallmark
        return run(twin, twin.tool, who, [argument.replace("{repo}", twin.gun) for argument in arguments])

    results = walk.everywhere(one)
    walk.last[:] = [f"--- {name}: {'done' if done else 'refused'}\n{out}{error}" for name, (done, out, error) in results.items()]
    walk.compare("success", {"expected": expected, **{name: done for name, (done, _, _) in results.items()}})
    walk.compare("what the server has", walk.everywhere(walk.served))
    walk.compare("what lies on the disk", walk.everywhere(on_disk))


def seed(who, tag):
    """The same image, signed by hallmark in all three."""
    walk.history.append(f"{len(walk.history) + 1}: {who}: signs {tag}, by hallmark")
    for twin in twins:
        done, out, error = run(twin, "hallmark", who, ["push", LAYOUT, f"{twin.gun}:{tag}"])
        if not done:
            raise SystemExit(f"hallmark push to {twin.gun}:{tag} by {who} failed\n{out}{error}")
    walk.compare("what the server has", walk.everywhere(walk.served))


def on_disk(twin):
    state = {}
    for who in PEOPLE:
        # docker leaves nothing staged behind; hallmark stages nothing.
        state[who] = {"keys": walk.private_keys(twin.home(who), twin), "staged": walk.changes(twin.home(who) / "tuf" / twin.gun)}
    return state


def inspected(expected):
    """`docker trust inspect` of all three by a docker that has never seen them, and hallmark's list of tags beside it."""
    def one(twin):
        done, out, _ = run(twin, "docker", f"reader-{len(walk.history)}", ["trust", "inspect", twin.gun])
        report = json.loads(out)[0] if done else {}
        for entry in report.get("AdministrativeKeys", []):
            entry["Keys"] = len(entry["Keys"])
        return {**report, "Name": "", "Signers": sorted(report.get("Signers", []), key=str)}

    for twin in twins:
        folder(twin, f"reader-{len(walk.history)}").mkdir(parents=True, exist_ok=True)
    answers = walk.everywhere(one)
    walk.compare("what docker trust inspect shows", answers)
    tags = {tag["SignedTag"]: sorted(tag["Signers"]) for tag in answers["docker"]["SignedTags"]}
    if tags != expected:
        raise SystemExit(f"{tags} are signed, should be {expected}")


def prepare():
    config = json.dumps({"auths": {REGISTRY: {"auth": base64.b64encode(b"someone:secret").decode()}}})
    for twin in twins:
        for who in PEOPLE:
            folder(twin, who).mkdir(parents=True, exist_ok=True)
            (folder(twin, who) / "config.json").write_text(config)
            authorities = folder(twin, who) / "tls" / walk.SERVER.removeprefix("https://")
            authorities.mkdir(parents=True, exist_ok=True)
            (authorities / "ca.crt").write_bytes(Path(walk.CA).read_bytes())
    for name in ("jane", "john"):
        pem = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout"], capture_output=True, check=True).stdout
        public = subprocess.run(["openssl", "ec", "-pubout"], input=pem, capture_output=True, check=True).stdout
        der = subprocess.run(["openssl", "ec", "-pubout", "-outform", "DER"], input=pem, capture_output=True, check=True).stdout
        text = '{"keytype":"ecdsa","keyval":{"private":null,"public":"%s"}}' % base64.b64encode(der).decode()
        walk.signer_ids[hashlib.sha256(text.encode()).hexdigest()] = f"key of {name}"
        for twin in twins:
            file = folder(twin, name) / f"{name}.pem"
            file.write_bytes(pem)
            file.chmod(0o600)
            (folder(twin, "owner") / f"{name}.pub").write_bytes(public)


def signer(verb, name, *options):
    arguments = ["signer", verb, *options, name, "{repo}"]
    return ["trust", *arguments], arguments


def main():
    prepare()
    for name in ("jane", "john"):
        load = ["trust", "key", "load", f"{name}.pem", "--name", name]
        take(name, load, load, everybody="docker")
    take("owner", *signer("add", "jane", "--key", "jane.pub"))
    seed("jane", "one")
    inspected({"one": ["jane"]})
    take("owner", *signer("add", "john", "--key", "john.pub"))
    seed("john", "two")
    seed("jane", "three")
    inspected({"one": ["jane"], "two": ["john"], "three": ["jane"]})
    take("jane", ["trust", "revoke", "-y", "{repo}:one"], ["revoke", "-y", "{repo}:one"])
    inspected({"two": ["john"], "three": ["jane"]})
    take("john", ["trust", "revoke", "-y", "{repo}:none"], ["revoke", "-y", "{repo}:none"], False)
    take("john", ["trust", "revoke", "-y", "{repo}"], ["revoke", "-y", "{repo}"])
    take("owner", *signer("remove", "john", "--force"))
    take("owner", *signer("remove", "nobody", "--force"), False)
    take("owner", *signer("add", "releases", "--key", "john.pub"), False)
    print(f"    {len(walk.history)} steps")


main()
