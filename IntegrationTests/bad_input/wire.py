# SPDX-License-Identifier: Apache-2.0
"""What the bad-input tests share: requests that no well-behaved library would send, and the bookkeeping of checks."""

import http.client
import json
import os
import socket
import ssl
import sys
import time
import traceback

TIMEOUT = 20


class Reply:
    """An HTTP reply, or `status` None when the server closed the connection without one."""

    def __init__(self, status, headers=None, body=b""):
        self.status, self.headers, self.body = status, headers or {}, body

    def codes(self):
        try:
            return [error["code"] for error in json.loads(self.body)["errors"]]
        except (ValueError, KeyError, TypeError):
            return []

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Server:
    def __init__(self, address, ca_file=None):
        host, port = address.rsplit(":", 1)
        self.host, self.port, self.address = host, int(port), address
        self.context = ssl.create_default_context(cafile=ca_file) if ca_file else None

    def connect(self, tls=True):
        plain = socket.create_connection((self.host, self.port), timeout=TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context and tls:
            return self.context.wrap_socket(plain, server_hostname=self.host)
        return plain

    def request(self, method, path, body=b"", headers=()):
        """A complete request with a true Content-Length; the path goes out as it is."""
        return self.raw(self.head(method, path, [*headers, ("Content-Length", len(body))]) + body, method=method)

    def head(self, method, path, headers=()):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.address}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join(lines + ["", ""]).encode("latin-1")

    def raw(self, data, method="GET", half_close=False):
        """Sends bytes and reads one reply; a server that replies and closes before it has read all is within its rights."""
        with self.connect() as connection:
            try:
                connection.sendall(data)
                if half_close and not self.context:
                    connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                pass
            return read_reply(connection, method)

    def cut(self, data):
        """Sends bytes, then drops the connection."""
        with self.connect() as connection:
            connection.sendall(data)


def read_reply(connection, method="GET"):
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
    except socket.timeout:
        raise AssertionError(f"no reply within {TIMEOUT} s")
    except (http.client.HTTPException, ConnectionError, ssl.SSLError):
        return Reply(None)
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


REFUSED = "refused"  # 4xx, or 501/505 for methods and versions that the server does not know
REFUSED_OR_CLOSED = "refused or closed"
REFUSED_OR_MOVED = "refused or redirected to the cleaned path"
ANSWERED = "answered"  # anything but 5xx


def matches(reply, expected):
    status = reply.status
    if expected in (REFUSED, REFUSED_OR_CLOSED):
        return (status is None and expected == REFUSED_OR_CLOSED) or (
            status is not None and (400 <= status < 500 or status in (501, 505))
        )
    if expected == REFUSED_OR_MOVED:
        return status in (301, 307, 308) or (status is not None and 400 <= status < 500)
    if expected == ANSWERED:
        return status is not None and status < 500
    return status in (expected if isinstance(expected, (set, list, tuple)) else [expected])


