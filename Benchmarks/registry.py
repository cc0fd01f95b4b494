# SPDX-License-Identifier: Apache-2.0
"""The registry beside Debian's docker-registry, beside a plain server of files, and beside SHA-256's own speed."""

import concurrent.futures
import hashlib
import http.client
import json
import statistics
import subprocess
import time
import urllib.parse

from loads import MIB
from report import memory
from servers import DockerRegistry, HallmarkRegistry, PlainFiles, PostgreSQL, pinned

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Pusher:
    """What is there before anything is measured, over one connection."""

    def __init__(self, registry, repository):
        self.connection = http.client.HTTPConnection(registry.split("//")[1], timeout=30)
        self.repository = repository
        self.registry = registry

    def request(self, method, path, body=b"", **headers):
        self.connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        reply = self.connection.getresponse()
        reply.read()
        if reply.status not in (201, 202):
            raise SystemExit(f"{self.registry}: {method} {path}: {reply.status}")
        return reply

    def blob(self, content, media_type):
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        location = self.request("POST", f"/v2/{self.repository}/blobs/uploads/").headers["Location"]
        joint = "&" if "?" in location else "?"
        self.request("PUT", f"{location}{joint}digest={digest}", content, Content_Type="application/octet-stream")
        return {"mediaType": media_type, "size": len(content), "digest": digest}

    def manifest(self, layers):
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.blob(b'{"architecture":"amd64","os":"linux"}', "application/vnd.oci.image.config.v1+json"),
            "layers": [
                self.blob(f"layer {number}".encode() * 100, "application/vnd.oci.image.layer.v1.tar+gzip")
                for number in range(layers)
            ],
        }
        return json.dumps(manifest, indent=2).encode()

    def tag(self, content, tag):
        self.request("PUT", f"/v2/{self.repository}/manifests/{tag}", content, Content_Type=MANIFEST_TYPE)


def push_image(registry):
    """An image of five small layers; the digest of its manifest, of a size that is usual."""
    pusher = Pusher(registry, "bench/image")
    content = pusher.manifest(5)
    pusher.tag(content, "latest")
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def bench_registry(report, loads, settings, directory):
    ours = HallmarkRegistry(f"{directory}/registry-ours", settings)
    theirs = DockerRegistry(f"{directory}/registry-theirs", settings)
    servers = (ours, theirs)
    compare_starts(report, ours, theirs, settings)
    for server in servers:
        server.start()
    compare_manifests(report, loads, ours, theirs)
    compare_blobs(report, loads, settings, directory, ours, theirs)
    compare_small_blobs(report, loads, settings, ours, theirs)
    memory(report, "docker-registry", ours, theirs)
    theirs.stop()
    list_tags(report, ours, 10_000)
    large_and_many(report, loads, ours, settings)
    ours.stop()
    compare_on_postgresql(report, loads, settings, directory, theirs)


def compare_starts(report, ours, theirs, settings):
    """Each is started again and again on data that is there; the clock runs until it has answered a request."""

    def start(server):
        began = time.monotonic()
        server.start()
        milliseconds = (time.monotonic() - began) * 1000
        time.sleep(1)
        idle = server.memory("VmRSS")
        server.stop()
        return {"rate": milliseconds}, {"rate": idle}

    for server in (ours, theirs):
        server.start()
        server.stop()
    pairs = [(start(ours), start(theirs)) for _ in range(report.rounds)]
    for index, what, unit, most in [
        (0, "registry: start to first answer", "ms", 50),
        (1, "registry: idle memory", "MiB", 25),
    ]:
        row = report.add(what, unit, [mine[index] for mine, _ in pairs], [other[index] for _, other in pairs], True)
        report.goal(f"{what}, {unit}", row["ours"], most=most)


def compare_manifests(report, loads, ours, theirs, prefix="manifests: ", references=("tag", "digest")):
    for server in (ours, theirs):
        digest = push_image(server.registry)
    for reference in references:
        path = {"tag": "latest", "digest": digest}[reference]
        for what, options, least in [
            (f"by {reference}, kept alive", {}, 20),
            (f"by {reference}, a connection each", {"reconnect": True}, 5),
        ]:
            row = report.compare(
                prefix + what,
                "/s",
                ours,
                theirs,
                lambda server: loads.get(
                    f"{server.registry}/v2/bench/image/manifests/{path}", headers=[f"Accept: {MANIFEST_TYPE}"], **options
                ),
            )
            report.goal(f"{prefix}{what}, times docker-registry", row["ratio"], least=least)


