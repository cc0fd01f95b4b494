# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared: how each is started, what it takes of memory, and how long until it answers."""

import http.client
import json
import os
import pathlib
import pwd
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


def await_port(port, limit=10):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.0005)


def pinned(core, niceness):
    """What a child does before it becomes a program: stay on one core."""

    def prepare():
        os.sched_setaffinity(0, {core})
        if niceness:
            os.nice(niceness)

    return prepare


# The databases of Notary, as its migrations make them.
NOTARY_SCHEMA = pathlib.Path(__file__).resolve().parent.parent / "IntegrationTests/notary-schema"


# Every row of the collection again under each new name; ids of keys and of rows are new too.
CLONING = """
    SET search_path TO hallmark_server;
    SET synchronous_commit TO off;
    DO $$
    DECLARE
        name TEXT; columns TEXT; fields TEXT;
    BEGIN
        FOR name IN SELECT table_name FROM information_schema.columns
                    WHERE table_schema = 'hallmark_server' AND column_name = 'gun' LOOP
            SELECT string_agg(quote_ident(column_name), ', '),
                   string_agg(CASE column_name WHEN 'gun' THEN '''bench.example/clones/'' || number'
                                               WHEN 'key_id' THEN 'md5(number || key_id) || md5(key_id || number)'
                                               ELSE quote_ident(column_name) END, ', ')
                INTO columns, fields FROM information_schema.columns
                WHERE table_schema = 'hallmark_server' AND table_name = name AND column_name <> 'id';
            EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM %I, generate_series({first}, {end} - 1) AS number
                            WHERE gun = ''{original}''', name, columns, fields, name);
        END LOOP;
    END $$;
    ANALYZE;
    CHECKPOINT;"""


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
        self.environment = {}

    def prepare(self):
        """What a child does before it becomes the server's program."""
        pinned(self.settings.server_cpu, self.settings.nice)()

    def spawn(self, *command):
        log = open(self.directory / f"{pathlib.Path(command[0]).name}.log", "ab")
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.directory,
            env={**os.environ, **self.environment},
            preexec_fn=self.prepare,
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


