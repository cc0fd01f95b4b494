#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same verbs by notary, by hallmark, and by either in turn: verb_walk.py SERVER CA SEED STEPS

Three collections go through the same steps, which a seed chooses from the table of verbs below: one by `notary` alone, one by
`hallmark` alone, and one by a random one of the two at each step. Every command line is the same for both programs. After each step
what the server has of the three, what lies on their owners' disks and what readers see must be the same, but for keys,
signatures and the moment. The first difference ends the walk, with the steps that led there.
"""

import base64
import copy
import concurrent.futures
import difflib
import hashlib
import json
import os
import random
import re
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

SERVER, CA, SEED, STEPS = sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
TLS = ssl.create_default_context(cafile=CA)
TOOLS = ("notary", "hallmark")
WORK = Path.cwd()
FILES = {f"file{number}": f"content {number}\n" * (number + 1) for number in range(5)}
CUSTOM = '{"a":[1,true,null],"b":{"c":"text"}}'
SIGNERS = ("jane", "john")
# Readers' rows of it are left out: notary shows an empty SHA-256, hallmark the SHA-512, or a dash in a table.
ONLY_SHA512 = "h3"
ROLES = ("targets/qa", "targets/team")


def environment():
    passphrases = {name: "a passphrase of theirs" for name in (
        "NOTARY_ROOT_PASSPHRASE", "NOTARY_TARGETS_PASSPHRASE", "NOTARY_SNAPSHOT_PASSPHRASE", "NOTARY_DELEGATION_PASSPHRASE",
        "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
    )}
    return {**os.environ, **passphrases, "HOME": str(WORK), "TZ": "UTC"}


def run(tool, home, arguments, stdin=b""):
    """As notary's documentation writes it: the options of where stand before the verb."""
    command = [tool, "-s", SERVER, "--tlscacert", CA, "-d", str(home), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment(), timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def must(tool, home, arguments, stdin=b""):
    code, out, error = run(tool, home, arguments, stdin)
    if code:
        raise SystemExit(f"{tool} {' '.join(arguments)} failed with {code}\n{out}{error}")
    return out


# ---- What is compared ---------------------------------------------------------------------------------------------------


class Twin:
    """One of the collections, and the machines of those who sign for it and read it."""

    def __init__(self, name, prefix=f"example.com/walk{SEED}/"):
        self.name, self.gun = name, prefix + name
        self.labels = {}
        self.tool = ""
        self.before, self.empty = {}, {"snapshot": 0, "timestamp": 0}

    def home(self, who):
        return WORK / self.name / who

    def choose(self, choices):
        self.tool = choices.choice(TOOLS) if self.name == "mixed" else self.name

    def label(self, key, role):
        """Keys are named by what they are first seen for, in order: they differ between the twins."""
        if key in signer_ids:
            return signer_ids[key]
        if key not in self.labels:
            count = sum(1 for label in self.labels.values() if label.startswith(role + "#"))
            self.labels[key] = f"{role}#{count + 1}"
        return self.labels[key]

    def text(self, text):
        return text.replace(self.gun, "GUN")


def fetch(gun, name):
    try:
        with urllib.request.urlopen(f"{SERVER}/v2/{gun}/_trust/tuf/{name}.json", context=TLS) as reply:
            return reply.read()
    except urllib.error.HTTPError:
        return None


def days(expires):
    moment = datetime.fromisoformat(re.sub(r"\.\d+", "", expires).replace("Z", "+00:00"))
    return round((moment - datetime.now(timezone.utc)).total_seconds() / 86400)


def metadata(twin, role, file):
    """A role's metadata without what must differ."""
    signed = file["signed"]
    plain = {"_type": signed["_type"], "version": signed["version"], "days": days(signed["expires"])}
    plain["members"] = sorted(signed)
    if role == "root":
        for name in ("root", "targets", "snapshot", "timestamp"):
            definition = signed["roles"][name]
            plain[name] = [[twin.label(key, name) for key in definition["keyids"]], definition["threshold"]]
        plain["keys"] = sorted(twin.label(key, "?") + " " + value["keytype"] for key, value in signed["keys"].items())
        plain["consistent_snapshot"] = signed["consistent_snapshot"]
    elif role in ("snapshot", "timestamp"):
        plain["meta"] = {name: sorted(entry["hashes"]) for name, entry in signed["meta"].items()}
    else:
        plain["targets"] = signed["targets"]
        # Where nothing is left notary writes null, hallmark an empty list.
        plain["delegations"] = signed["delegations"]["roles"] or []
        for delegation in plain["delegations"]:
            delegation["keyids"] = [twin.label(key, "?") for key in delegation["keyids"] or []]
        plain["keys"] = [twin.label(key, "?") for key in signed["delegations"]["keys"]]
    plain["signatures"] = sorted([twin.label(one["keyid"], "?"), one["method"]] for one in file["signatures"])
    return plain


def served(twin):
    """What the server has: every role that is there."""
    roles = {}
    for role in ("root", "targets", "snapshot", "timestamp"):
        if content := fetch(twin.gun, role):
            roles[role] = metadata(twin, role, json.loads(content))
    for role in roles.get("snapshot", {}).get("meta", {}):
        if role.startswith("targets/") and (content := fetch(twin.gun, role)):
            roles[role] = metadata(twin, role, json.loads(content))
    # When what is staged changes nothing, notary sends a new snapshot all the same, and hallmark has nothing to publish.
    is_empty = all(twin.before.get(role) == roles.get(role) for role in {*twin.before, *roles} - set(twin.empty))
    for role in twin.empty:
        if role not in roles or role not in twin.before:
            twin.empty[role] = 0
        elif is_empty:
            twin.empty[role] += roles[role]["version"] - twin.before[role]["version"]
    twin.before = roles
    return {
        role: {**state, "version": state["version"] - twin.empty.get(role, 0)} for role, state in roles.items()
    }


def changes(folder):
    found = []
    for path in sorted(folder.glob("changelist/*")):
        change = json.loads(path.read_bytes())
        form = re.fullmatch(r"\d{20}_[0-9a-f-]{36}\.change", path.name)
        found.append({
            "file": [bool(form), oct(stat.S_IMODE(path.stat().st_mode))],
            **change,
            "data": change["data"] and json.loads(base64.b64decode(change["data"])),
        })
    return found


def private_keys(home, twin):
    keys = []
    for path in home.glob("private/*"):
        lines = path.read_text().splitlines()
        headers = {name: value for name, value in (line.split(": ") for line in lines[1:] if ": " in line)}
        form = bool(re.fullmatch(r"[0-9a-f]{64}\.key", path.name))
        keys.append([headers.get("role"), twin.text(headers.get("gun", "")), lines[0], form, oct(stat.S_IMODE(path.stat().st_mode))])
    return sorted(keys, key=str)


def on_disk(twin):
    """Of each who signs: what is staged, which keys there are."""
    state = {}
    for who in ("owner", *SIGNERS):
        home = twin.home(who)
        state[who] = {"keys": private_keys(home, twin), "staged": changes(home / "tuf" / twin.gun)}
    return state


def initialized(twin):
    """What lies in the owner's cache of a collection that was never published."""
    folder = twin.home("owner") / "tuf" / twin.gun / "metadata"
    return {path.stem: metadata(twin, path.stem, json.loads(path.read_bytes())) for path in sorted(folder.glob("*.json"))}


def cached(twin, reader):
    """A reader's cache: the files' names and bytes."""
    folder = twin.home(reader) / "tuf" / twin.gun / "metadata"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file()
    }


