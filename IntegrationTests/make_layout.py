#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes an OCI image layout: make_layout.py DIRECTORY TEXT [--layers N] [--layer-bytes N] [--platforms A,B]"""

import argparse
import gzip
import hashlib
import io
import json
import os
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Layout:
    def __init__(self, directory):
        self.directory = directory
        os.makedirs(os.path.join(directory, "blobs", "sha256"), exist_ok=True)

    def add(self, media_type, data, **members):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.directory, "blobs", "sha256", digest), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data), **members}

    def add_json(self, media_type, value, **members):
        return self.add(media_type, json.dumps(value, separators=(",", ":")).encode(), **members)

    def image(self, text, layers, layer_bytes, architecture):
        descriptors, diff_ids = [], []
        for number in range(layers):
            content = f"{text}\n".encode() if number == 0 else b""
            seed = f"{text} {architecture} {number}".encode()
            padding = hashlib.shake_256(seed).digest(layer_bytes)
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for name, data in (("text" if number == 0 else f"text{number}", content), (f"data{number}", padding)):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
            diff_ids.append("sha256:" + hashlib.sha256(archive.getvalue()).hexdigest())
            descriptors.append(self.add(LAYER, gzip.compress(archive.getvalue(), 1, mtime=0)))
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["cat", "/text"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": "test"} for _ in diff_ids],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.add_json(CONFIG, config),
            "layers": descriptors,
        }
        return self.add_json(MANIFEST, manifest, platform={"architecture": architecture, "os": "linux"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("text")
    parser.add_argument("--tag", default="latest")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--layer-bytes", type=int, default=100)
    parser.add_argument("--platforms", default="amd64")
    options = parser.parse_args()

    layout = Layout(options.directory)
    images = [
        layout.image(options.text, options.layers, options.layer_bytes, architecture)
        for architecture in options.platforms.split(",")
    ]
    if len(images) == 1:
        top = {key: value for key, value in images[0].items() if key != "platform"}
    else:
        top = layout.add_json(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": images})
    top["annotations"] = {"org.opencontainers.image.ref.name": options.tag}
    for name, value in (
        ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
        ("index.json", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [top]}),
    ):
        with open(os.path.join(options.directory, name), "w", encoding="utf-8") as file:
            json.dump(value, file)


if __name__ == "__main__":
    main()
