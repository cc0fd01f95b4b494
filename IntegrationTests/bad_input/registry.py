#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input for a registry: registry.py ADDRESS [--lenient] [--pid PID]

An image that was pushed before must stay whole, and what a failed request named must not come into being.
"""

import argparse
import hashlib
import json
import os
import threading
import urllib.parse

from wire import ANSWERED, REFUSED_OR_CLOSED, REFUSED_OR_MOVED, Checks, Server, eventually, http_garbage, resident_bytes

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

ACCEPTED_OR_REFUSED = [202, 400, 401, 403, 404, 405, 414]


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Registry(Server):
    def put_manifest(self, repository, reference, data, media_type=MANIFEST):
        return self.request("PUT", f"/v2/{repository}/manifests/{reference}", data, [("Content-Type", media_type)])

    def open_upload(self, repository):
        reply = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        assert reply.status == 202, f"an upload could not be started: {reply}"
        return self.location(reply)

    @staticmethod
    def location(reply):
        url = urllib.parse.urlsplit(reply.headers["location"])
        return url.path + ("?" + url.query if url.query else "")

    @staticmethod
    def with_digest(location, digest):
        return location + ("&" if "?" in location else "?") + "digest=" + urllib.parse.quote(digest, safe="")

    def put_blob(self, repository, data):
        reply = self.request("PUT", self.with_digest(self.open_upload(repository), sha256(data)), data)
        assert reply.status == 201, f"a blob was refused: {reply}"
        return sha256(data)

    def patch(self, location, data, content_range=None):
        headers = [("Content-Type", "application/octet-stream")]
        if content_range is not None:
            headers.append(("Content-Range", content_range))
        return self.request("PATCH", location, data, headers)

    def received(self, location):
        """How many bytes the upload has, by its Range; None if there is no such upload."""
        reply = self.request("GET", location)
        if reply.status == 404:
            return None
        assert reply.status == 204, f"the state of an upload: {reply}"
        last = int(reply.headers["range"].removeprefix("bytes=").split("-")[1])
        return last + 1 if last else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--lenient", action="store_true")
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    server = Registry(options.address)
    repository = "bad/input"

    layer, config = os.urandom(50_000), compact(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    )
    missing = sha256(b"nobody ever pushed this")

    def descriptor(media_type, data):
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}

    def manifest(**members):
        return {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(LAYER, layer)],
            **members,
        }

    good = compact(manifest())
    server.put_blob(repository, layer)
    server.put_blob(repository, config)
    assert server.put_manifest(repository, "good", good).status == 201

    def untouched():
        reply = server.request("GET", f"/v2/{repository}/manifests/good", headers=[("Accept", MANIFEST)])
        assert reply.status == 200 and reply.body == good, f"the good image's manifest: {reply}"
        reply = server.request("GET", f"/v2/{repository}/tags/list")
        assert json.loads(reply.body)["tags"] == ["good"], f"there are other tags than the good image's: {reply}"

    def absent(digest):
        reply = server.request("HEAD", f"/v2/{repository}/blobs/{digest}")
        assert reply.status == 404, f"the blob of a failed upload is there: {reply}"

    checks = Checks(untouched, options.lenient)
    names = (
        "..",
        "a/../b",
        "%2e%2e/%2e%2e/etc",
        "a/%2e%2e/b",
        "a/..%2f..%2fb",
        "",
        "a//b",
        "A",
        "Upper/case",
        "a%00b",
        "a%0ab",
        "%ff%fe",
        "a%5cb",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "_a",
        ".a",
        "a/",
        "a b".replace(" ", "%20"),
        "n" * 5000,
        "n/" * 2000 + "n",
        "a:b",
        "a@b",
        "*",
        "%",
        "%zz",
        "é".encode().decode("latin-1"),
    )

    # ---- names, tags, digests
    for name in names:
        checks.expect(
            f"an upload to {name[:30]!r}",
            lambda: server.request("POST", f"/v2/{name}/blobs/uploads/"),
            REFUSED_OR_MOVED,
        )
        checks.expect(f"a manifest for {name[:30]!r}", lambda: server.put_manifest(name, "tag", good), REFUSED_OR_MOVED)
        checks.expect(
            f"the tags of {name[:30]!r}", lambda: server.request("GET", f"/v2/{name}/tags/list"), REFUSED_OR_MOVED
        )
    for tag in (
        "-a",
        ".a",
        "a%2fb",
        "a" * 129,
        "a" * 5000,
        "%00",
        "a%0a",
        "é".encode().decode("latin-1"),
        "a b".replace(" ", "%20"),
        "..",
        "%2e%2e",
        "a:b",
        "*",
    ):
        checks.expect(
            f"a manifest under the tag {tag[:30]!r}",
            lambda: server.put_manifest(repository, tag, good),
            REFUSED_OR_MOVED,
        )
        checks.expect(
            f"the manifest of the tag {tag[:30]!r}",
            lambda: server.request("GET", f"/v2/{repository}/manifests/{tag}"),
            REFUSED_OR_MOVED,
        )
    digests = (
        "sha256:abc",
        "sha256:" + "G" * 64,
        "sha256:" + sha256(layer)[7:].upper(),
        "md5:" + "0" * 32,
        "sha256:",
        ":",
        "sha256:..%2f..%2f..%2fetc%2fpasswd",
        "sha256:" + "0" * 5000,
        "sha256",
        "sha256%3A" + "0" * 63,
        "nosuch:" + "0" * 64,
        "sha512:" + "0" * 64,
        "%00",
    )
    for digest in digests:
        for kind in ("blobs", "manifests", "referrers"):
            checks.expect(
                f"GET {kind}/{digest[:30]}",
                lambda: server.request("GET", f"/v2/{repository}/{kind}/{digest}"),
                REFUSED_OR_MOVED,
            )
        checks.expect(
            f"DELETE of the blob {digest[:30]}",
            lambda: server.request("DELETE", f"/v2/{repository}/blobs/{digest}"),
            REFUSED_OR_MOVED,
        )

    # ---- uploads that do not become blobs
    data = os.urandom(10_000)
    wrong = sha256(b"something else")
    checks.expect(
        "content that does not match its digest",
        lambda: server.request("PUT", server.with_digest(server.open_upload(repository), wrong), data),
        code="DIGEST_INVALID",
    )
    checks.check("neither digest is there", lambda: (absent(wrong), absent(sha256(data))))
    for digest in digests:
        checks.expect(
            f"an upload closed with {digest[:30]}",
            lambda: server.request(
                "PUT",
                (location := server.open_upload(repository)) + ("&" if "?" in location else "?") + "digest=" + digest,
                data,
            ),
        )
    checks.expect(
        "an upload closed without a digest", lambda: server.request("PUT", server.open_upload(repository), data)
    )
    checks.expect(
        "a single POST that does not match its digest",
        lambda: server.request("POST", f"/v2/{repository}/blobs/uploads/?digest={wrong}", data),
        [202, 400],
    )
    checks.check("neither digest is there after it", lambda: (absent(wrong), absent(sha256(data))))
    for identifier in ("00000000-0000-4000-8000-000000000000", "..%2f..%2fx", "../x", "x" * 5000, "%00", "%ff", "1"):
        for method in ("GET", "PATCH", "PUT", "DELETE"):
            checks.expect(
                f"{method} of the upload {identifier[:20]!r}",
                lambda: server.request(
                    method,
                    f"/v2/{repository}/blobs/uploads/{identifier}?digest={sha256(data)}",
                    data if method[0] == "P" else b"",
                ),
                REFUSED_OR_MOVED,
            )

    def other_repository():
        location = server.open_upload(repository).replace(repository, "bad/other")
        reply = server.patch(location, data)
        assert (
            reply.status is not None and 400 <= reply.status < 500
        ), f"an upload went on in another repository: {reply}"

    checks.check("an upload does not go on in another repository", other_repository)

    def twice():
        location = server.open_upload(repository)
        blob = os.urandom(1000)
        assert server.request("PUT", server.with_digest(location, sha256(blob)), blob).status == 201
        reply = server.request("PUT", server.with_digest(location, sha256(blob)), blob)
        assert reply.status == 404, f"a finished upload was finished again: {reply}"
        assert server.patch(location, blob).status == 404, "a finished upload went on"

    checks.check("a finished upload is over", twice)

    def cancelled():
        location = server.open_upload(repository)
        assert server.request("DELETE", location).status == 204
        assert server.patch(location, data).status == 404, "a cancelled upload went on"

    checks.check("a cancelled upload is over", cancelled)

    # ---- chunks out of order
    def out_of_order():
        blob = os.urandom(3000)
        location = server.open_upload(repository)
        reply = server.patch(location, blob[:1000], "0-999")
        assert reply.status == 202, f"the first chunk: {reply}"
        location = server.location(reply)
        for text, chunk, content_range in (
            ("one too far", blob[2000:], "2000-2999"),
            ("one again", blob[:1000], "0-999"),
            ("one that overlaps", blob[500:1500], "500-1499"),
        ):
            reply = server.patch(location, chunk, content_range)
            assert reply.status == 416, f"{text}: {reply}"
            assert server.received(location) == 1000, f"{text} changed the state of the upload"
        reply = server.patch(location, blob[1000:2000], "1000-1999")
        assert reply.status == 202, f"the next chunk in order: {reply}"
        location = server.location(reply)
        reply = server.request(
            "PUT", server.with_digest(location, sha256(blob)), blob[2000:], [("Content-Range", "2000-2999")]
        )
        assert reply.status == 201, f"the closing chunk: {reply}"
        assert server.request("GET", f"/v2/{repository}/blobs/{sha256(blob)}").body == blob

    checks.check("chunks out of order are refused, the right ones go on", out_of_order)

    for content_range in (
        "a-b",
        "9-0",
        "-1-5",
        "0-18446744073709551616",
        "0-",
        "-",
        "",
        "0-99999",
        "0-0",
        "bytes 0-9/10 x",
    ):

        def bad_range(content_range=content_range):
            location = server.open_upload(repository)
            reply = server.patch(location, data, content_range)
            assert reply.status is not None and 400 <= reply.status < 500, f"{reply}"
            assert server.received(location) == 0, "it changed the state of the upload"

        checks.check(f"a chunk with the Content-Range {content_range!r}", bad_range)

    def cut_and_resumed():
        blob = os.urandom(2_000_000)
        location = server.open_upload(repository)
        head = server.head(
            "PATCH", location, [("Content-Type", "application/octet-stream"), ("Content-Length", len(blob))]
        )
        server.cut(head + blob[:700_000])
        reply = None

        def resumed():
            # The server may still be taking in what had arrived: then the offset moves, and the client asks again.
            nonlocal reply
            offset = server.received(location)
            assert offset is not None and offset <= 700_000, f"after 700,000 of 2,000,000 bytes the upload has {offset}"
            reply = server.patch(location, blob[offset:], f"{offset}-{len(blob) - 1}")
            assert reply.status in (202, 416), f"going on at {offset}: {reply}"
            return reply.status == 202

        eventually(resumed)
        reply = server.request("PUT", server.with_digest(server.location(reply), sha256(blob)))
        assert reply.status == 201, f"closing it: {reply}"
        assert server.request("GET", f"/v2/{repository}/blobs/{sha256(blob)}").body == blob

    checks.check("a connection cut in a chunk: the upload goes on where it was", cut_and_resumed)

    def cut_at_the_end():
        blob = os.urandom(500_000)
        location = server.open_upload(repository)
        server.cut(
            server.head("PUT", server.with_digest(location, sha256(blob)), [("Content-Length", len(blob))]) + blob[:-1]
        )
        absent(sha256(blob))
        assert server.put_blob(repository, blob)

    checks.check("a connection cut in the closing request: no blob, and it can be pushed again", cut_at_the_end)

    def racing():
        blob = os.urandom(1_000_000)
        results = []

        def push():
            try:
                results.append(server.put_blob(repository, blob))
            except Exception as error:
                results.append(error)

        threads = [threading.Thread(target=push) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [sha256(blob)] * 8, f"eight pushes of one blob: {results}"
        assert server.request("GET", f"/v2/{repository}/blobs/{sha256(blob)}").body == blob

    checks.check("eight pushes of one blob at once all succeed", racing)

    # ---- manifests
    def put(data, media_type=MANIFEST, reference="bad"):
        def send():
            reply = server.put_manifest(repository, reference, data, media_type)
            if reply.status == 201:  # wrongly accepted, or harmless: what comes next must not stumble over it
                server.request("DELETE", f"/v2/{repository}/manifests/bad")
                if data != good:
                    server.request("DELETE", f"/v2/{repository}/manifests/{sha256(data)}")
            return reply

        return send

    absent_blob = {"mediaType": LAYER, "digest": missing, "size": 10}
    index = {"schemaVersion": 2, "mediaType": INDEX}
    checks.expect(
        "a layer that is not there", put(compact(manifest(layers=[absent_blob]))), code="MANIFEST_BLOB_UNKNOWN"
    )
    checks.expect(
        "a config that is not there", put(compact(manifest(config=absent_blob))), code="MANIFEST_BLOB_UNKNOWN"
    )
    checks.expect(
        "an index of a manifest that is not there",
        put(compact({**index, "manifests": [{"mediaType": MANIFEST, "digest": missing, "size": 10}]}), INDEX),
        code="MANIFEST_BLOB_UNKNOWN",
    )
    checks.expect("a digest that is not the content's", put(good, reference=missing), code="DIGEST_INVALID")
    checks.expect(
        "it is not there under it",
        lambda: server.request("GET", f"/v2/{repository}/manifests/{missing}"),
        404,
        essential=True,
    )
    texts = {
        "nothing": b"",
        "null": b"null",
        "an array": b"[]",
        "a number": b"7",
        "a lone brace": b"{",
        "no members": b"{}",
        "two values": good + b"{}",
        "100,000 arrays in each other": b"[" * 100_000 + b"]" * 100_000,
        "100,000 arrays in an annotation": compact(manifest())[:-1]
        + b',"annotations":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}",
        "5 MB": compact(manifest(annotations={"a": "b" * 5_000_000})),
        "40 MB": compact(manifest(annotations={"a": "b" * 40_000_000})),
        "a NUL byte": good[:-1] + b"\x00}",
        "invalid UTF-8": good.replace(b"schemaVersion", b"schema\xff\xfeVersion"),
        "UTF-16": good.decode().encode("utf-16"),
        "schemaVersion 1": compact(manifest(schemaVersion=1)),
        "schemaVersion -2": compact(manifest(schemaVersion=-2)),
        "schemaVersion 2^64": compact(manifest(schemaVersion=2**64)),
        "schemaVersion in quotes": compact(manifest(schemaVersion="2")),
        "layers and manifests": compact(manifest(manifests=[])),
        "another mediaType": compact(manifest(mediaType=INDEX)),
        "layers being an object": compact(manifest(layers={})),
        "layers of null": compact(manifest(layers=[None])),
        "a config of null": compact(manifest(config=None)),
    }
    for name, text in texts.items():
        checks.expect(f"a manifest of {name}", put(text), REFUSED_OR_CLOSED)
    for digest in ("sha256:abc", "sha256:../../x", "", None, 5, "md5:" + "0" * 32, "sha256:" + "0" * 100_000):
        checks.expect(
            f"a layer with the digest {str(digest)[:30]!r}",
            put(compact(manifest(layers=[{"mediaType": LAYER, "digest": digest, "size": 1}]))),
        )
    for size in (-1, 2**63, 2**64, 1.5, "1", None, 1e300):
        checks.expect(
            f"a layer with the size {size!r}",
            put(compact(manifest(layers=[{**descriptor(LAYER, layer), "size": size}]))),
        )
    checks.expect("30,000 layers", put(compact(manifest(layers=[descriptor(LAYER, layer)] * 30_000))), ANSWERED)
    for media_type in (
        "text/plain",
        "application/json",
        "",
        "application/vnd.docker.distribution.manifest.v1+json",
        "x" * 5000,
    ):
        checks.expect(f"the Content-Type {media_type[:30]!r}", put(good, media_type))
    for subject in (
        {},
        {"mediaType": MANIFEST, "digest": "sha256:abc", "size": 1},
        5,
        [],
        {"mediaType": MANIFEST, "digest": missing, "size": -1},
    ):
        checks.expect(f"the subject {str(subject)[:40]}", put(compact(manifest(subject=subject))))

    # ---- mounts, ranges, pages, methods
    for source in ("..", "a/../b", "A", "n" * 5000, "%00", "bad/other", ""):
        checks.expect(
            f"a mount from {source[:20]!r}",
            lambda: server.request("POST", f"/v2/{repository}/blobs/uploads/?mount={missing}&from={source}"),
            ACCEPTED_OR_REFUSED,
        )
    checks.expect(
        "a mount of no digest",
        lambda: server.request("POST", f"/v2/{repository}/blobs/uploads/?mount=..%2f..&from=bad/input"),
        ACCEPTED_OR_REFUSED,
    )
    for value in (
        "bytes=500-0",
        "bytes=99999999-",
        "bytes=-0",
        "bytes=0-18446744073709551616",
        "bytes=18446744073709551616-",
        "bytes=a-b",
        "bytes=",
        "lines=1-2",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(1000)),
        "bytes=--1",
        "bytes=-99999999999999999999",
    ):
        checks.expect(
            f"the Range {value[:40]}",
            lambda: server.request("GET", f"/v2/{repository}/blobs/{sha256(layer)}", headers=[("Range", value)]),
            ANSWERED,
        )
    for query in (
        "n=-1",
        "n=x",
        "n=99999999999999999999",
        "n=1.5",
        "n=",
        "last=..%2f..",
        "last=%00",
        "last=" + "a" * 5000,
        "n=1&n=2",
        "last=%ff",
    ):
        checks.expect(
            f"tags/list?{query[:20]}", lambda: server.request("GET", f"/v2/{repository}/tags/list?{query}"), ANSWERED
        )
        checks.expect(f"_catalog?{query[:20]}", lambda: server.request("GET", f"/v2/_catalog?{query}"), ANSWERED)
    for method, path in (
        ("PUT", "tags/list"),
        ("POST", "manifests/good"),
        ("PATCH", "manifests/good"),
        ("PUT", f"blobs/{missing}"),
        ("POST", f"blobs/{sha256(layer)}"),
        ("DELETE", "tags/list"),
        ("PUT", ""),
    ):
        checks.expect(f"{method} {path[:20]}", lambda: server.request(method, f"/v2/{repository}/{path}"))

    # ---- a slow upload
    def slow_upload():
        blob = os.urandom(2000)
        location = server.open_upload(repository)
        with server.connect() as connection:
            connection.sendall(
                server.head("PUT", server.with_digest(location, sha256(blob)), [("Content-Length", len(blob))])
            )
            for start in range(0, len(blob), 200):
                connection.sendall(blob[start : start + 200])
                assert server.request("GET", f"/v2/{repository}/blobs/{sha256(layer)}").body == layer
            response = connection.recv(12)
        assert response == b"HTTP/1.1 201", f"a slow upload ended with {response!r}"

    checks.check("others are served while an upload comes in slowly, and it is accepted", slow_upload)

    if options.pid:

        def streamed():
            before = resident_bytes(options.pid)
            location = server.open_upload(repository)
            chunk, digest, total = os.urandom(1_000_000), hashlib.sha256(), 300
            with server.connect() as connection:
                connection.sendall(server.head("PATCH", location, [("Content-Length", total * len(chunk))]))
                for _ in range(total):
                    connection.sendall(chunk)
                    digest.update(chunk)
                grown = resident_bytes(options.pid) - before
                start = connection.recv(12)
            assert start == b"HTTP/1.1 202", f"300 MB in one chunk: {start!r}"
            assert grown < 150_000_000, f"the server grew by {grown} bytes for a blob of 300 MB"
            assert server.request("DELETE", location).status == 204

        checks.check("a blob of 300 MB is not held in memory", streamed)

    http_garbage(checks, server)

    def still_good():
        fresh = os.urandom(100_000)
        server.put_blob("bad/fresh", fresh)
        server.put_blob("bad/fresh", layer)
        server.put_blob("bad/fresh", config)
        assert server.put_manifest("bad/fresh", "good", good).status == 201
        assert server.request("GET", f"/v2/bad/fresh/blobs/{sha256(fresh)}").body == fresh
        assert server.request("GET", f"/v2/{repository}/blobs/{sha256(layer)}").body == layer
        reply = server.request("GET", "/v2/_catalog")
        assert json.loads(reply.body)["repositories"] == [
            "bad/fresh",
            "bad/input",
        ], f"failed requests made repositories: {reply}"

    checks.check("the good image is whole, pushing works, no repository came of all this", still_good, essential=True)
    checks.finish()


if __name__ == "__main__":
    main()