def table(text):
    """The rows of a table, without what hallmark says besides."""
    lines = [line.rstrip() for line in text.splitlines()]
    for start, line in enumerate(lines):
        if line.startswith("No "):
            return [line]
        if line.startswith(("---", "-    ")):
            end = next((place for place in range(start, len(lines)) if not lines[place]), len(lines))
            return lines[start - 1:end]
    return []


# ---- The verbs ----------------------------------------------------------------------------------------------------------


class Model:
    """As much of the state as the table needs to choose steps that make sense."""

    def __init__(self):
        self.known = False      # initialised
        self.published = False
        self.staged = 0
        self.delegates = False  # whether delegations are staged
        self.server_snapshot = False
        self.roles = {}         # delegations: signers and paths
        self.targets = {"targets": set()}
        self.kept = ({}, {"targets": set()})


model = Model()
choices = random.Random(SEED)
verbs = []


def verb(weight, condition=lambda: model.published):
    def add(function):
        verbs.append((weight, condition, function))
        return function
    return add


def staged(arguments):
    """Whether with -p."""
    model.staged += 1
    if choices.random() < 0.35:
        return published([arguments[0], "-p", *arguments[1:]] if arguments[0] != "delegation" else [*arguments, "-p"])
    return arguments


def published(arguments):
    model.staged, model.published, model.known, model.delegates = 0, True, True, False
    model.kept = copy.deepcopy((model.roles, model.targets))
    return arguments


