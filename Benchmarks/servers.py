# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared: how each is started, what it takes of memory, and how long until it answers."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def pinned(core, niceness):
    """What a child does before it becomes a program: stay on one core."""

    def prepare():
        os.sched_setaffinity(0, {core})
        if niceness:
            os.nice(niceness)

    return prepare


class Server:
    """One product under test: a process, or several that do its work together."""

    running = set()

    def __init__(self, name, directory, settings):
        self.name = name
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.settings = settings
        self.processes = []
        self.authority = None

    def spawn(self, *command):
        log = open(self.directory / f"{pathlib.Path(command[0]).name}.log", "ab")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.directory,
            preexec_fn=pinned(self.settings.server_cpu, self.settings.nice),
        )
        log.close()
        self.processes.append(process)
        Server.running.add(self)
        return process

    def stop(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        Server.running.discard(self)

    def memory(self, field):
        """`VmHWM` (peak), `VmRSS` (now) or `RssAnon` (now, files aside) of all its processes, in MiB."""
        kib = 0
        for process in self.processes:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            kib += int(re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)[1])
        return kib / 1024

    def cpu_seconds(self):
        """What its processes have had of the core, to the nanosecond (`clock_getcpuclockid(3)`)."""
        return sum(time.clock_gettime((~process.pid << 3) | 2) for process in self.processes)

    def connection(self, url):
        address = url.split("//")[1]
        if url.startswith("https"):
            context = ssl.create_default_context(cafile=self.authority)
            return http.client.HTTPSConnection(address, context=context, timeout=30)
        return http.client.HTTPConnection(address, timeout=30)

    def await_answer(self, url, limit=30):
        deadline = time.monotonic() + limit
        while True:
            try:
                connection = self.connection(url)
                connection.request("GET", "/v2/")
                status = connection.getresponse().status
                connection.close()
                if status == 200:
                    return
            except OSError:
                pass
            for process in self.processes:
                if process.poll() is not None:
                    raise SystemExit(f"{self.name} ended; see {self.directory}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} did not answer within {limit} s")
            time.sleep(0.0005)


class Hallmark(Server):
    """`hallmark serve`: registry, trust server and signer in one process, all with their default durability."""

    def __init__(self, directory, settings):
        super().__init__("hallmark", directory, settings)
        self.registry = f"http://127.0.0.1:{free_port()}"
        self.trust = f"https://127.0.0.1:{free_port()}"

    def start(self, answering=None):
        self.spawn(
            self.settings.hallmark,
            "serve",
            "--data",
            str(self.directory / "data"),
            "--registry-address",
            self.registry.split("//")[1],
            "--server-address",
            self.trust.split("//")[1],
        )
        if answering != "trust":
            self.await_answer(self.registry)
        if answering != "registry":
            self.authority = str(self.directory / "data/ca.crt")
            deadline = time.monotonic() + 10
            while not os.path.exists(self.authority) and time.monotonic() < deadline:
                time.sleep(0.0005)
            self.await_answer(self.trust)


class Notary(Server):
    """Debian's notary-server and notary-signer, mutual TLS between them, everything in memory: as fast as they get."""

    def __init__(self, directory, settings):
        super().__init__("notary", directory, settings)
        port, signer_port = free_port(), free_port()
        self.signer_port = signer_port
        self.trust = f"https://127.0.0.1:{port}"
        self.authority = str(self.directory / "ca.crt")
        self.make_certificates()
        pair = {"tls_cert_file": "./server.crt", "tls_key_file": "./server.key"}
        common = {"storage": {"backend": "memory"}, "logging": {"level": "error"}}
        signer = {"server": {"grpc_addr": f"127.0.0.1:{signer_port}", "client_ca_file": "./ca.crt", **pair}, **common}
        server = {
            "server": {"http_addr": f"127.0.0.1:{port}", **pair},
            "trust_service": {
                "type": "remote",
                "hostname": "127.0.0.1",
                "port": str(signer_port),
                "key_algorithm": "ecdsa",
                "tls_ca_file": "./ca.crt",
                "tls_client_cert": "./server.crt",
                "tls_client_key": "./server.key",
            },
            **common,
        }
        (self.directory / "signer.json").write_text(json.dumps(signer))
        (self.directory / "server.json").write_text(json.dumps(server))

    def start(self, answering=None):
        self.spawn("notary-signer", "-config", str(self.directory / "signer.json"))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.signer_port)) == 0:
                    break
            time.sleep(0.0005)
        self.spawn("notary-server", "-config", str(self.directory / "server.json"))
        self.await_answer(self.trust)

    def make_certificates(self):
        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, stderr=subprocess.DEVNULL)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "3", "-subj", "/CN=bench CA")
        openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
        (self.directory / "names").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3", "-extfile", "names"]
        openssl("x509", "-req", "-in", "server.csr", "-out", "server.crt", *signing)


class DockerRegistry(Server):
    """Debian's docker-registry on the file system, with the blob cache that its package configures; no access log."""

    def __init__(self, directory, settings):
        super().__init__("docker-registry", directory, settings)
        self.registry = f"http://127.0.0.1:{free_port()}"
        config = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.directory / "data")},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
            },
            "http": {"addr": self.registry.split("//")[1], "secret": "bench", "relativeurls": True},
        }
        # JSON is YAML.
        (self.directory / "config.yml").write_text(json.dumps(config))

    def start(self, answering=None):
        self.spawn("docker-registry", "serve", str(self.directory / "config.yml"))
        self.await_answer(self.registry)
