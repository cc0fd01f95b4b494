# SPDX-License-Identifier: Apache-2.0
#
# The harness of the integration tests: every test sources it first. It gives a test a scratch directory, servers on free
# loopback ports, users with homes of their own, and assertions; and it gives back everything, however the test ends.
#
#   SUT=hallmark|debian   whose trust server and registry `start_servers` starts (Debian's: notary-server with
#                         notary-signer, and docker-registry). A test that passes against both proves itself right.
#   HALLMARK=PATH         the hallmark binary
#   DOCKER_CLIENT=PATH    the docker client that stands for `docker`

set -Eeuo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/release.sh"

SUT=${SUT:-hallmark}
HALLMARK=${HALLMARK:-$HERE/../.build/debug/hallmark}
DOCKER_CLIENT=${DOCKER_CLIENT:-/usr/bin/docker}
TEST=$(basename "${0%.sh}")

# Nothing of the caller's environment may reach a client, and no temporary file may be left outside the scratch directory.
docker_client=$DOCKER_CLIENT
unset "${!DOCKER_@}" "${!NOTARY_@}" "${!REGISTRY_@}" XDG_RUNTIME_DIR http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
DOCKER_CLIENT=$docker_client
unset "${!HALLMARK_PKCS11_@}" HALLMARK_NEW_PASSPHRASE
# Tests make many keys, and none that anybody wants to steal.
export HALLMARK_KEY_ITERATIONS=10000
export LC_ALL=C.UTF-8 TZ=UTC
umask 022

SCRATCH=${SCRATCH:-$(mktemp -d "${TMPDIR:-/tmp}/hallmark-test.XXXXXX")}
mkdir -p "$SCRATCH"/{bin,logs,processes,users,tmp}
export TMPDIR=$SCRATCH/tmp PATH=$SCRATCH/bin:$PATH
ln -sf "$DOCKER_CLIENT" "$SCRATCH/bin/docker"
ln -sf "$HALLMARK" "$SCRATCH/bin/hallmark"
cd "$SCRATCH/tmp"

# ---- How a test ends ----------------------------------------------------------------------------------------------

STEP="start"
OUT="" ERR="" CODE=0 COMMAND=""
finished=""

# step TEXT: says what the following lines prove; a failure names the step.
step() {
    STEP=$1
    echo "  - $1"
}

# skip REASON: ends the test as one that cannot run here.
skip() {
    finished=skip
    echo "SKIP: $1"
    exit 77
}

# fail TEXT: ends the test as failed, with what is needed to find out why.
fail() {
    finished=fail
    {
        echo "FAILED in step: $STEP"
        echo "  $1"
        if [[ -n $COMMAND ]]; then
            echo "  last command: $COMMAND"
            echo "  exit code: $CODE"
            tail -n 20 <<<"$OUT" | cut -c 1-1000 | sed 's/^/  stdout| /'
            tail -n 20 <<<"$ERR" | cut -c 1-1000 | sed 's/^/  stderr| /'
        fi
        local log
        for log in "$SCRATCH"/logs/*; do
            [[ -s $log && ${log##*/} != engine-* || $COMMAND == *"docker "* ]] || continue
            echo "  --- the end of ${log##*/}"
            tail -n 12 "$log" | cut -c 1-160 | sed 's/^/  | /'
        done
    } >&2
    exit 1
}

on_error() {
    local code=$? line=$1 command=$2
    # The test itself tells, once, when one of its subshells has failed.
    ((BASHPID == $$)) || exit "$code"
    [[ -n $finished ]] || fail "line $line: \`$command\` ended with $code"
}

