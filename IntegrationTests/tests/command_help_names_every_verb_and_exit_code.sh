#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

step "help is on standard output, and ends with 0"
succeeds hallmark --help
[[ -z $ERR ]] || fail "something is on standard error"
for verb in serve config push pull copy inspect init add addhash remove publish refresh list lookup verify status reset witness \
    delete sign delegation key user; do
    says "  $verb "
done
for code in "0 done" "1 other" "2 usage" "10 no trust" "11 not" "12 signature" "13 expired" "14 rollback" "15 content" "20 cannot" "21 not"; do
    [[ $(tr -s '\n ' '  ' <<<"$OUT") == *"$code"* ]] || fail "no exit code: $code"
done

step "each verb has help of its own, without a server or a home"
for verb in serve config push pull copy inspect init add addhash remove publish refresh list lookup verify status reset witness \
    delete sign delegation "delegation add" "delegation remove" "delegation list" "delegation purge" "delegation bins" \
    key "config check" "config show" "key list" "key generate" "key rotate" "key passwd" \
    "registry import" user "user add" "user passwd" "user remove" "user list" "registry collect" "registry scrub"; do
    # shellcheck disable=SC2086
    succeeds env --unset HOME hallmark $verb --help
    says "USAGE: hallmark $verb"
done
for verb in push pull inspect init add addhash remove publish list lookup verify status reset witness delete \
    "delegation add" "delegation remove" "delegation list" "delegation purge" "key rotate"; do
    # shellcheck disable=SC2086
    succeeds hallmark $verb --help
    for option in --server --tlscacert --trust-dir --config --passphrase-file --output; do says "$option"; done
done

step "the version is one line"
succeeds hallmark --version
[[ $OUT =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "no version"
