# SPDX-License-Identifier: Apache-2.0
#
# For tests that need PostgreSQL; sourced after lib.sh. A server of the test's own, on a free port, with SCRAM; Notary's two
# databases as its migrations make them; and Notary or hallmark on these, at the same address with the same certificate, so
# that their clients cannot tell.

need_postgresql() {
    need_root
    POSTGRESQL_BIN=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
    [[ -x $POSTGRESQL_BIN/initdb ]] && return
    [[ ${CI:-} != true ]] || fail "PostgreSQL is not installed; run scripts/install-test-dependencies"
    skip "PostgreSQL is not installed; run scripts/install-test-dependencies"
}

# start_postgresql: again on the same data if it ran before.
start_postgresql() {
    local directory=$SCRATCH/postgresql
    if [[ ! -e $directory ]]; then
        POSTGRESQL_PORT=$(free_port)
        mkdir "$directory"
        # The server refuses to be root, and must get there.
        chmod a+x "$SCRATCH" "${SCRATCH%/*}"
        echo secret >"$directory/password"
        chown -R postgres "$directory"
        succeeds as_postgres "$POSTGRESQL_BIN/initdb" -D "$directory/data" -U hallmark -A scram-sha-256 \
            --pwfile "$directory/password" -E UTF8 --locale C.UTF-8 --no-sync
    fi
    start postgresql setpriv --reuid=postgres --regid=postgres --init-groups \
        "$POSTGRESQL_BIN/postgres" -D "$directory/data" -k "$directory" -p "$POSTGRESQL_PORT" \
        -c listen_addresses=127.0.0.1
    eventually 20 sql postgres "SELECT 1" || fail "PostgreSQL did not start"
}

as_postgres() { (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@"); }

# sql DATABASE STATEMENTS: prints values separated by |.
sql() {
    PGPASSWORD=secret "$POSTGRESQL_BIN/psql" -X -q -t -A -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$POSTGRESQL_PORT" \
        -U hallmark -d "$1" -c "$2"
}

# database_url NAME
database_url() { echo "postgres://hallmark:secret@127.0.0.1:$POSTGRESQL_PORT/$1?sslmode=disable"; }

# stop_postgresql: a fast shutdown, which ends all connections.
stop_postgresql() {
    local pid
    pid=$(process postgresql)
    kill -INT "$pid"
    await_exit "$pid" 20 || fail "PostgreSQL did not end within 20 s"
    wait "$pid" 2>/dev/null || true
    rm -f "$SCRATCH/processes/postgresql"
}

# crash_postgresql: SIGKILL to the server and all that it runs.
crash_postgresql() {
    local pid
    pid=$(process postgresql)
    # Each of its processes has a group of its own.
    kill -KILL "$pid" $(pgrep -P "$pid") 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    rm -f "$SCRATCH/processes/postgresql"
}

make_notary_databases() {
    sql postgres "CREATE DATABASE notaryserver"
    sql postgres "CREATE DATABASE notarysigner"
    local database
    for database in notaryserver notarysigner; do sql $database "$(<"$HERE/notary-schema/$database.sql")"; done
}

# The passphrase of the signer's keys, for Notary's signer as for ours.
SIGNER_ENVIRONMENT=(NOTARY_SIGNER_DEFAULT_ALIAS=timestamp_1 NOTARY_SIGNER_TIMESTAMP_1="the passphrase of the signer")

# start_notary_on_postgresql: at the address of before, if anything ran there.
start_notary_on_postgresql() {
    need notary-server notary-signer openssl
    local directory=$SCRATCH/notary signer_port
    signer_port=$(free_port)
    TRUST_SERVER=${TRUST_SERVER:-https://127.0.0.1:$(free_port)}
    if [[ ! -e $directory ]]; then
        mkdir "$directory"
        make_certificates "$directory"
    fi
    TRUST_CA=$directory/ca.crt
    cat >"$directory/signer.json" <<JSON
{"server": {"grpc_addr": "127.0.0.1:$signer_port", "tls_cert_file": "./server.crt", "tls_key_file": "./server.key",
            "client_ca_file": "./ca.crt"},
 "storage": {"backend": "postgres", "db_url": "$(database_url notarysigner)"}, "logging": {"level": "info"}}
JSON
    cat >"$directory/server.json" <<JSON
{"server": {"http_addr": "${TRUST_SERVER#https://}", "tls_cert_file": "./server.crt", "tls_key_file": "./server.key"},
 "trust_service": {"type": "remote", "hostname": "127.0.0.1", "port": "$signer_port", "key_algorithm": "ecdsa",
                   "tls_ca_file": "./ca.crt", "tls_client_cert": "./server.crt", "tls_client_key": "./server.key"},
 "storage": {"backend": "postgres", "db_url": "$(database_url notaryserver)"}, "logging": {"level": "info"}}
JSON
    start notary-signer env "${SIGNER_ENVIRONMENT[@]}" notary-signer -config "$directory/signer.json"
    eventually 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$signer_port" || fail "notary-signer did not start"
    start notary-server notary-server -config "$directory/server.json"
    eventually 10 curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/" || fail "notary-server did not start"
}

stop_notary() {
    stop notary-server
    stop notary-signer
}

# start_hallmark_on_postgresql [URL]: everything in that database, or the trust server and the signer in Notary's two; at
# the address and with the certificate of before.
start_hallmark_on_postgresql() {
    need_hallmark
    TRUST_SERVER=${TRUST_SERVER:-https://127.0.0.1:$(free_port)} REGISTRY=${REGISTRY:-127.0.0.1:$(free_port)}
    if [[ ! -e $SCRATCH/notary ]]; then
        mkdir "$SCRATCH/notary"
        make_certificates "$SCRATCH/notary"
    fi
    TRUST_CA=$SCRATCH/notary/ca.crt
    local databases=("HALLMARK_DATABASE=${1:-}")
    (($#)) || databases=(
        "HALLMARK_SERVER_DATABASE=$(database_url notaryserver)" "HALLMARK_SIGNER_DATABASE=$(database_url notarysigner)"
    )
    : >"$SCRATCH/logs/hallmark.ready"
    start hallmark env "${SIGNER_ENVIRONMENT[@]}" "${databases[@]}" \
        bash -c 'ready=$1; shift; exec hallmark serve "$@" >"$ready"' serve "$SCRATCH/logs/hallmark.ready" \
        --data "$HALLMARK_DATA" --registry-address "$REGISTRY" --server-address "${TRUST_SERVER#https://}" \
        --tls-certificate "$SCRATCH/notary/server.crt" --tls-key "$SCRATCH/notary/server.key"
    local -i deadline=$((SECONDS + 20))
    until [[ -n $(hallmark_ready_line) ]]; do
        is_up hallmark || fail "hallmark serve ended before it was ready"
        ((SECONDS < deadline)) || fail "hallmark serve was not ready within 20 s"
        sleep 0.02
    done
}