def usable():
    return [role for role, (signers, paths) in model.roles.items() if signers and paths]


@verb(30, lambda: not model.known)
def init():
    model.__init__()
    model.known = True
    if choices.random() < 0.5:
        return published(["init", "{gun}", "-p"])
    return ["init", "{gun}"]


@verb(12, lambda: model.known)
def add():
    name = f"t{choices.randrange(6)}"
    model.targets["targets"].add(name)
    custom = ["--custom", "custom"] if choices.random() < 0.3 else []
    return staged(["add", "{gun}", name, choices.choice(list(FILES)), *custom])


@verb(8, lambda: model.known)
def addhash():
    content = choices.choice(list(FILES.values())).encode()
    name = f"h{choices.randrange(4)}"
    hashes = [["--sha256", hashlib.sha256(content).hexdigest()], ["--sha512", hashlib.sha512(content).hexdigest()]]
    given = hashes[1] if name == ONLY_SHA512 else choices.choice([hashes[0], hashes[0] + hashes[1]])
    model.targets["targets"].add(name)
    return staged(["addhash", "{gun}", name, str(len(content)), *given])


@verb(6)
def remove():
    name = choices.choice(sorted(model.targets["targets"]) or ["t0"])
    model.targets["targets"].discard(name)
    return staged(["remove", "{gun}", name])


@verb(5)
def witness():
    return staged(["witness", "{gun}", "targets"])


@verb(14, lambda: model.known and (model.staged or not model.published))
def publish():
    return published(["publish", "{gun}"])


@verb(4, lambda: model.staged)
def reset_all():
    model.staged, model.delegates = 0, False
    model.roles, model.targets = copy.deepcopy(model.kept)
    return ["reset", "{gun}", "--all"]


@verb(4, lambda: model.staged > 1 and not model.delegates)
def reset_some():
    numbers = choices.sample(range(model.staged), choices.randrange(1, model.staged))
    model.staged -= len(numbers)
    return ["reset", "{gun}", "-n", ",".join(map(str, numbers))]


@verb(9)
def delegation_add():
    role = choices.choice(ROLES)
    model.delegates = True
    signers, paths = model.roles.setdefault(role, (set(), set()))
    given = choices.sample(SIGNERS, choices.randrange(1, 3))
    signers.update(given)
    prefix = choices.choice([["--all-paths"], ["--paths", f"{role[8:]}/,common/"], ["--paths", f"{role[8:]}/"], []])
    if prefix:
        paths.update([""] if prefix == ["--all-paths"] else prefix[1].split(","))
    arguments = ["delegation", "add", "{gun}", role, *[f"{name}.crt" for name in given], *prefix]
    model.staged += 1 if prefix else 0
    return staged(arguments)


@verb(4, lambda: model.published and model.roles)
def delegation_remove_some():
    model.delegates = True
    role = choices.choice(sorted(model.roles))
    signers, paths = model.roles[role]
    if signers and choices.random() < 0.5:
        name = choices.choice(sorted(signers))
        signers.discard(name)
        return staged(["delegation", "remove", "{gun}", role, canonical_ids[name]])
    if paths - {""}:
        path = choices.choice(sorted(paths - {""}))
        paths.discard(path)
        return staged(["delegation", "remove", "{gun}", role, "--paths", path])
    paths.clear()
    return staged(["delegation", "remove", "{gun}", role, "--all-paths"])


