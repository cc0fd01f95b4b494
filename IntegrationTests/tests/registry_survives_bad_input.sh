#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need python3
start_servers

step "everything bad is refused, without a trace, and the server goes on"
arguments=("$REGISTRY")
case $SUT in
hallmark) arguments+=(--pid "$(process hallmark)") ;;
debian) arguments+=(--lenient) ;;
esac
python3 "$HERE/bad_input/registry.py" "${arguments[@]}" || fail "see the checks above"
still_answers
