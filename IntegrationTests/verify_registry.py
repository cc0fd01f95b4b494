#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a whole registry over its API and hashes everything: verify_registry.py URL CA USER PASSWORD

Walks from the catalog to every tag, and from there to every manifest and blob. Prints the number of each; ends with 1, and says
which, when something is missing or its bytes are not what its digest says.
"""

import base64
import hashlib
import json
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request


class Registry:
    def __init__(self, url, authority, user, password):
        self.url = url
        self.context = ssl.create_default_context(cafile=authority)
        self.login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.token = None

    def get(self, path, **headers):
        """The body and the fields; with a new token where that is asked for."""
        for _ in range(2):
            fields = dict(headers, **({"Authorization": "Bearer " + self.token} if self.token else {}))
            request = urllib.request.Request(urllib.parse.urljoin(self.url, path), headers=fields)
            try:
                with urllib.request.urlopen(request, context=self.context) as reply:
                    return reply.read(), reply.headers
            except urllib.error.HTTPError as error:
                if error.code != 401:
                    raise
                self.log_in(error.headers["WWW-Authenticate"])
        raise SystemExit(f"{path}: no access")

    def log_in(self, challenge):
        values = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        query = urllib.parse.urlencode({"service": values["service"], "scope": values["scope"]})
        request = urllib.request.Request(f"{values['realm']}?{query}", headers={"Authorization": self.login})
        with urllib.request.urlopen(request, context=self.context) as reply:
            self.token = json.load(reply)["token"]

    def pages(self, path, key):
        while path:
            body, headers = self.get(path)
            yield from json.loads(body)[key]
            link = re.match(r"<([^>]*)>", headers.get("Link", ""))
            path = link and link[1]


def check(digest, size, body, what):
    algorithm, _, encoded = digest.partition(":")
    if hashlib.new(algorithm, body).hexdigest() != encoded:
        raise SystemExit(f"{what}: its bytes do not hash to {digest}")
    if size is not None and len(body) != size:
        raise SystemExit(f"{what}: {digest} has {len(body)} bytes, not {size}")


def walk(registry, repository, digest, size, seen):
    """A manifest and all below it."""
    if (repository, digest) in seen:
        return
    seen.add((repository, digest))
    body, _ = registry.get(f"/v2/{repository}/manifests/{digest}", Accept="*/*")
    check(digest, size, body, f"manifest of {repository}")
    manifest = json.loads(body)
    for child in manifest.get("manifests", []):
        walk(registry, repository, child["digest"], child["size"], seen)
    for blob in [manifest.get("config"), *manifest.get("layers", [])]:
        if blob and (repository, blob["digest"]) not in seen:
            seen.add((repository, blob["digest"]))
            content, _ = registry.get(f"/v2/{repository}/blobs/{blob['digest']}")
            check(blob["digest"], blob["size"], content, f"blob of {repository}")


def main():
    registry = Registry(*sys.argv[1:])
    tags, seen = 0, set()
    for repository in list(registry.pages("/v2/_catalog", "repositories")):
        for tag in list(registry.pages(f"/v2/{repository}/tags/list?n=3", "tags")):
            _, headers = registry.get(f"/v2/{repository}/manifests/{tag}", Accept="*/*")
            walk(registry, repository, headers["Docker-Content-Digest"], None, seen)
            tags += 1
    print(f"{tags} tags, {len(seen)} manifests and blobs")


if __name__ == "__main__":
    main()