@verb(3, lambda: model.published and model.roles)
def delegation_remove():
    model.delegates = True
    role = choices.choice(sorted(model.roles))
    del model.roles[role]
    return staged(["delegation", "remove", "-y", "{gun}", role])


@verb(3, lambda: model.published and model.roles)
def delegation_purge():
    model.delegates = True
    name = choices.choice(SIGNERS)
    for signers, _ in model.roles.values():
        signers.discard(name)
    return staged(["delegation", "purge", "{gun}", "--key", canonical_ids[name]])


@verb(14, lambda: model.published and not model.staged and model.server_snapshot and usable())
def add_to_role():
    role = choices.choice(usable())
    signers, paths = model.roles[role]
    name = choices.choice(sorted(paths)) + f"r{choices.randrange(3)}"
    arguments = ["add", "-p", "{gun}", name, choices.choice(list(FILES)), "-r", role]
    return choices.choice(sorted(signers)), arguments


@verb(4, lambda: model.published and not model.staged and model.server_snapshot and usable())
def witness_role():
    role = choices.choice(usable())
    return choices.choice(sorted(model.roles[role][0])), ["witness", "-p", "{gun}", role]


@verb(5, lambda: model.published)
def rotate():
    role = choices.choice(["targets", "targets", "snapshot", "snapshot -r", "snapshot -r", "timestamp -r", "root"])
    if role.startswith("snapshot"):
        model.server_snapshot = role.endswith("-r")
    return ["key", "rotate", "{gun}", *role.split()]


@verb(2, lambda: model.published and not model.staged)
def delete_here():
    return ["delete", "{gun}"]


@verb(1, lambda: model.published and not model.staged)
def delete_everywhere():
    model.__init__()
    return ["delete", "{gun}", "--remote"]


# ---- What fails, for both -----------------------------------------------------------------------------------------------


@verb(5, lambda: True)
def refused():
    return choices.choice([
        ["add", "{gun}", "t", "no-such-file"], ["addhash", "{gun}", "t", "3"], ["addhash", "{gun}", "t", "x", "--sha256", "00"],
        ["addhash", "{gun}", "t", "3", "--sha256", "00"], ["remove", "{gun}"], ["lookup", "{gun}", "never-there"],
        ["verify", "{gun}", "never-there"], ["reset", "{gun}"], 
        ["delegation", "add", "{gun}", "targets/Upper", "jane.crt", "--all-paths"], ["delegation", "add", "{gun}", "targets/none"],
        ["key", "rotate", "{gun}", "timestamp"], ["key", "rotate", "{gun}", "targets", "-r"], ["key", "rotate", "{gun}", "targets/qa"],
        ["list", "example.com/nowhere"], ["delegation", "list", "example.com/nowhere"], ["witness", "{gun}"],
        ["delegation", "purge", "{gun}"], ["no-such-verb"], ["list"], ["list", "{gun}", "--no-such-flag"],
    ])


# ---- The walk -----------------------------------------------------------------------------------------------------------

history, last = [], []


def compare(what, states):
    """Fails with what differs from the stock client's, which is the first."""
    first = next(iter(states))
    expected = json.dumps(states[first], indent=1, sort_keys=True).splitlines()
    for name, state in states.items():
        actual = json.dumps(state, indent=1, sort_keys=True).splitlines()
        if actual != expected:
            print(f"seed {SEED}: {what} of {name} differs from that of {first} after:", file=sys.stderr)
            for line in history[-12:]:
                print("  " + line, file=sys.stderr)
            for line in list(difflib.unified_diff(expected, actual, first, name, lineterm="", n=4))[:60]:
                print("  | " + line, file=sys.stderr)
            for text in last:
                print(text, file=sys.stderr)
            raise SystemExit(1)


