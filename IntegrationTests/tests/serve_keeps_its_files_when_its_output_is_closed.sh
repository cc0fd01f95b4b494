#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

step "without standard streams, what it prints goes nowhere, least of all into its files"
start closed bash -c 'exec hallmark serve --data "$1" --registry-address 127.0.0.1:0 --server-address "$2" <&- >&- 2>&-' \
    serve "$PWD/data" "127.0.0.1:${port:=$(free_port)}"
eventually 20 curl --silent --fail --cacert data/ca.crt "https://127.0.0.1:$port/v2/" || fail "it does not answer"
! grep --recursive --text --quiet '^ready ' data || fail "the ready line is in one of its files"
for descriptor in 0 1 2; do
    equal "$(readlink "/proc/$(process closed)/fd/$descriptor")" /dev/null "descriptor $descriptor"
done
stop closed
equal "$CODE" 0 "exit code"

step "nor does a reader that goes away end it"
start_hallmark "$PWD/data"
still_answers
