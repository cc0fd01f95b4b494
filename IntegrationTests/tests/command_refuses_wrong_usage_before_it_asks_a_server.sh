#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark "only hallmark has this command"

digest=sha256:$(printf '0%.0s' {1..64})
nowhere=https://127.0.0.1:1

step "exit code 2, with what was wrong and how to go on"
exits 2 hallmark nonsense
exits 2 hallmark pull
says "<image>"
says "hallmark pull --help"
exits 2 hallmark pull 127.0.0.1:1/a:b
exits 2 hallmark pull --server $nowhere 127.0.0.1:1/UPPER:b out
says "UPPER"
exits 2 hallmark pull --server $nowhere 127.0.0.1:1/a@sha256:00 out
says "hexadecimal"
exits 2 hallmark inspect --server $nowhere 127.0.0.1:1/a@sha256:00
exits 2 hallmark sign --server $nowhere "127.0.0.1:1/a@$digest"
says "tag"
exits 2 hallmark revoke --server $nowhere "127.0.0.1:1/a@$digest"
says "tag"
exits 2 hallmark pull --server $nowhere --platform nonsense 127.0.0.1:1/a:b out
says "linux/arm64"
exits 2 hallmark pull --server $nowhere --format nonsense 127.0.0.1:1/a:b out
says "docker-archive"
exits 2 hallmark pull --server http://127.0.0.1:1 127.0.0.1:1/a:b out
says "https"
exits 2 hallmark list --server $nowhere --role snapshot example.com/a
exits 2 hallmark list --server $nowhere a/../b
for verb in "refresh example.com/a" "delegation bins example.com/a 2"; do
    # shellcheck disable=SC2086
    exits 2 hallmark $verb
    says "a directory begins with / or ./"
done
for verb in "init example.com/a --expires root=1d" "init ./a --rootkey file" "init ./a --server-managed-snapshot" \
    "add example.com/a name file --roles snapshot" "add example.com/a name file --roles Targets/x" \
    "add ./a name file --roles a --roles b" "addhash example.com/a name -1 --sha256 $(printf '%064d' 0)" \
    "addhash example.com/a name 1 --sha256 $(printf '%063d' 0)" "reset example.com/a" "reset example.com/a --all -n 0" \
    "reset example.com/a -n x" "reset ./a -n 0" "witness example.com/a root" "verify example.com/a" "verify ./a name" \
    "verify example.com/a name one --input two" "delete ./a" "delete https://example.com/a" \
    "delegation add example.com/a qa key.pem" "delegation add example.com/a targets/qa" \
    "delegation add example.com/a targets/qa key.pem --delegator x" "delegation add ./a qa key.pem --all-paths" \
    "delegation remove example.com/a targets/qa" "delegation purge example.com/a" \
    "key rotate example.com/a snapshot --server-managed --key file" "key rotate example.com/a root --algorithm ed25519" \
    "key rotate ./a root --server-managed"; do
    # shellcheck disable=SC2086
    exits 2 hallmark $verb
done
exits 2 hallmark publish https://127.0.0.1:1/
exits 2 hallmark addhash ./a name 1
says "--sha256"
exits 2 hallmark init ./a --expires root=never
exits 2 hallmark init ./a --threshold root=0
exits 2 hallmark init ./a --key nobody=file
exits 10 hallmark add ./a name /etc/hostname
exits 10 hallmark status ./a
[[ ! -e a ]] || fail "a directory was made"
exits 2 hallmark key list --output xml
says "json"
exits 2 hallmark serve --tls-certificate chain.pem
says "--tls-key"
exits 2 hallmark serve --log-level loud
[[ ! -e out ]] || fail "something was written"

step "what is asked for as JSON is refused as JSON"
exits 2 hallmark pull --output json
[[ -z $OUT ]] || fail "something is on standard output"
equal "$(jq --compact-output '[.error.code, .error.exitCode]' <<<"$ERR")" '["usage",2]' "error"
