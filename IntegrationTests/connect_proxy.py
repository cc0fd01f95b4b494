#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that makes tunnels, to names that only it knows: connect_proxy.py PORT USER:PASSWORD NAME=HOST:PORT...

Prints a line for each tunnel: its name and port, or `refused` and why.
"""

import base64
import socket
import sys
import threading

PORT = int(sys.argv[1])
EXPECTED = "Basic " + base64.b64encode(sys.argv[2].encode()).decode()
NAMES = dict(entry.split("=", 1) for entry in sys.argv[3:])


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        data = client.recv(4096)
        if not data:
            return
        head += data
    lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    name = target.rsplit(":", 1)[0]

    def refuse(status, why, *more):
        print("refused", method, target, why, flush=True)
        client.sendall("\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *more, "", ""]).encode())
        client.close()

    if headers.get("proxy-authorization") != EXPECTED:
        return refuse("407 Proxy Authentication Required", "credentials", 'Proxy-Authenticate: Basic realm="proxy"')
    if method != "CONNECT" or name not in NAMES:
        return refuse("403 Forbidden", "name")
    host, port = NAMES[name].rsplit(":", 1)
    server = socket.create_connection((host, int(port)))
    print(target, flush=True)
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


listener = socket.create_server(("127.0.0.1", PORT))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
