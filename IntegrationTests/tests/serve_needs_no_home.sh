#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

step "without HOME it keeps its data in the account's home, and with --data nowhere else"
start homeless env --unset HOME bash -c \
    'exec hallmark serve --data "$1" --registry-address 127.0.0.1:0 --server-address "$2"' \
    serve "$PWD/data" "127.0.0.1:${port:=$(free_port)}"
eventually 20 curl --silent --fail --cacert data/ca.crt "https://127.0.0.1:$port/v2/" || fail "it does not answer"
stop homeless
equal "$CODE" 0 "exit code"

step "a path may begin with ~"
mkdir home
start tilde env HOME="$PWD/home" bash -c \
    'exec hallmark serve --data "~/kept" --registry-address 127.0.0.1:0 --server-address "$1"' serve "127.0.0.1:$port"
eventually 20 test -s home/kept/server.pem || fail "nothing in ~/kept"
stop tilde