class Checks:
    """Runs checks one after another; after each the server must answer and `invariant` must hold."""

    def __init__(self, invariant, lenient):
        self.invariant, self.lenient = invariant, lenient
        self.failures, self.deviations, self.count = 0, 0, 0

    def check(self, name, action, essential=False):
        self.count += 1
        try:
            action()
        except Exception as error:  # a check that breaks in any way has failed; the others still run
            self.failed(name, error, essential)
        try:
            self.invariant()
        except Exception as error:
            self.failed(f"after {name}", error, essential=True)

    def failed(self, name, error, essential):
        text = (
            str(error) if isinstance(error, AssertionError) else "".join(traceback.format_exception_only(error)).strip()
        )
        if self.lenient and not essential:
            self.deviations += 1
            print(f"    deviates: {name}: {text}")
        else:
            self.failures += 1
            print(f"    FAILED: {name}: {text}")
            if not isinstance(error, AssertionError):
                traceback.print_exception(error, file=sys.stdout)

    def expect(self, name, send, expected=REFUSED, code=None, essential=False):
        def action():
            reply = send()
            assert matches(reply, expected), f"expected {expected}, got {reply}"
            assert code is None or code in reply.codes(), f"expected the error {code}, got {reply}"

        self.check(name, action, essential)

    def finish(self):
        print(f"    {self.count} checks, {self.failures} failed, {self.deviations} deviate")
        sys.exit(1 if self.failures else 0)


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def http_garbage(checks, server):
    """What any HTTP server must survive. `server` speaks TLS or not."""
    get = f"GET /v2/ HTTP/1.1\r\nHost: {server.address}\r\n"

    def raw(text):
        return lambda: server.raw(text.encode("latin-1") if isinstance(text, str) else text)

    closed = REFUSED_OR_CLOSED
    checks.expect("a request line that is none", raw("\x00\x01\x02\r\n\r\n"), closed)
    checks.expect("a request line of 200,000 bytes", raw("GET /" + "a" * 200_000 + " HTTP/1.1\r\n\r\n"), closed)
    checks.expect("a header of 2 MB", raw(get + "X-A: " + "a" * 2_000_000 + "\r\n\r\n"), closed)
    checks.expect("20,000 headers", raw(get + "".join(f"X-{n}: 1\r\n" for n in range(20_000)) + "\r\n"), closed)
    checks.expect("a header without a colon", raw(get + "nonsense\r\n\r\n"), closed)
    checks.expect("a negative Content-Length", raw(get + "Content-Length: -1\r\n\r\n"), closed)
    checks.expect("a Content-Length that is no number", raw(get + "Content-Length: x\r\n\r\n"), closed)
    checks.expect("a Content-Length beyond 2^64", raw(get + "Content-Length: 99999999999999999999\r\n\r\n"), closed)
    checks.expect(
        "two Content-Lengths that differ", raw(get + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), closed
    )
    checks.expect(
        "a chunk size beyond 2^64",
        raw(get + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nfffffffffffffffff0\r\na\r\n0\r\n\r\n"),
        [None, 200, 400, 413],
    )
    checks.expect("HTTP/9.9", raw(f"GET /v2/ HTTP/9.9\r\nHost: {server.address}\r\n\r\n"), closed)
    for method in ("TRACE", "CONNECT", "NOSUCHMETHOD", "get"):
        checks.expect(f"the method {method}", lambda method=method: server.request(method, "/v2/"), closed)

    def smuggle():
        # A front that goes by Content-Length and a server that goes by chunks must not see different requests.
        body = "0\r\n\r\nGET /v2/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        with server.connect() as connection:
            connection.sendall(
                (
                    f"POST /v2/ HTTP/1.1\r\nHost: {server.address}\r\nContent-Length: {len(body)}\r\n"
                    f"Transfer-Encoding: chunked\r\n\r\n{body}"
                ).encode()
            )
            connection.settimeout(3)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except (socket.timeout, ConnectionError, ssl.SSLError):
                pass
        assert received.count(b"HTTP/1.1 ") <= 1, f"the body was taken for a second request: {received[:300]!r}"

    checks.check("Content-Length together with chunks", smuggle)

    def slow_clients():
        connections = []
        try:
            for _ in range(60):
                connection = server.connect()
                connection.sendall(b"POST /v2/")
                connections.append(connection)
            for _ in range(3):
                for connection in connections:
                    try:
                        connection.sendall(b"a")
                    except (ConnectionError, ssl.SSLError):
                        pass
                reply = server.request("GET", "/v2/")
                assert reply.status == 200, f"with 60 slow clients connected: {reply}"
        finally:
            for connection in connections:
                connection.close()

    checks.check("sixty clients that send a byte now and then", slow_clients)

    def never_reading():
        connections = [server.connect() for _ in range(10)]
        try:
            for connection in connections:
                connection.settimeout(0.5)
                try:
                    for _ in range(500):
                        connection.sendall((get + "\r\n").encode())
                except (socket.timeout, ConnectionError, ssl.SSLError):
                    pass
            reply = server.request("GET", "/v2/")
            assert reply.status == 200, f"with ten clients that read nothing: {reply}"
        finally:
            for connection in connections:
                connection.close()

    checks.check("ten clients that ask 500 times and never read", never_reading)

    if server.context:

        def broken_handshakes():
            for data in (
                b"",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                os.urandom(2000),
                get.encode() + b"\r\n",
            ):
                with server.connect(tls=False) as connection:
                    try:
                        connection.sendall(data)
                        connection.settimeout(0.2)
                        connection.recv(1000)
                    except (socket.timeout, ConnectionError):
                        pass

        checks.check("TLS handshakes that break off", broken_handshakes)
    else:

        def tls_hello():
            # Clients fall back to plain HTTP only when a TLS hello is answered in HTTP.
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            try:
                ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
            except ssl.SSLWantReadError:
                pass
            with server.connect() as connection:
                connection.sendall(outgoing.read())
                start = connection.recv(12)
            assert (
                start == b"HTTP/1.1 400"[: len(start)] and len(start) >= 7
            ), f"a TLS hello was answered with {start!r}"

        checks.check("a TLS hello to the plain port is answered in HTTP", tls_hello)


def eventually(condition, seconds=5):
    """Waits for what a server does after a client has gone."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)
