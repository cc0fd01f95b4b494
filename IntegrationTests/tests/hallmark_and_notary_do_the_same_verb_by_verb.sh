#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

# time limit: 300
need_hallmark client
need notary openssl python3
start_servers

step "the same command lines by notary, by hallmark, and by either in turn: same server, same disk, same answers"
# Against Debian's servers a shorter walk: there, what differs would be the server.
succeeds python3 "$HERE/verb_walk.py" "$TRUST_SERVER" "$TRUST_CA" "${SEED:-1}" "${STEPS:-30}"
echo "$OUT"
