#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A dishonest mirror of a trust server: mirror.py PORT CERTIFICATE KEY DIRECTORY

Serves DIRECTORY/<gun>/<role>.json as recorded from a real server. A role asked for by hash is served from the file that
has that hash or, so that clients have something to refuse, from <role>.json. A file named <role>.endless makes the role
one that never ends.
"""

import hashlib
import http.server
import os
import re
import ssl
import sys

PATH = re.compile(r"/v2/(?P<gun>.+)/_trust/tuf/(?P<role>[a-z0-9/_-]+)(?:\.(?P<hash>[0-9a-f]{64}))?\.json")
VERSIONED = re.compile(r"/v2/(?P<gun>.+)/_trust/tuf/(?P<name>[0-9]+\.root\.json)")


class Handler(http.server.BaseHTTPRequestHandler):
    directory = ""

    def do_GET(self):
        if self.path == "/v2/":
            return self.reply(200, b"{}")
        if match := VERSIONED.fullmatch(self.path):
            return self.file(os.path.join(match["gun"], match["name"]))
        match = PATH.fullmatch(self.path)
        if not match:
            return self.reply(404, b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"no such path"}]}')
        if os.path.exists(os.path.join(self.directory, match["gun"], match["role"] + ".endless")):
            return self.endless()
        if match["hash"]:
            for folder, _, names in os.walk(os.path.join(self.directory, match["gun"])):
                for name in names:
                    path = os.path.join(folder, name)
                    with open(path, "rb") as file:
                        if hashlib.sha256(file.read()).hexdigest() == match["hash"]:
                            return self.file(path)
        return self.file(os.path.join(match["gun"], match["role"] + ".json"))

    def file(self, path):
        try:
            with open(os.path.join(self.directory, path), "rb") as file:
                self.reply(200, file.read())
        except FileNotFoundError:
            self.reply(404, b'{"errors":[{"code":"METADATA_NOT_FOUND","message":"not recorded"}]}')

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * 65536)
        except OSError:
            pass


def main():
    port, certificate, key, Handler.directory = int(sys.argv[1]), *sys.argv[2:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
