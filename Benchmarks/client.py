# SPDX-License-Identifier: Apache-2.0
"""The command beside the `notary` client on the same trust server, and beside `skopeo copy` on the same registry."""

import base64
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from loads import MIB
from servers import Hallmark, Notary, pinned

PASSPHRASES = {
    name: "the passphrase of the bench"
    for name in (
        "NOTARY_ROOT_PASSPHRASE",
        "NOTARY_TARGETS_PASSPHRASE",
        "NOTARY_SNAPSHOT_PASSPHRASE",
        "NOTARY_DELEGATION_PASSPHRASE",
        "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE",
        "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
    )
}
SMALL, LARGE = "bench.example/small", "bench.example/large"
TARGETS = {SMALL: 10, LARGE: 1000}

# A child's peak of memory begins with that of whoever started it: so that is a program of next to none.
MEASURED = """
import json, os, sys, time
began = time.monotonic()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.monotonic() - began
figures = {"rate": seconds * 1000, "cpu_us": (usage.ru_utime + usage.ru_stime) * 1e6, "peak": usage.ru_maxrss / 1024}
print(json.dumps(figures), file=open(os.environ["BENCH_FIGURES"], "w"))
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Client:
    """A command that is run on the clients' core, with a home of its own."""

    def __init__(self, name, directory, settings):
        self.name = name
        self.home = pathlib.Path(directory) / f"home-{name}"
        (self.home / ".docker").mkdir(parents=True)
        self.settings = settings
        self.trust = self.home / "trust"

    def run(self, *command):
        """Wall time in ms, processor time, and the most resident memory in MiB."""
        figures = self.home / "figures"
        environment = {**os.environ, **PASSPHRASES, "HOME": str(self.home), "BENCH_FIGURES": str(figures)}
        result = subprocess.run(
            [sys.executable, "-I", "-S", "-c", MEASURED, *map(str, command)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            preexec_fn=pinned(self.settings.client_cpu, self.settings.nice),
        )
        if result.returncode != 0:
            raise SystemExit(f"{self.name} failed: {result.stderr.strip() or result.stdout.strip()}\n{command}")
        return {**json.loads(figures.read_text()), "output": result.stdout}


class TrustReader(Client):
    """`hallmark` or `notary` on a trust server."""

    def __init__(self, name, program, directory, settings, server):
        super().__init__(name, directory, settings)
        self.program = program
        self.server = server

    def ask(self, verb, *arguments):
        options = ["--server", self.server.trust, "--tlscacert", self.server.authority, "--trustDir", self.trust]
        if self.name == "notary":
            return self.run(self.program, *options, verb, *arguments)
        return self.run(self.program, verb, *options, *arguments)

    def forget(self):
        shutil.rmtree(self.trust, ignore_errors=True)


def stage(trust, gun, count):
    """What `notary add` leaves behind for each of so many targets."""
    changes = trust / "tuf" / gun / "changelist"
    changes.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        digest = base64.b64encode(hashlib.sha256(f"{gun} {number}".encode()).digest()).decode()
        meta = json.dumps({"length": 1000 + number, "hashes": {"sha256": digest}})
        change = {
            "action": "create",
            "role": "targets",
            "type": "target",
            "path": f"v1.{number}",
            "data": base64.b64encode(meta.encode()).decode(),
        }
        (changes / f"{number:020d}_bench.change").write_text(json.dumps(change))


def found(result, *texts):
    for text in texts:
        if text not in result["output"]:
            raise SystemExit(f"the answer has no {text}:\n{result['output'][:500]}")
    return result


def compare(report, what, rounds, clients, measure, peaks=False):
    """Takes turns; who is first changes from round to round."""
    results = {client: [] for client in clients}
    for number in range(rounds):
        for client in clients if number % 2 == 0 else reversed(clients):
            results[client].append(measure(client))
    ours, theirs = (results[client] for client in clients)
    row = report.add(what, "ms", ours, theirs, less_is_better=True)
    if peaks:
        mine, others = ([{"rate": result["peak"]} for result in each] for each in (ours, theirs))
        report.add(f"{what}, peak memory", "MiB", mine, others, less_is_better=True)
    return row


def compare_trust(report, settings, directory, server, prefix):
    """What `notary` does, on one collection of a server; each has a copy of the same keys."""
    directory = pathlib.Path(directory)
    clients = [
        TrustReader("hallmark", settings.hallmark, directory, settings, server),
        TrustReader("notary", "notary", directory, settings, server),
    ]
    ours, theirs = clients
    for gun, count in TARGETS.items():
        theirs.ask("init", gun)
        stage(theirs.trust, gun, count)
        theirs.ask("publish", gun)
        theirs.ask("key", "rotate", gun, "snapshot", "--server-managed")
    keys = directory / "keys"
    shutil.move(theirs.trust, keys)

    def cold(verb, gun, *arguments, answer):
        def measure(client):
            client.forget()
            return found(client.ask(verb, gun, *arguments), *answer)

        return measure

    def warm(verb, gun, *arguments, answer):
        return lambda client: found(client.ask(verb, gun, *arguments), *answer)

    everything = [f"v1.{number} " for number in range(TARGETS[LARGE])]
    ratios = []
    for what, verb, gun, arguments, answer in [
        ("lookup", "lookup", SMALL, ["v1.7"], ["v1.7"]),
        ("list of 1,000", "list", LARGE, [], everything),
    ]:
        for state, measure in [("nothing known", cold), ("known", warm)]:
            row = compare(
                report, f"{prefix}{what}, {state}", settings.rounds * 3, clients, measure(verb, gun, *arguments, answer=answer)
            )
            ratios.append((row["what"], row["ratio"]))

    for client in clients:
        client.forget()
        shutil.copytree(keys, client.trust)
    content = directory / "content"
    names = iter(range(1000))

    def publish(client):
        number = next(names)
        content.write_text(f"{number}")
        return client.ask("add", SMALL, f"new{number}", content, "--publish")

    row = compare(report, f"{prefix}publish of a new target", settings.rounds * 3, clients, publish)
    ratios.append((row["what"], row["ratio"]))
    published = ours.ask("list", SMALL)
    found(published, *[f"new{number} " for number in range(settings.rounds * 6)])
    for what, ratio in ratios:
        report.goal(f"{what}: times as fast as notary", ratio, least=2)


class Images:
    """OCI layouts of incompressible layers, made once."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.seed = os.urandom(MIB)

    def make(self, mib, layers):
        layout = self.directory / f"image-{mib}"
        blobs = layout / "blobs/sha256"
        blobs.mkdir(parents=True)

        def add(content, media_type):
            digest = hashlib.sha256(content).hexdigest()
            (blobs / digest).write_bytes(content)
            return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(content)}

        def layer():
            # Stored, not compressed: a client that looks inside finds gzip, and leaves it as it is.
            path = blobs / "layer"
            with gzip.GzipFile(path, "wb", 0, mtime=0) as file:
                for _ in range(max(1, mib // layers)):
                    file.write(os.urandom(16) + self.seed[16:])
            digest = hashlib.file_digest(open(path, "rb"), "sha256").hexdigest()
            path.rename(blobs / digest)
            size = (blobs / digest).stat().st_size
            return {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": size}

        descriptors = [layer() for _ in range(layers)]
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        config["rootfs"]["diff_ids"] = [descriptor["digest"] for descriptor in descriptors]
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": add(json.dumps(config).encode(), "config.v1+json"),
            "layers": descriptors,
        }
        top = add(json.dumps(manifest).encode(), "manifest.v1+json")
        top["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
        (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
        (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return layout


class ImageClient(Client):
    """What moves an image between a layout and the registry of a server of its own."""

    def start(self, directory):
        self.data = pathlib.Path(directory) / f"server-{self.name}"
        self.server = Hallmark(self.data, self.settings)
        self.server.start()

    @property
    def image(self):
        return self.server.registry.split("//")[1] + "/bench/image:latest"

    def stop(self):
        self.server.stop()
        shutil.rmtree(self.data)
        shutil.rmtree(self.trust, ignore_errors=True)


class HallmarkImages(ImageClient):
    def options(self):
        return ["--server", self.server.trust, "--tlscacert", self.server.authority, "--trust-dir", self.trust]

    def push(self, layout):
        return self.run(self.settings.hallmark, "push", *self.options(), layout, self.image)

    def pull(self, layout):
        return found(self.run(self.settings.hallmark, "pull", *self.options(), self.image, layout), "signed by targets")


class SkopeoImages(ImageClient):
    def push(self, layout):
        return self.copy("--dest-tls-verify=false", f"oci:{layout}:latest", f"docker://{self.image}")

    def pull(self, layout):
        return self.copy("--src-tls-verify=false", f"docker://{self.image}", f"oci:{layout}:latest")

    def copy(self, *arguments):
        return self.run("skopeo", "--insecure-policy", "copy", "--quiet", *arguments)


def compare_images(report, loads, settings, directory):
    directory = pathlib.Path(directory)
    images = Images(directory)
    clients = [HallmarkImages("hallmark", directory, settings), SkopeoImages("skopeo", directory, settings)]
    small = images.make(1, 1)
    peaks = {}
    for mib in [int(size) for size in settings.images.split(",")]:
        layout = images.make(mib, 20)
        name = f"{mib:,} MiB"
        what = {
            "push": lambda client: client.push(layout),
            "push of what is there": lambda client: client.push(layout),
            "pull": lambda client: pull(client, directory / "pulled", layout),
        }
        results = {each: {client: [] for client in clients} for each in what}
        rounds = settings.rounds if mib <= 1024 else 1
        for number in range(rounds):
            for client in clients if number % 2 == 0 else reversed(clients):
                # The machine's first touch of memory falls on nobody.
                loads.warm(mib * MIB * 2)
                client.start(directory)
                # The repository is there, and so is, on its trust server, the collection.
                client.push(small)
                for each, measure in what.items():
                    results[each][client].append(measure(client))
                client.stop()
        for each in what:
            ours, theirs = (results[each][client] for client in clients)
            row = report.add(f"{name}: {each}", "ms", ours, theirs, less_is_better=True)
            mine, others = ([{"rate": result["peak"]} for result in side] for side in (ours, theirs))
            report.add(f"{name}: {each}, peak memory", "MiB", mine, others, less_is_better=True)
            peaks.setdefault(each, {})[mib] = statistics.median(result["peak"] for result in ours)
            if mib == 1024:
                report.goal(f"{name}, 20 layers: {each}, times as fast as skopeo", row["ratio"], least=1)
        shutil.rmtree(layout)
    for each, sizes in peaks.items():
        if len(sizes) > 1:
            least, most = min(sizes), max(sizes)
            report.goal(f"{each}: peak memory with {most:,} MiB to that with {least:,}", sizes[most] / sizes[least], most=1.25)


def pull(client, destination, original):
    shutil.rmtree(destination, ignore_errors=True)
    result = client.pull(destination)
    blobs = {path.name: path.stat().st_size for path in (destination / "blobs/sha256").iterdir()}
    if blobs != {path.name: path.stat().st_size for path in (original / "blobs/sha256").iterdir()}:
        raise SystemExit(f"{client.name} did not pull what was pushed")
    shutil.rmtree(destination)
    return result


def bench_client(report, loads, settings, directory):
    for name, server, prefix in [
        ("client-ours", Hallmark, "client: "),
        ("client-theirs", Notary, "client of notary-server: "),
    ]:
        place = pathlib.Path(directory) / name
        running = server(place, settings)
        running.start()
        compare_trust(report, settings, place, running, prefix)
        running.stop()
    place = pathlib.Path(directory) / "client-images"
    place.mkdir()
    compare_images(report, loads, settings, place)
