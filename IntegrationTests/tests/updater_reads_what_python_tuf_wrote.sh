#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"

client=${TUF_CLIENT:-$(dirname "$HALLMARK")/tuf-conformance-client}
need "$client" python3
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

# update DIRECTORY PATH...: a client with its state in it downloads targets.
update() {
    local directory=$1 options=()
    shift
    for path in "$@"; do options+=(--target-name "$path"); done
    "$client" --metadata-dir "$directory/metadata" --metadata-url "$url/metadata/" "${options[@]}" \
        --target-base-url "$url/targets/" --target-dir "$directory/targets" download
}

port=$(free_port)
mkdir www
start web python3 -m http.server --bind 127.0.0.1 --directory "$PWD/www" "$port"
eventually 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" || fail "the web server does not come up"

names=(top 'dir/a b%20c')
for number in {0..7}; do names+=("bins/$number" "succinct/$number"); done
for scheme in ed25519 ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 rsassa-pss-sha256; do
    step "$scheme: roots, patterns, hash bins and succinct roles"
    "$venv/bin/python" "$HERE/make_tuf_repository.py" "www/$scheme" "$scheme"
    url=http://127.0.0.1:$port/$scheme
    succeeds "$client" --metadata-dir "$scheme/metadata" init "www/$scheme/metadata/1.root.json"
    succeeds update "$scheme" "${names[@]}"
    equal "$(cat "$scheme/targets/dir%2Fa%20b%2520c")" "content of dir/a b%20c" "a target with an odd name"
    for number in {0..7}; do
        equal "$(cat "$scheme/targets/bins%2F$number")" "content of bins/$number" "a target in a hash bin"
        equal "$(cat "$scheme/targets/succinct%2F$number")" "content of succinct/$number" "a target in a succinct role"
    done
    equal "$(jq .signed.version "$scheme/metadata/root.json")" 3 "the version of root"
    fails update "$scheme" bins/none
    says "no role of the repository that may hold the target bins/none lists it"
done

step "many processes at once on one directory"
mkdir shared
succeeds "$client" --metadata-dir shared/metadata init "www/ed25519/metadata/1.root.json"
url=http://127.0.0.1:$port/ed25519
pids=()
for _ in {1..12}; do
    update shared "${names[@]}" >"$SCRATCH/tmp/race.$((${#pids[@]}))" 2>&1 &
    pids+=($!)
done
for index in "${!pids[@]}"; do
    wait "${pids[index]}" || fail "one of them failed: $(cat "$SCRATCH/tmp/race.$index")"
done
for file in timestamp snapshot targets; do
    equal "$(sha256sum <"shared/metadata/$file.json")" "$(sha256sum <"ed25519/metadata/$file.json")" "$file.json"
done
equal "$(find shared -name '*.part' -o -name '*.tmp' | wc -l)" 0 "what is left over"

step "killed again and again, it goes on"
for _ in {1..25}; do
    rm -rf shared/targets
    timeout --signal KILL "0.0$((RANDOM % 90 + 10))" "$client" --metadata-dir shared/metadata --metadata-url "$url/metadata/" \
        --target-name top --target-base-url "$url/targets/" --target-dir shared/targets download >/dev/null 2>&1 || true
    [[ ! -e shared/targets/top ]] || equal "$(cat shared/targets/top)" "content of top" "a target"
done
succeeds update shared "${names[@]}"
equal "$(cat shared/targets/top)" "content of top" "a target"
