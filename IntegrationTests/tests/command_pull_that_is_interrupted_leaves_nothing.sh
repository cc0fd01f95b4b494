#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"
need python3
start_servers
new_user alice
new_user bob
layout source "some content" --layers 3 --layer-bytes 500000

# A registry that passes everything on, but stops in the middle of a layer that somebody fetches.
cat >proxy.py <<'PYTHON'
import http.client, http.server, sys, time

class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        length = int(self.headers.get("Content-Length", 0))
        connection = http.client.HTTPConnection(sys.argv[2])
        connection.request(self.command, self.path, self.rfile.read(length), dict(self.headers))
        reply = connection.getresponse()
        body = reply.read()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("date", "server", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET" and len(body) > 300000:
            self.wfile.write(body[:300000])
            self.wfile.flush()
            open("stalled", "w").close()
            time.sleep(100)
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = pass_on

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy).serve_forever()
PYTHON
proxy=127.0.0.1:$(free_port)
start proxy python3 proxy.py "${proxy#*:}" "$REGISTRY"
eventually 10 curl --silent --fail "http://$proxy/v2/" || fail "the proxy did not start"
succeeds hallmark_of alice push source "$proxy/team/app:1.0"

for signal in INT TERM; do
    for destination in layout archive.tar; do
        step "SIG$signal while $destination is written: 130, and nothing of it is left"
        rm -f stalled
        mkdir "work-$signal-$destination"
        hallmark_of bob pull "$proxy/team/app:1.0" "work-$signal-$destination/$destination" 2>"errors" &
        shell=$!
        eventually 20 test -e stalled || fail "the pull did not begin"
        pid=$(pgrep --parent "$shell" --full "hallmark pull" || echo "$shell")
        kill "-$signal" "$pid"
        code=0
        wait "$shell" || code=$?
        equal "$code" 130 "exit code"
        grep --quiet interrupted errors || fail "it does not say why: $(<errors)"
        equal "$(ls -A "work-$signal-$destination")" "" "what is left"
    done
done
