#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need notary python3
start_servers
new_user alice
new_user bob
gun=example.com/bad/input

step "metadata that is valid and unpublished"
succeeds notary_of alice init $gun

step "everything else is refused, without a trace, and the server goes on"
arguments=("${TRUST_SERVER#https://}" "$TRUST_CA" "$gun" "$(home alice)/.docker/trust/tuf/$gun/metadata")
case $SUT in
hallmark) arguments+=(--pid "$(process hallmark)") ;;
debian) arguments+=(--lenient) ;;
esac
python3 "$HERE/bad_input/trust_server.py" "${arguments[@]}" || fail "see the checks above"

step "a client reads what was published in the end"
succeeds notary_of bob list $gun
still_answers