def readings(twin):
    """What readers, old and new, of both kinds see; of one that cannot read, that it cannot."""
    seen = {}
    names = sorted(model.targets["targets"])[:2] + [f"{path}r0" for _, paths in model.roles.values() for path in sorted(paths)][:1]
    for arguments in [["list", twin.gun], *[["list", twin.gun, "-r", role] for role in sorted(model.roles)[:1]],
                      ["delegation", "list", twin.gun], *[["lookup", twin.gun, name] for name in names]]:
        answers = {}
        for tool in TOOLS:
            code, out, _ = run(tool, twin.home(f"reader-{tool}"), arguments)
            rows = out.splitlines() if arguments[0] == "lookup" else table(out)
            rows = [row for row in rows if not row.startswith(ONLY_SHA512 + " ")]
            if arguments[0] == "delegation":
                rows = by_role(rows)
            answers[tool] = [code == 0, rows if code == 0 else []]
        key = twin.text(" ".join(arguments))
        seen[key] = answers["notary"]
        compare(f"the answer to `{' '.join(arguments)}`", answers)
    caches = [cached(twin, f"reader-{tool}") for tool in TOOLS]
    seen["caches of the two readers"] = "equal" if caches[0] == caches[1] else [twin.name, *caches]
    return seen


def by_role(rows):
    """notary sorts delegations by name, hallmark has them in the order in which they are asked. A role may have several rows."""
    roles = []
    for row in rows[2:]:
        if row.startswith(" ") and roles:
            roles[-1].append(row)
        else:
            roles.append([row])
    return rows[:2] + sorted(roles)


def statuses(twin):
    """`status` by either."""
    answers = [table(must(tool, twin.home("owner"), ["status", twin.gun])) for tool in TOOLS]
    return [twin.text("\n".join(rows)) for rows in answers[:1]] + ["equal" if answers[0] == answers[1] else answers]


def take(twin, who, arguments):
    arguments = [twin.gun if argument == "{gun}" else argument for argument in arguments]
    code, out, error = run(twin.tool, twin.home(who), arguments, b"yes\n")
    return code == 0, out + error


def everywhere(function):
    with concurrent.futures.ThreadPoolExecutor(len(twins)) as pool:
        return dict(zip((twin.name for twin in twins), pool.map(function, twins)))


twins = [Twin("notary"), Twin("hallmark"), Twin("mixed")]
signer_ids, canonical_ids = {}, {}


def prepare():
    for name, content in FILES.items():
        Path(name).write_text(content)
    Path("custom").write_text(CUSTOM)
    for name in SIGNERS:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"], check=True, capture_output=True)
        certificate = base64.b64encode(Path(f"{name}.crt").read_bytes()).decode()
        text = '{"keytype":"ecdsa-x509","keyval":{"private":null,"public":"%s"}}' % certificate
        signer_ids[hashlib.sha256(text.encode()).hexdigest()] = f"certificate of {name}"
        for twin in twins:
            must("notary", twin.home(name), ["key", "import", f"{name}.key", "--role", name])
        canonical_ids[name] = next((twins[0].home(name) / "private").iterdir()).stem


def main():
    prepare()
    taken = 0
    counts = {}
    while taken < STEPS:
        possible = [(weight, function) for weight, condition, function in verbs if condition()]
        function = choices.choices([one for _, one in possible], [weight for weight, _ in possible])[0]
        chosen = function()
        who, arguments = chosen if isinstance(chosen, tuple) else ("owner", chosen)
        for twin in twins:
            twin.choose(choices)
        taken += 1
        counts[function.__name__] = counts.get(function.__name__, 0) + 1
        history.append(f"{taken}: {who}: {' '.join(arguments)}  (mixed: by {twins[2].tool})")
        results = everywhere(lambda twin: take(twin, who, arguments))
        last[:] = [f"--- {name}: {'done' if success else 'refused'}\n{text}" for name, (success, text) in results.items()]
        compare("success", {name: success for name, (success, _) in results.items()})
        success = results["notary"][0]
        expected = function is not refused
        if success != expected:
            print("\n".join(history[-12:]), *(text for _, text in results.values()), sep="\n", file=sys.stderr)
            raise SystemExit(f"seed {SEED}: step {taken} should have been {'done' if expected else 'refused'} by all")
        compare("what the server has", everywhere(served))
        compare("what lies on the disk", everywhere(on_disk))
        if model.known and not model.published:
            compare("what was initialised", everywhere(initialized))
        if taken % 4 == 0 and model.known:
            compare("the status", everywhere(statuses))
        if taken % 5 == 0 and model.published:
            compare("what readers see", everywhere(readings))
    print(f"    {taken} steps, seed {SEED}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))


if __name__ == "__main__":
    main()
