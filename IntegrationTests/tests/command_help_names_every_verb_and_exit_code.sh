#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

step "help is on standard output, and ends with 0"
succeeds hallmark --help
[[ -z $ERR ]] || fail "something is on standard error"
for verb in serve config push pull copy inspect revoke signer init add addhash remove publish refresh list lookup verify status reset witness \
    delete sign delegation key user; do
    says "  $verb "
done
for code in "0 done" "1 other" "2 usage" "10 no trust" "11 not" "12 signature" "13 expired" "14 rollback" "15 content" "20 cannot" "21 not"; do
    [[ $(tr -s '\n ' '  ' <<<"$OUT") == *"$code"* ]] || fail "no exit code: $code"
done

step "each verb has help of its own, without a server or a home"
for verb in serve config push pull copy inspect revoke signer init add addhash remove publish refresh list lookup verify status reset witness \
    delete sign delegation "delegation add" "delegation remove" "delegation list" "delegation purge" "delegation bins" \
    key "config check" "config show" "key list" "key generate" "key rotate" "key passwd" \
    "key import" "key export" "key remove" \
    "registry import" user "user add" "user passwd" "user remove" "user list" "registry collect" "registry scrub"; do
    # shellcheck disable=SC2086
    succeeds env --unset HOME hallmark $verb --help
    says "USAGE: hallmark $verb"
done
for verb in push pull inspect revoke "signer add" "signer remove" "signer list" init add addhash remove publish list lookup verify status reset witness delete \
    "delegation add" "delegation remove" "delegation list" "delegation purge" "key rotate"; do
    # shellcheck disable=SC2086
    succeeds hallmark $verb --help
    for option in --server --tlscacert --trust-dir --config --passphrase-file --output; do says "$option"; done
done

step "the version is one line"
succeeds hallmark --version
[[ $OUT =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "no version"
version=$OUT
succeeds hallmark version --output json
json .version "$version"

step "the options of notary stand before the verb as well as behind it, and nothing else does"
for arguments in "-s https://127.0.0.1:1 -d $PWD/nothing list" "-d=$PWD/nothing delegation -D list" \
    "list --server https://127.0.0.1:1 -d $PWD/nothing" "delegation --trustDir $PWD/nothing list -s=https://127.0.0.1:1"; do
    # shellcheck disable=SC2086
    exits 20 env DOCKER_CONTENT_TRUST_SERVER=https://127.0.0.1:1 HOME="$PWD" hallmark $arguments example.com/a
done
for arguments in "--publish list a" "-s" "-s https://127.0.0.1:1" "-s https://127.0.0.1:1 no-such-verb"; do
    # shellcheck disable=SC2086
    exits 2 hallmark $arguments
done
