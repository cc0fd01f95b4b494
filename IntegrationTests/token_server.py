# SPDX-License-Identifier: Apache-2.0
"""A token service with nothing of ours in it: python's http.server and openssl.

usage: token_server.py PORT KEY    (an RSA key, PEM; read again for every token)

alice, with the password secret, gets what she asks for; anybody else gets a token that grants nothing.
"""
import base64
import hashlib
import http.server
import json
import subprocess
import sys
import time
import urllib.parse

PORT, KEY = int(sys.argv[1]), sys.argv[2]


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def key_id():
    digest = hashlib.sha256(openssl("rsa", "-in", KEY, "-pubout", "-outform", "DER")).digest()[:30]
    text = base64.b32encode(digest).decode()
    return ":".join(text[i:i + 4] for i in range(0, len(text), 4))


def access(scopes):
    for scope in " ".join(scopes).split():
        kind, rest = scope.split(":", 1)
        name, actions = rest.rsplit(":", 1)
        yield {"type": kind, "name": name, "actions": actions.split(",")}


def token(service, subject, granted):
    now = int(time.time())
    header = {"alg": "RS256", "typ": "JWT", "kid": key_id()}
    claims = {"iss": "python", "sub": subject, "aud": service, "exp": now + 300, "nbf": now, "iat": now,
              "jti": str(time.time_ns()), "access": granted}
    message = b".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return (message + b"." + encoded(openssl("dgst", "-sha256", "-sign", KEY, data=message))).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        name, _, word = base64.b64decode(self.headers.get("Authorization", "Basic ")[6:]).decode().partition(":")
        known = (name, word) == ("alice", "secret")
        granted = list(access(query.get("scope", []))) if known else []
        text = token(query["service"][0], "alice" if known else "", granted)
        self.reply(200, {"token": text, "access_token": text, "expires_in": 300})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(404, {})

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
