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
exits 2 hallmark pull --server $nowhere "127.0.0.1:1/a@$digest" out
says "tag"
exits 2 hallmark inspect --server $nowhere "127.0.0.1:1/a@$digest"
exits 2 hallmark pull --server $nowhere --platform nonsense 127.0.0.1:1/a:b out
says "linux/arm64"
exits 2 hallmark pull --server $nowhere --format nonsense 127.0.0.1:1/a:b out
says "docker-archive"
exits 2 hallmark pull --server http://127.0.0.1:1 127.0.0.1:1/a:b out
says "https"
exits 2 hallmark list --server $nowhere --role snapshot example.com/a
exits 2 hallmark list --server $nowhere a/../b
for verb in "add example.com/a name file" "addhash example.com/a name 1 --sha256 $(printf '%064d' 0)" \
    "remove example.com/a name" "publish example.com/a" "status example.com/a" "reset example.com/a" \
    "refresh example.com/a" "delegation list example.com/a" "key rotate example.com/a root" "init example.com/a"; do
    # shellcheck disable=SC2086
    exits 2 hallmark $verb
    says "a directory begins with / or ./"
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
