#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes a registry's events: event_receiver.py PORT FILE STATUS

Each event becomes a line of FILE: its action, repository, tag or kind, and id. The file STATUS says how to answer: a number,
or `hang`."""

import http.server
import json
import sys
import threading
import time

port, log, status = int(sys.argv[1]), sys.argv[2], sys.argv[3]
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(status) as file:
            answer = file.read().strip()
        if answer == "hang":
            time.sleep(60)
            return
        if answer == "200":
            with lock, open(log, "a") as file:
                for event in json.loads(body)["events"]:
                    target = event["target"]
                    what = target.get("tag") or target.get("mediaType") or "manifest"
                    file.write(f"{event['action']} {target['repository']} {what} {event['id']}\n")
        self.send_response(int(answer))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
