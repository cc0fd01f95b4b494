#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The command lines and variables of the compose file, as they are but for paths, names and ports, and what they run together.
. "$(dirname "$0")/../lib.sh"
. "$HERE/deployed.sh"
. "$HERE/postgresql.sh"

need_deployment haproxy
need_postgresql
cp -r "$deploy/compose" compose
succeeds compose/make-certificates 127.0.0.1
TRUST_SERVER=https://127.0.0.1:$server_port TRUST_CA=$PWD/compose/certificates/authority/ca.crt REGISTRY=127.0.0.1:$registry_port

step "the services of the compose file, each with a database and a password of its own"
start_postgresql
export POSTGRES_PASSWORD=secret SERVER_DATABASE_PASSWORD=server1 SIGNER_DATABASE_PASSWORD=signer1
export REGISTRY_DATABASE_PASSWORD=registry1 SIGNER_PASSPHRASE="a passphrase"
succeeds env PATH="$POSTGRESQL_BIN:$PATH" PGHOST=127.0.0.1 PGPORT="$POSTGRESQL_PORT" PGPASSWORD=secret POSTGRES_USER=hallmark \
    compose/make-databases.sh
fails env PGPASSWORD=server1 "$POSTGRESQL_BIN/psql" -h 127.0.0.1 -p "$POSTGRESQL_PORT" -U hallmark_server -d hallmark_signer -c "SELECT 1"
says "permission denied"
# start_composed NAME ADDRESS DIRECTORY
start_composed() {
    local name=$1 line variables=() arguments=() inArguments=""
    while IFS= read -r line; do
        if [[ -z $line ]]; then inArguments=1; elif [[ -n $inArguments ]]; then arguments+=("$line"); else variables+=("$line"); fi
    done < <(python3 "$HERE/deployed.py" compose compose/compose.yaml "$name" |
        sed -e "s|@postgres/|@127.0.0.1:$POSTGRESQL_PORT/|" -e "s|/certificates/|$PWD/compose/certificates/$3/|" \
            -e "s|/var/lib/hallmark|$SCRATCH/composed-$name|" -e "s|0.0.0.0:[0-9]*|$2|" \
            -e "s|=signer:7899|=127.0.0.1:$signer_port|")
    ((${#variables[@]} && ${#arguments[@]})) || fail "the compose file says nothing of $name"
    for line in "${variables[@]}"; do export "${line?}"; done
    start_service "$name" "${arguments[@]:1}"
    for line in "${variables[@]}"; do unset "${line%%=*}"; done
}
start_composed signer "127.0.0.1:$signer_port" signer
start_composed registry "127.0.0.1:$registry_port" registry
ports=()
for number in 1 2 3; do
    ports+=("$(free_port)")
    start_composed server-$number "127.0.0.1:${ports[-1]}" server
done

step "and the balancer before three of them, one of which is killed"
succeeds haproxy -c -f compose/haproxy.cfg
sed -e "s|bind :4443|bind 127.0.0.1:$server_port|" -e "/^resolvers/,/^$/d" -e "s| resolvers docker||" \
    -e "s|server-1:4443|127.0.0.1:${ports[0]}|" -e "s|server-2:4443|127.0.0.1:${ports[1]}|" \
    -e "s|server-3:4443|127.0.0.1:${ports[2]}|" compose/haproxy.cfg >haproxy.cfg
start haproxy haproxy -db -f haproxy.cfg
eventually 20 curl --silent --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/" || fail "the balancer does not answer"
serves
crash server-2
serves
