#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need python3 prlimit
need_hallmark "only hallmark has this command"

step "a server that may open few files takes few connections"
mkdir "$SCRATCH/limited"
printf '#!/bin/sh\nexec prlimit --nofile=80:80 "%s" "$@"\n' "$HALLMARK" >"$SCRATCH/limited/hallmark"
chmod +x "$SCRATCH/limited/hallmark"
PATH=$SCRATCH/limited:$PATH
start_hallmark

step "more than it takes wait, and cost it nothing; once they are gone it answers"
pid=$(process hallmark)
python3 - "$pid" "${REGISTRY##*:}" <<'PYTHON' || fail "it does not rest, or does not come back"
import socket, sys, time

pid, port = sys.argv[1], int(sys.argv[2])
ticks = lambda: sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(120)]
time.sleep(1)
before = ticks()
time.sleep(2)
spent = ticks() - before
for connection in waiting:
    connection.close()
last = socket.create_connection(("127.0.0.1", port))
last.settimeout(30)
last.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
reply = last.recv(12)
print(f"{spent} ticks, {reply}")
sys.exit(0 if spent < 100 and reply == b"HTTP/1.1 200" else 1)
PYTHON
