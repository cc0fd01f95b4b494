# SPDX-License-Identifier: Apache-2.0
"""The loads: each runs a client on the client's core, and returns figures only if every reply was right."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import urllib.parse

from servers import pinned

MIB = 1 << 20


class Loads:
    def __init__(self, settings, directory):
        self.settings = settings
        self.directory = pathlib.Path(directory)
        self.runs = 0

    def run(self, *command, core=None):
        result = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=pinned(self.settings.client_cpu if core is None else core, self.settings.nice),
        )
        if result.returncode != 0:
            raise SystemExit(f"{command[0]} failed: {result.stderr.strip() or result.stdout.strip()}\n{command}")
        return result.stdout

    # Reads

    def get_any(self, url, count, connections=16):
        """GET of one of `count` documents, another one each time: their numbers stand for the `%d` in the URL."""
        script = self.directory / "any.lua"
        path = "/" + url.split("//")[1].split("/", 1)[1]
        request = f"wrk.format('GET', string.format('{path}', math.random(0, {count - 1})))"
        script.write_text(f"function request() return {request} end\n")
        return self.get(url.replace("%d", "0"), connections, script=script)

    def get(self, url, connections=16, reconnect=False, headers=(), script=None):
        """GET of one small document, again and again."""
        command = ["wrk", "--threads", "1", "--connections", str(connections), "--latency"]
        command += ["--duration", f"{self.settings.seconds}s", "--timeout", "10s"]
        for header in [*headers, *(["Connection: close"] if reconnect else [])]:
            command += ["--header", header]
        output = self.run(*command, *(["--script", str(script)] if script else []), url)
        if "Non-2xx" in output:
            raise SystemExit(f"{url}: not every reply was 2xx:\n{output}")
        failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
        if failed and any(int(count) for count in failed.groups()):
            raise SystemExit(f"{url}: {failed[0]}")
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()
        return {
            "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),
            "count": int(re.search(r"(\d+) requests in", output)[1]),
            "p99_ms": float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
        }

    def curl(self, *arguments):
        """One request; its body goes to nowhere."""
        output = self.run(
            "curl", "--silent", "--show-error", "--output", "/dev/null", "--max-time", "300", "--header", "Expect:",
            "--write-out", "%{http_code} %{size_download} %{size_upload} %{time_total}\n%header{location}", *arguments,
        )
        figures, _, location = output.partition("\n")
        status, received, sent, seconds = figures.split()
        return int(status), int(received), int(sent), float(seconds), location.strip()

    def download(self, url, size, times=4):
        """The same blob again and again over one connection: once is over too soon to be timed."""
        command = ["curl", "--silent", "--show-error", "--max-time", "300", "--write-out", "%{http_code} %{size_download}\n"]
        for _ in range(times):
            command += ["--output", "/dev/null", url]
        began = time.monotonic()
        output = self.run(*command)
        seconds = time.monotonic() - began
        if output != f"200 {size}\n" * times:
            raise SystemExit(f"{url}: not {times} times 200 and {size} bytes:\n{output}")
        return {"rate": times * size / MIB / seconds, "count": times * size / MIB}

    # Uploads

    def new_blob(self, size, pieces=1):
        """A blob that no server has seen, cut into pieces: their paths, and the digest of all."""
        whole = hashlib.sha256()
        paths = []
        block = os.urandom(MIB)
        for piece in range(pieces):
            path = self.directory / f"piece-{piece}"
            with open(path, "wb") as file:
                for number in range(size // pieces // MIB):
                    content = os.urandom(16) + block[16:]
                    whole.update(content)
                    file.write(content)
            paths.append(str(path))
        return paths, f"sha256:{whole.hexdigest()}"

    def warm(self, size):
        """Has the machine touch as much memory as files will take, and give it back: on a virtual machine the first
        touch of a page can cost more than all that a server does with it, and falls on whoever is first."""
        path = self.directory / "warm"
        block = bytes(MIB)
        with open(path, "wb") as file:
            for _ in range(size // MIB):
                file.write(block)
        path.unlink()

    def begin_upload(self, registry):
        status, _, _, seconds, location = self.curl("--request", "POST", registry + "/v2/bench/big/blobs/uploads/")
        if status != 202:
            raise SystemExit(f"{registry}: an upload was not begun: {status}")
        return urllib.parse.urljoin(registry, location), seconds

    def upload(self, registry, blob, style):
        """One blob: `put` sends it whole, `stream` as one PATCH of unknown length, `chunks` in one PATCH a piece."""
        paths, digest = blob
        size = sum(os.path.getsize(path) for path in paths)
        self.warm(size + size // 4)
        location, total = self.begin_upload(registry)
        octets = ["--header", "Content-Type: application/octet-stream"]
        offset = 0
        if style != "put":
            for path in paths:
                count = os.path.getsize(path)
                framing = f"Content-Range: {offset}-{offset + count - 1}"
                if style == "stream":
                    framing = "Transfer-Encoding: chunked"
                status, _, _, seconds, next_location = self.curl(
                    "--request", "PATCH", *octets, "--header", framing, "--upload-file", path, location
                )
                if status != 202:
                    raise SystemExit(f"{registry}: a chunk was answered with {status}")
                location = urllib.parse.urljoin(registry, next_location)
                offset += count
                total += seconds
        last = ["--upload-file", paths[0]] if style == "put" else ["--data-binary", ""]
        joint = "&" if "?" in location else "?"
        status, _, _, seconds, _ = self.curl(
            "--request", "PUT", *octets, *last, f"{location}{joint}digest={urllib.parse.quote(digest)}"
        )
        if status != 201:
            raise SystemExit(f"{registry}: an upload was ended with {status}")
        status, _, _, _, _ = self.curl("--head", f"{registry}/v2/bench/big/blobs/{digest}")
        if status != 200:
            raise SystemExit(f"{registry}: the blob it took is not there: {status}")
        return {"rate": size / MIB / (total + seconds), "count": size / MIB}

    # What hallmark-load does

    def own(self, verb, url, connections, count, *arguments):
        self.runs += 1
        output = self.run(
            self.settings.load, verb, "--url", url, "--connections", str(connections), "--count", str(count),
            "--run", f"run{self.runs}", *arguments,
        )
        figures = json.loads(output)
        return {
            "rate": figures["rate"],
            "count": figures["count"],
            "p50_ms": figures["p50Milliseconds"],
            "p99_ms": figures["p99Milliseconds"],
        }

    def hashing_speed(self):
        """SHA-256 as the registry computes it, on the servers' core."""
        output = self.run(self.settings.load, "sha256", "--seconds", "1", core=self.settings.server_cpu)
        return {"rate": json.loads(output)["mibPerSecond"]}


def scratch(parent):
    return tempfile.mkdtemp(prefix="hallmark-bench.", dir=parent)
