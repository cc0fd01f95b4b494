#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/publishers.sh"

need notary
need_hallmark "notary-server's memory storage keeps nothing"
start_servers
make_publishers
kill_server() {
    crash hallmark
    start_hallmark
}

step "two publishers publish while the server is killed again and again"
start_publishers
killed_while_they_publish 6 kill_server
stop_publishers

step "a fresh client verifies everything that was acknowledged, and so does the publisher"
acknowledged_is_there

step "the changefeed has no gap and no repetition"
changefeed_is_whole
