#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

step "SIGTERM as soon as signals are caught, and right after the ready line: exit code 0, and the data is whole"
for delay in 0.1 0.15 0.2 0.3 0.5; do
    code=0
    timeout --preserve-status --signal TERM "$delay" hallmark serve --data "$PWD/data" \
        --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 >/dev/null 2>>errors || code=$?
    # 143: it came before the program had begun.
    [[ $code == 0 || $code == 143 && $delay == 0.1? ]] || [[ $code == 143 && $delay == 0.1 ]] ||
        fail "SIGTERM after $delay s: ended with $code: $(<errors)"
done
mkfifo ready
hallmark serve --data "$PWD/data" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 >ready &
pid=$!
grep --quiet --max-count 1 '^ready ' ready
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
equal "$code" 0 "exit code"

step "afterwards it starts with all it had"
start_hallmark "$PWD/data"
still_answers