class PostgreSQL(Server):
    """A PostgreSQL with its default durability, for the servers that are compared: each has databases of its own in it."""

    def __init__(self, directory, settings):
        super().__init__("postgresql", directory, settings)
        self.port = free_port()
        self.programs = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.identity = pwd.getpwnam("postgres")

    def start(self, answering=None):
        # The server refuses to be root, and must get there.
        for parent in [self.directory, *self.directory.parents][:2]:
            parent.chmod(parent.stat().st_mode | 0o011)
        os.chown(self.directory, self.identity.pw_uid, self.identity.pw_gid)
        data = str(self.directory / "data")
        initdb = [str(self.programs / "initdb"), "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, preexec_fn=self.become, cwd=self.directory)
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.directory}"]
        options += ["max_connections=200", "shared_buffers=1GB", "max_wal_size=4GB"]
        self.spawn(str(self.programs / "postgres"), "-D", data, *[part for option in options for part in ("-c", option)])
        deadline = time.monotonic() + 20
        while subprocess.run(self.psql("postgres", "SELECT 1"), capture_output=True).returncode:
            if time.monotonic() > deadline:
                raise SystemExit(f"PostgreSQL did not start; see {self.directory}")
            time.sleep(0.05)

    def become(self):
        os.setgroups([])
        os.setgid(self.identity.pw_gid)
        os.setuid(self.identity.pw_uid)

    def prepare(self):
        pinned(self.settings.server_cpu, self.settings.nice)()
        self.become()

    def url(self, database):
        return f"postgres://bench@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def psql(self, database, statements):
        return [str(self.programs / "psql"), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", statements, self.url(database)]

    def clone_collections(self, database, original, first, end):
        """Makes copies of a collection, named by numbers, in every table of the trust server."""
        self.sql(database, CLONING.format(original=original, first=first, end=end))

    def sql(self, database, statements):
        return subprocess.run(self.psql(database, statements), check=True, capture_output=True, text=True).stdout.strip()


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


class HallmarkRegistry(Server):
    """`hallmark serve --only registry`, in a file or in a database of PostgreSQL."""

    def __init__(self, directory, settings, postgresql=None):
        super().__init__("hallmark", directory, settings)
        self.registry = f"http://127.0.0.1:{free_port()}"
        self.options = []
        if postgresql:
            postgresql.sql("postgres", "CREATE DATABASE hallmark")
            self.options = ["--database", postgresql.url("hallmark")]

    def start(self, answering=None):
        data = ["--data", str(self.directory / "data"), *self.options]
        address = self.registry.split("//")[1]
        self.spawn(self.settings.hallmark, "serve", "--only", "registry", *data, "--registry-address", address)
        self.await_answer(self.registry)


class HallmarkOnPostgreSQL(Hallmark):
    """The trust server and the signer in a process each, mutual TLS between them, as notary-server and notary-signer."""

    def __init__(self, directory, settings, postgresql):
        super().__init__(directory, settings)
        self.postgresql = postgresql
        self.signer = f"127.0.0.1:{free_port()}"

    def start(self, answering=None):
        self.postgresql.sql("postgres", "CREATE DATABASE hallmark")
        data = str(self.directory / "data")
        database = ["--data", data, "--database", self.postgresql.url("hallmark")]
        self.authority = f"{data}/ca.crt"
        self.spawn(self.settings.hallmark, "serve", "--only", "signer", *database, "--signer-address", self.signer)
        # They share the CA: who comes second finds what the first has made.
        self.await_signer()
        address = self.trust.split("//")[1]
        self.spawn(
            self.settings.hallmark, "serve", "--only", "server", *database, "--signer", self.signer,
            "--server-address", address,
        )
        self.await_answer(self.trust)

    def await_signer(self):
        await_port(int(self.signer.split(":")[1]))


class Notary(Server):
    """Debian's notary-server and notary-signer, mutual TLS between them; everything in memory, as fast as they get, or in
    PostgreSQL."""

    def __init__(self, directory, settings, postgresql=None):
        super().__init__("notary", directory, settings)
        self.postgresql = postgresql
        port, signer_port = free_port(), free_port()
        self.signer_port = signer_port
        self.trust = f"https://127.0.0.1:{port}"
        self.authority = str(self.directory / "ca.crt")
        self.make_certificates()
        pair = {"tls_cert_file": "./server.crt", "tls_key_file": "./server.key"}
        common = {"logging": {"level": "error"}}
        signer = {
            "server": {"grpc_addr": f"127.0.0.1:{signer_port}", "client_ca_file": "./ca.crt", **pair},
            "storage": self.storage("notarysigner"),
            **common,
        }
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
            "storage": self.storage("notaryserver"),
            **common,
        }
        (self.directory / "signer.json").write_text(json.dumps(signer))
        (self.directory / "server.json").write_text(json.dumps(server))

    def storage(self, database):
        if not self.postgresql:
            return {"backend": "memory"}
        return {"backend": "postgres", "db_url": self.postgresql.url(database)}

    def start(self, answering=None):
        if self.postgresql:
            self.environment = {"NOTARY_SIGNER_DEFAULT_ALIAS": "bench", "NOTARY_SIGNER_BENCH": "the passphrase"}
            for schema in NOTARY_SCHEMA.glob("*.sql"):
                self.postgresql.sql("postgres", f"CREATE DATABASE {schema.stem}")
                self.postgresql.sql(schema.stem, schema.read_text())
        self.spawn("notary-signer", "-config", str(self.directory / "signer.json"))
        await_port(self.signer_port)
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


class PlainFiles(Server):
    """Debian's nginx as what a download can reach at most: one file, sent from the kernel's cache by sendfile."""

    def __init__(self, directory, settings):
        super().__init__("nginx", directory, settings)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/blob"
        (self.directory / "nginx.conf").write_text(
            f"""
            daemon off;
            master_process off;
            user root;
            pid {self.directory}/nginx.pid;
            error_log {self.directory}/error.log;
            events {{}}
            http {{
                access_log off;
                sendfile on;
                tcp_nopush on;
                {self.paths()}
                server {{ listen 127.0.0.1:{self.port}; root {self.directory}; }}
            }}"""
        )

    def paths(self):
        kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        return " ".join(f"{kind}_temp_path {self.directory}/temp;" for kind in kinds)

    def start(self, answering=None):
        self.spawn("nginx", "-p", str(self.directory), "-c", str(self.directory / "nginx.conf"))
        await_port(self.port)