on_exit() {
    local code=$?
    trap - EXIT ERR
    trap '' INT TERM HUP
    set +e
    # dockerd must end before anything below it is removed.
    if [[ -n ${KEEP:-} ]]; then
        local file
        for file in "$SCRATCH"/processes/*; do [[ -e $file ]] && end_process_group "$(<"$file")" && rm -f "$file"; done
        echo "kept: $SCRATCH"
    else
        release "$SCRATCH"
    fi
    exit "$code"
}

trap 'on_error "$LINENO" "$BASH_COMMAND"' ERR
trap on_exit EXIT
trap 'finished=signal; echo "stopped in step: $STEP" >&2; exit 130' INT TERM HUP

# ---- Assertions ---------------------------------------------------------------------------------------------------

# try COMMAND...: runs it and keeps OUT, ERR and CODE.
try() {
    COMMAND=$*
    CODE=0
    "$@" >"$SCRATCH/stdout" 2>"$SCRATCH/stderr" </dev/null || CODE=$?
    OUT=$(tr -d '\0' <"$SCRATCH/stdout")
    ERR=$(tr -d '\0' <"$SCRATCH/stderr")
}

# succeeds COMMAND...
succeeds() {
    try "$@"
    ((CODE == 0)) || fail "should have succeeded"
}

# fails COMMAND...: any exit code but 0 and those of a program that crashed, was killed or does not exist.
fails() {
    try "$@"
    ((CODE != 0)) || fail "should have been refused"
    ((CODE < 126)) || fail "did not refuse but crashed or was not there"
}

# exits EXPECTED COMMAND...
exits() {
    local expected=$1
    shift
    try "$@"
    ((CODE == expected)) || fail "should have ended with exit code $expected"
}

# says TEXT: the last command wrote it, to either stream.
says() {
    [[ $OUT$'\n'$ERR == *"$1"* ]] || fail "should have said: $1"
}

# never_says TEXT
never_says() {
    [[ $OUT$'\n'$ERR != *"$1"* ]] || fail "should not have said: $1"
}

# json FILTER EXPECTED: the last command's output, through jq.
json() {
    local actual
    actual=$(jq --raw-output --compact-output "$1" <<<"$OUT" 2>&1) || fail "its output is no such JSON: $1: $actual"
    [[ $actual == "$2" ]] || fail "$1 should be $2, is $actual"
}

# equal ACTUAL EXPECTED TEXT
equal() {
    [[ $1 == "$2" ]] || fail "$3: should be \`$2\`, is \`$1\`"
}

# eventually SECONDS COMMAND...: waits until it succeeds.
eventually() {
    local -i deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# need PROGRAM...: the programs a test cannot do without. In CI their absence is a failure.
need() {
    local program
    for program in "$@"; do
        type -P "$program" >/dev/null && continue
        [[ ${CI:-} != true ]] || fail "$program is not installed; run scripts/install-test-dependencies"
        skip "$program is not installed; run scripts/install-test-dependencies"
    done
}

need_root() {
    ((EUID == 0)) && return
    [[ ${CI:-} != true ]] || fail "needs root"
    skip "needs root"
}

# need_hallmark [REASON]: for tests in which the server cannot be another's.
need_hallmark() {
    [[ -x $HALLMARK ]] || { [[ ${CI:-} != true ]] || fail "no hallmark binary at $HALLMARK"; skip "no hallmark binary at $HALLMARK"; }
    [[ $SUT == hallmark || ${1:-} == client ]] || skip "only hallmark's own servers are held to this"
}

# ---- Processes ----------------------------------------------------------------------------------------------------

# start NAME COMMAND...: a server, in a process group of its own, with its output in logs/NAME.
start() {
    local name=$1
    shift
    setsid "$@" >>"$SCRATCH/logs/$name" 2>&1 </dev/null &
    echo $! >"$SCRATCH/processes/$name"
}

process() { cat "$SCRATCH/processes/$1"; }

# is_up NAME
is_up() { [[ -e $SCRATCH/processes/$1 ]] && is_running "$(process "$1")"; }

# stop NAME: SIGTERM, and its exit code in CODE. One that does not end within ten seconds fails the test.
stop() {
    local pid
    pid=$(process "$1")
    kill -TERM "$pid" 2>/dev/null || true
    await_exit "$pid" 10 || fail "$1 did not end within 10 s of SIGTERM"
    CODE=0
    wait "$pid" 2>/dev/null || CODE=$?
    kill -KILL -- "-$pid" 2>/dev/null || true
    rm -f "$SCRATCH/processes/$1"
}

# crash NAME: SIGKILL to it and its children, at once.
crash() {
    local pid
    pid=$(process "$1")
    kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    rm -f "$SCRATCH/processes/$1"
}

# free_port: one below those that the kernel gives out, so that no client's socket takes it meanwhile.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# ---- The servers under test -----------------------------------------------------------------------------------------
# Each sets TRUST_SERVER (a URL), TRUST_CA (the file that verifies it) and REGISTRY (host:port).

start_servers() {
    case $SUT in
    hallmark) start_hallmark ;;
    debian) start_debian_notary && start_debian_registry ;;
    *) fail "SUT is hallmark or debian, not $SUT" ;;
    esac
}

# start_hallmark [DIR]: on the addresses it had before, if it ran before; so a restart keeps the names of images.
HALLMARK_DATA=$SCRATCH/hallmark
start_hallmark() {
    need_hallmark
    HALLMARK_DATA=${1:-$HALLMARK_DATA}
    # Not port 0: what the kernel gives out then, a client's socket may have taken by the time of a restart.
    local registry_address=${REGISTRY:-127.0.0.1:$(free_port)} server_address=${TRUST_SERVER:-127.0.0.1:$(free_port)}
    : >"$SCRATCH/logs/hallmark.ready"
    launch_hallmark "$registry_address" "${server_address#https://}"
    local line
    line=$(hallmark_ready_line)
    REGISTRY=${line#*registry=http://} REGISTRY=${REGISTRY%% *}
    TRUST_SERVER=${line#*server=} TRUST_SERVER=${TRUST_SERVER%% *}
    TRUST_CA=$HALLMARK_DATA/ca.crt
    [[ -s $TRUST_CA ]] || fail "hallmark serve wrote no CA certificate to $TRUST_CA"
}

launch_hallmark() {
    start hallmark bash -c 'exec hallmark serve --data "$1" --registry-address "$2" --server-address "$3" >"$4"' \
        serve "$HALLMARK_DATA" "$1" "$2" "$SCRATCH/logs/hallmark.ready"
    local -i deadline=$((SECONDS + 20))
    until [[ -n $(hallmark_ready_line) ]]; do
        is_up hallmark || fail "hallmark serve ended before it was ready"
        ((SECONDS < deadline)) || fail "hallmark serve was not ready within 20 s"
        sleep 0.02
    done
}

hallmark_ready_line() { grep -m 1 '^ready registry=http://.* server=https://' "$SCRATCH/logs/hallmark.ready" || true; }

# start_service NAME ARGUMENT...: `hallmark serve` with these arguments; waits until it is ready.
start_service() {
    local name=$1
    shift
    need_hallmark
    : >"$SCRATCH/logs/$name.ready"
    start "$name" bash -c 'exec hallmark serve "${@:2}" >"$1"' serve "$SCRATCH/logs/$name.ready" "$@"
    local -i deadline=$((SECONDS + 20))
    until grep --quiet '^ready ' "$SCRATCH/logs/$name.ready"; do
        is_up "$name" || fail "$name ended before it was ready"
        ((SECONDS < deadline)) || fail "$name was not ready within 20 s"
        sleep 0.02
    done
}

# ready_address NAME SERVICE: where that service of the process listens.
ready_address() { sed -n "s|^ready .*\b$2=\([^ ]*\).*|\1|p" "$SCRATCH/logs/$1.ready"; }

# restart_hallmark [stop|crash]
restart_hallmark() {
    "${1:-stop}" hallmark
    start_hallmark
}

# crash_registry and start_registry_again: SIGKILL and a new start of the process that has the registry.
crash_registry() { if [[ $SUT == hallmark ]]; then crash hallmark; else crash docker-registry; fi; }
start_registry_again() { if [[ $SUT == hallmark ]]; then start_hallmark; else start_debian_registry; fi; }

# start_debian_notary: notary-server and notary-signer with mutual TLS, everything in memory.
start_debian_notary() {
    need notary-server notary-signer openssl
    local directory=$SCRATCH/notary server_port signer_port
    server_port=$(free_port)
    signer_port=$(free_port)
    mkdir -p "$directory"
    make_certificates "$directory"
    cat >"$directory/signer.json" <<JSON
{"server": {"grpc_addr": "127.0.0.1:$signer_port", "tls_cert_file": "./server.crt", "tls_key_file": "./server.key",
            "client_ca_file": "./ca.crt"},
 "storage": {"backend": "memory"}, "logging": {"level": "info"}}
JSON
    cat >"$directory/server.json" <<JSON
{"server": {"http_addr": "127.0.0.1:$server_port", "tls_cert_file": "./server.crt", "tls_key_file": "./server.key"},
 "trust_service": {"type": "remote", "hostname": "127.0.0.1", "port": "$signer_port", "key_algorithm": "ecdsa",
                   "tls_ca_file": "./ca.crt", "tls_client_cert": "./server.crt", "tls_client_key": "./server.key"},
 "storage": {"backend": "memory"}, "logging": {"level": "info"}}
JSON
    start notary-signer notary-signer -config "$directory/signer.json"
    eventually 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$signer_port" || fail "notary-signer did not start"
    start notary-server notary-server -config "$directory/server.json"
    TRUST_SERVER=https://127.0.0.1:$server_port TRUST_CA=$directory/ca.crt
    eventually 10 curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/" || fail "notary-server did not start"
}

# publishes_with_notary GUN: the stock client makes a collection, publishes, hands the snapshot key to the server and rotates it,
# and a fresh one verifies each state.
publishes_with_notary() {
    local gun=$1 name user=publisher-$RANDOM
    echo content >content
    new_user "$user"
    succeeds notary_of "$user" init --publish "$gun"
    succeeds notary_of "$user" add --publish "$gun" first content
    succeeds notary_of "$user" key rotate "$gun" snapshot --server-managed
    succeeds notary_of "$user" add --publish "$gun" second content
    succeeds notary_of "$user" key rotate "$gun" snapshot --server-managed
    succeeds notary_of "$user" key rotate "$gun" timestamp --server-managed
    succeeds notary_of "$user" add --publish "$gun" third content
    new_user "reader-of-$user"
    for name in first second third; do
        succeeds notary_of "reader-of-$user" verify "$gun" $name --input content
    done
}

# make_certificates DIRECTORY: a CA, and a certificate of it for 127.0.0.1 that serves both ends.
make_certificates() {
    local directory=$1 curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    openssl req -x509 "${curve[@]}" -keyout "$directory/ca.key" -out "$directory/ca.crt" -days 30 \
        -subj "/CN=test CA" 2>/dev/null
    openssl req "${curve[@]}" -keyout "$directory/server.key" -out "$directory/server.csr" \
        -subj "/CN=localhost" 2>/dev/null
    openssl x509 -req -in "$directory/server.csr" -CA "$directory/ca.crt" -CAkey "$directory/ca.key" -CAcreateserial \
        -days 30 -out "$directory/server.crt" 2>/dev/null \
        -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth')
}

# start_debian_registry [DIR]: docker-registry on a directory of its own, with deletion allowed; again on the same address
# if it ran before.
start_debian_registry() {
    need docker-registry
    local directory=$SCRATCH/docker-registry port
    DEBIAN_REGISTRY_ROOT=${1:-${DEBIAN_REGISTRY_ROOT:-$directory/data}}
    port=${REGISTRY:-127.0.0.1:$(free_port)} port=${port##*:}
    mkdir -p "$directory" "$DEBIAN_REGISTRY_ROOT"
    cat >"$directory/config.yml" <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $DEBIAN_REGISTRY_ROOT}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port", secret: test, relativeurls: true}
YAML
    start docker-registry docker-registry serve "$directory/config.yml"
    REGISTRY=127.0.0.1:$port
    DEBIAN_REGISTRY_DATA=$DEBIAN_REGISTRY_ROOT/docker/registry/v2
    eventually 10 curl --silent --fail "http://$REGISTRY/v2/" || fail "docker-registry did not start"
}

# still_answers: both servers serve, and their processes are the ones that were started.
still_answers() {
    local name
    for name in hallmark notary-server docker-registry; do
        [[ ! -e $SCRATCH/processes/$name ]] || is_up "$name" || fail "$name is no longer running"
    done
    succeeds curl --silent --show-error --fail --max-time 10 "http://$REGISTRY/v2/"
    succeeds curl --silent --show-error --fail --max-time 10 --cacert "$TRUST_CA" "$TRUST_SERVER/v2/"
}

# ---- The Docker engine --------------------------------------------------------------------------------------------

# start_engine NAME: dockerd with its own storage, without networks. Users created afterwards use it.
start_engine() {
    need_root
    need dockerd containerd runc "$DOCKER_CLIENT"
    ENGINE=$1
    local directory=$SCRATCH/engine-$1
    # containerd's sockets lie below it, and a socket's path must stay below 104 characters.
    ((${#directory} < 60)) || fail "the scratch directory's path is too long for an engine: $directory"
    mkdir -p "$directory"
    echo '{}' >"$directory/daemon.json"
    start "engine-$1" env HOME="$directory" dockerd --config-file "$directory/daemon.json" \
        --data-root "$directory/data" --exec-root "$directory/exec" --pidfile "$directory/pid" \
        --host "unix://$directory/socket" --storage-driver vfs --bridge none --iptables=false --ip6tables=false \
        --userland-proxy=false
    eventually 30 docker --host "unix://$directory/socket" version || fail "dockerd did not start"
}

# base_image TEXT REFERENCE...: imports an image whose /text says TEXT, in the engine started last.
base_image() {
    need busybox tar
    local root=$SCRATCH/tmp/rootfs-$RANDOM text=$1 reference id
    shift
    mkdir -p "$root/bin"
    cp "$(type -P busybox)" "$root/bin/busybox"
    ln -s busybox "$root/bin/cat"
    ln -s busybox "$root/bin/sh"
    echo "$text" >"$root/text"
    id=$(tar -C "$root" --sort=name --owner=0 --group=0 --mtime=@0 -c . |
        docker --host "unix://$SCRATCH/engine-$ENGINE/socket" import --change 'CMD ["cat", "/text"]' - 2>&1) ||
        fail "docker import: $id"
    for reference in "$@"; do
        docker --host "unix://$SCRATCH/engine-$ENGINE/socket" tag "$id" "$reference"
    done
    rm -rf "$root"
}

# ---- Users and their clients ----------------------------------------------------------------------------------------

# new_user NAME: a home with no keys and no trust data, that knows the servers' CA and uses the engine started last.
new_user() {
    local home=$SCRATCH/users/$1
    mkdir -p "$home/.docker/tls/${TRUST_SERVER#https://}"
    cp "$TRUST_CA" "$home/.docker/tls/${TRUST_SERVER#https://}/ca.crt"
    printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$REGISTRY" "$(printf '%s:secret' "$1" | base64)" \
        >"$home/.docker/config.json"
    echo "$1" >"$home/passphrase"
    echo "${ENGINE:+unix://$SCRATCH/engine-$ENGINE/socket}" >"$home/engine"
}

# copy_keys FROM TO: keys, their passphrases and trust data, as somebody does who publishes from two machines.
copy_keys() {
    cp -r "$(home "$1")/.docker/trust" "$(home "$2")/.docker/"
    cp "$(home "$1")/passphrase" "$(home "$2")/passphrase"
}

home() { echo "$SCRATCH/users/$1"; }

# as USER COMMAND...: content trust is on; the passphrases are those of the user.
as() {
    local home=$SCRATCH/users/$1 passphrase
    passphrase=$(<"$home/passphrase")
    shift
    HOME=$home DOCKER_CONFIG=$home/.docker DOCKER_HOST=$(<"$home/engine") DOCKER_BUILDKIT=0 \
        DOCKER_CONTENT_TRUST=${TRUST:-1} DOCKER_CONTENT_TRUST_SERVER=$TRUST_SERVER \
        DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE="root of $passphrase" \
        DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE="repository of $passphrase" \
        NOTARY_ROOT_PASSPHRASE="root of $passphrase" NOTARY_TARGETS_PASSPHRASE="repository of $passphrase" \
        NOTARY_SNAPSHOT_PASSPHRASE="repository of $passphrase" NOTARY_DELEGATION_PASSPHRASE="repository of $passphrase" \
        "$@"
}

# without_trust USER COMMAND...
without_trust() { TRUST=0 as "$@"; }

# notary_of USER ARGUMENT...: the notary client on the trust directory that docker uses for the same user.
notary_of() {
    local user=$1
    shift
    as "$user" notary --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" --trustDir "$(home "$user")/.docker/trust" "$@"
}

# hallmark_of USER VERB ARGUMENT...: the hallmark client on that same trust directory.
hallmark_of() {
    local user=$1 verb=$2
    shift 2
    as "$user" hallmark "$verb" --server "$TRUST_SERVER" --tlscacert "$TRUST_CA" \
        --trust-dir "$(home "$user")/.docker/trust" "$@"
}

# docker_version: the major version of the client under test.
docker_version() { docker --version | sed 's/^Docker version \([0-9]*\)\..*/\1/'; }

# registry_digest REPOSITORY TAG: what the registry has under that tag.
registry_digest() {
    curl --silent --show-error --fail --head "http://$REGISTRY/v2/$1/manifests/$2" \
        --header 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        --header 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' \
        --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
        --header 'Accept: application/vnd.oci.image.index.v1+json' |
        tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}

# signed_digest USER REPOSITORY TAG: what the trust server says about that tag, by the notary client.
signed_digest() {
    notary_of "$1" lookup "$REGISTRY/$2" "$3" | sed -n 's/^.* \(sha256:[0-9a-f]*\) .*$/\1/p'
}

# metadata GUN ROLE: as the trust server serves it.
metadata() {
    curl --silent --show-error --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/$1/_trust/tuf/$2.json"
}

# layout DIRECTORY TEXT: an OCI image layout with one image, tagged `latest`, of one small layer that holds TEXT.
layout() { python3 "$HERE/make_layout.py" "$1" "$2" "${@:3}"; }

# layout_digest DIRECTORY: the digest of the first manifest in it.
layout_digest() { jq --raw-output '.manifests[0].digest' "$1/index.json"; }

# layout_is_whole DIRECTORY: every blob has the digest that its name says, and there is one at least.
layout_is_whole() {
    local blob
    local -i count=0
    for blob in "$1"/blobs/sha256/*; do
        [[ $(sha256sum <"$blob") == "${blob##*/} "* ]] || return 1
        count+=1
    done
    ((count > 0)) && [[ -e $1/blobs/sha256/$(layout_digest "$1" | cut -d: -f2) ]]
}

[[ $SUT != hallmark || -x $HALLMARK ]] || need_hallmark
