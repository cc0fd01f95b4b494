#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

need_hallmark
need python3
venv=$(dirname "$HALLMARK")/python-tuf-venv
step "python-tuf from PyPI"
(
    flock 9
    [[ -e $venv/done ]] || {
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check tuf==7.0.1 'securesystemslib[crypto]==1.6.0'
        touch "$venv/done"
    }
) 9>"$venv.lock"

# publisher ARGUMENT...: hallmark with keys of its own.
publisher() {
    HOME=$PWD/home NOTARY_ROOT_PASSPHRASE="root passphrase" NOTARY_DELEGATION_PASSPHRASE="delegation passphrase" \
        DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE="repository passphrase" hallmark "$@"
}

# new_client NAME REPOSITORY: one that knows the repository's first root.
new_client() {
    mkdir -p "$1"
    cp "$2/metadata/1.root.json" "$1/root.json"
}

# client NAME REPOSITORY PATH...
client() { "$venv/bin/python" "$HERE/python_tuf_client.py" "$1" "$url/${2##*/}" "${@:3}"; }

add() { echo -n "content of $2" >file && publisher add "$1" "$2" file "${@:3}"; }

mkdir home www
port=$(free_port)
url=http://127.0.0.1:$port
start web python3 -m http.server --bind 127.0.0.1 --directory "$PWD/www" "$port"
eventually 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" || fail "the web server does not come up"

for kind in ed25519 ecdsa-p256 ecdsa-p384 rsa; do
    step "$kind: targets, a delegation, a chain of roots"
    repository=./www/$kind
    succeeds publisher init "$repository" --algorithm "$kind"
    succeeds add "$repository" docs/top.txt
    succeeds publisher delegation add "$repository" alice --generate-key --algorithm "$kind" --paths 'alice/*' --terminating
    succeeds add "$repository" alice/one -r alice -p
    new_client "$kind" "$repository"
    succeeds client "$kind" "$repository" docs/top.txt alice/one alice/two
    equal "$OUT" $'docs/top.txt: content of docs/top.txt\nalice/one: content of alice/one\nalice/two: none' "what it reads"
    for role in timestamp snapshot targets root alice; do
        succeeds publisher key rotate "$repository" "$role" --algorithm "$kind" -p
    done
    succeeds add "$repository" docs/new.txt -p
    # Both the client that was there before and one that knows the first root alone.
    new_client "$kind-fresh" "$repository"
    for state in "$kind" "$kind-fresh"; do
        succeeds client "$state" "$repository" docs/new.txt docs/top.txt alice/one
        equal "$(grep -c "content of" <<<"$OUT")" 3 "targets found by $state"
        equal "$(jq .signed.version "$state/root.json")" 5 "the root of $state"
    done
    succeeds publisher verify "$repository"
    # And hallmark's own reader, over the same server.
    succeeds env HOME="$PWD/reader" hallmark list "$url/$kind" --root "$repository/metadata/1.root.json" --output json
    json '[.targets[].name]' '["alice/one","docs/new.txt","docs/top.txt"]'
    succeeds env HOME="$PWD/reader" hallmark verify "$url/$kind" --output json
    json .targets 3
done

step "hallmark reads nothing without a root, and notices a thief's older timestamp"
exits 10 env HOME="$PWD/stranger" hallmark list "$url/rsa"
cp www/rsa/metadata/timestamp.json newest.json
succeeds add ./www/rsa docs/newer.txt -p
succeeds env HOME="$PWD/reader" hallmark verify "$url/rsa"
cp newest.json www/rsa/metadata/timestamp.json
exits 14 env HOME="$PWD/reader" hallmark verify "$url/rsa"

step "bins by hash prefix, and succinct ones"
for kind in prefix succinct; do
    repository=./www/$kind
    succeeds publisher init "$repository"
    for number in {0..9}; do succeeds add "$repository" "early/$number"; done
    succeeds publisher delegation bins "$repository" 32 --generate-key $([[ $kind == prefix ]] || echo --succinct)
    succeeds publisher publish "$repository"
    for number in {0..9}; do succeeds add "$repository" "late/$number"; done
    succeeds publisher publish "$repository"
    new_client "$kind" "$repository"
    succeeds client "$kind" "$repository" early/{0..9} late/{0..9} neither
    equal "$(grep -c "content of" <<<"$OUT")" 20 "targets found in $kind bins"
    says "neither: none"
    equal "$(jq '.signed.targets | length' "$kind/targets.json")" 0 "targets outside the bins"
    succeeds publisher key rotate "$repository" bin -p
    succeeds client "$kind" "$repository" early/0
done

step "without consistent snapshots"
repository=./www/plain
succeeds publisher init "$repository" --no-consistent-snapshot
succeeds add "$repository" a/b -p
new_client plain "$repository"
succeeds client plain "$repository" a/b
equal "$OUT" "a/b: content of a/b" "what it reads"
succeeds add "$repository" a/b2 -p
succeeds client plain "$repository" a/b2

step "a role that two of three sign"
repository=./www/threshold
for name in one two three; do
    succeeds publisher key generate --role root --public "$name.pem"
done
succeeds publisher init "$repository" --key root=one.pem --key root=two.pem --key root=three.pem --threshold root=2
succeeds add "$repository" a -p
new_client threshold "$repository"
succeeds client threshold "$repository" a
equal "$(jq .signed.roles.root.threshold threshold/root.json)" 2 "the threshold"