def compare_blobs(report, loads, settings, directory, ours, theirs):
    size = settings.blob_mib * MIB
    hashing = [loads.hashing_speed()]
    rates = {}
    for style, what in [("put", "one PUT"), ("stream", "one streamed PATCH"), ("chunks", "PATCHes of 16 MiB")]:
        fresh = {"takers": set()}

        def upload(server):
            # Both get the same bytes in a round, and new ones in the next.
            if not fresh["takers"]:
                fresh["blob"] = loads.new_blob(size, settings.blob_mib // 16 if style == "chunks" else 1)
            fresh["takers"] ^= {server}
            if len(fresh["takers"]) == 2:
                fresh["takers"].clear()
            return loads.upload(server.registry, fresh["blob"], style)

        row = report.compare(f"upload of {settings.blob_mib} MiB, {what}", "MiB/s", ours, theirs, upload)
        report.goal(f"upload, {what}, times docker-registry", row["ratio"], least=1.25)
        rates[what] = row["ours"]
        hashing.append(loads.hashing_speed())
    speed = statistics.median(result["rate"] for result in hashing)
    for what, rate in rates.items():
        report.add(f"upload, {what}, vs SHA-256 alone", "MiB/s", [{"rate": rate}], hashing)
        report.goal(f"upload, {what}, part of SHA-256's own speed", rate / speed, least=0.85)

    digest = fresh["blob"][1]
    path = f"/v2/bench/big/blobs/{digest}"
    plain = PlainFiles(f"{directory}/plain-files", settings)
    for server in (ours, theirs):
        fetched = subprocess.run(["curl", "--silent", server.registry + path], stdout=subprocess.PIPE, check=True).stdout
        if f"sha256:{hashlib.sha256(fetched).hexdigest()}" != digest:
            raise SystemExit(f"{server.name} serves other bytes than it was given")
    (plain.directory / "blob").write_bytes(fetched)
    plain.start()
    for peer, least, what in [(theirs, 1.5, "times docker-registry"), (plain, 0.85, "part of a plain file server's")]:
        row = report.compare(
            f"download of {settings.blob_mib} MiB, vs {peer.name}",
            "MiB/s",
            ours,
            peer,
            lambda server: loads.download(server.url if server is plain else server.registry + path, size),
        )
        report.goal(f"download, {what}", row["ratio"], least=least)
    plain.stop()


def compare_small_blobs(report, loads, settings, ours, theirs):
    for connections, least in [(8, 5), (1, 3)]:
        what = f"blobs of 8 KiB, {connections} connection{'s'[:connections > 1]}"
        # Enough for a hundredth of them to be several.
        counts = {ours: settings.seconds * 800, theirs: settings.seconds * (200 if connections == 8 else 100)}
        row = report.compare(
            what, "/s", ours, theirs, lambda server: loads.own("blobs", server.registry, connections, counts[server])
        )
        report.goal(f"{what}, times docker-registry", row["ratio"], least=least)
        report.goal(f"{what}, p99 in medians", row["ours_p99_ms"] / row["ours_p50_ms"], most=3)


def list_tags(report, server, count):
    """All tags of a repository that has many, in pages of 100, as a client reads them: each page names the next."""
    repository = "bench/tags"
    content = Pusher(server.registry, repository).manifest(1)

    def push(numbers):
        pusher = Pusher(server.registry, repository)
        for number in numbers:
            pusher.tag(content, f"v{number:05}")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(push, [range(first, count, 8) for first in range(8)]))

    def read():
        connection = http.client.HTTPConnection(server.registry.split("//")[1], timeout=30)
        tags, next_page = [], f"/v2/{repository}/tags/list?n=100"
        began = time.monotonic()
        while next_page:
            connection.request("GET", next_page)
            reply = connection.getresponse()
            link = reply.headers["Link"]
            tags += json.loads(reply.read())["tags"]
            next_page = urllib.parse.urljoin(next_page, link[1 : link.index(">")]) if link else None
        seconds = time.monotonic() - began
        if tags != [f"v{number:05}" for number in range(count)]:
            raise SystemExit(f"{server.name}: {len(tags)} tags were listed, or in another order")
        return seconds

    seconds = statistics.median(read() for _ in range(report.rounds))
    report.goal(f"{count:,} tags in pages of 100, s", seconds, most=0.1)


def large_and_many(report, loads, server, settings):
    """Uploads at the same time, far more bytes than may be held in memory; then what is left when all is quiet."""
    paths, digest = loads.new_blob(settings.blob_mib // 4 * MIB)
    command = ["curl", "--silent", "--fail", "--no-progress-meter", "--parallel", "--parallel-max", "32", "--header", "Expect:"]
    locations = [loads.begin_upload(server.registry)[0] for _ in range(32)]
    for location in locations:
        joint = "&" if "?" in location else "?"
        url = f"{location}{joint}digest={urllib.parse.quote(digest)}"
        command += ["--upload-file", paths[0], "--output", "/dev/null", url]
    subprocess.run(command, check=True, preexec_fn=pinned(settings.client_cpu, settings.nice))
    report.goal("peak memory of all until here, MiB", server.memory("VmHWM"), most=100)
    time.sleep(3)
    report.goal("memory three seconds after the last request, MiB", server.memory("VmRSS"), most=25)


def compare_on_postgresql(report, loads, settings, directory, theirs):
    """Metadata in PostgreSQL, which has the servers' core to share."""
    postgresql = PostgreSQL(f"{directory}/registry-postgresql", settings)
    postgresql.start()
    ours = HallmarkRegistry(f"{directory}/registry-on-postgresql", settings, postgresql)
    for server in (ours, theirs):
        server.start()
    compare_manifests(report, loads, ours, theirs, "PostgreSQL: manifests ", ["tag"])
    for server in (ours, theirs, postgresql):
        server.stop()
