#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The command lines of the systemd units and of the compose file, as they are but for paths, names and ports, and what they run
# together.
. "$(dirname "$0")/../lib.sh"
. "$HERE/postgresql.sh"

need_hallmark
need systemd-analyze haproxy python3 notary skopeo openssl
python3 -c 'import yaml' 2>/dev/null || skip "python3-yaml is not installed; run scripts/install-test-dependencies"
deploy=$HERE/../deploy
server_port=$(free_port) signer_port=$(free_port) registry_port=$(free_port)
echo content >content

step "systemd takes the units as they are, and finds little that they leave open"
mkdir units
for unit in "$deploy"/systemd/*.{service,timer}; do
    sed "s|/usr/bin/hallmark|$HALLMARK|" "$unit" >"units/${unit##*/}"
done
succeeds systemd-analyze verify --man=no units/*
never_says "Unknown key"
for unit in units/*.service; do
    succeeds systemd-analyze security --offline=true --threshold=15 --no-pager "$unit"
done

cp -r "$deploy/compose" compose
succeeds compose/make-certificates 127.0.0.1
credentials=$PWD/credentials
for service in server signer registry; do
    mkdir -p "credentials/$service"
    cp compose/certificates/$service/tls.* "credentials/$service/"
done
cp compose/certificates/server/ca.crt credentials/server/signer-ca.crt
for kind in crt key; do cp compose/certificates/server/client.$kind credentials/server/signer-client.$kind; done
cp compose/certificates/signer/ca.crt credentials/signer/clients.crt

# local_arguments CREDENTIALS: from lines of a unit's arguments to those of this test, in `arguments`.
local_arguments() {
    mapfile -t arguments < <(sed -e "s|^/usr/bin/hallmark$|hallmark|" -e "s,/var/\(lib\|backups\)/,$SCRATCH/var-\1/," \
        -e "s|%d|$1|" -e "s|0.0.0.0:4443|127.0.0.1:$server_port|" -e "s|127.0.0.1:7899|127.0.0.1:$signer_port|" \
        -e "s|0.0.0.0:5000|127.0.0.1:$registry_port|")
}

# start_unit NAME: what systemd would, and waits until it is ready.
start_unit() {
    local name=$1 credential arguments
    while read -r credential; do
        [[ -z $credential || -e $credentials/${name#hallmark-}/$credential ]] || fail "the test has no credential $credential of $name"
    done < <(python3 "$HERE/deployed.py" credentials "$deploy/systemd/$name.service")
    local_arguments "$credentials/${name#hallmark-}" < <(python3 "$HERE/deployed.py" unit "$deploy/systemd/$name.service")
    [[ ${arguments[0]} == hallmark && ${arguments[1]} == serve ]] || fail "$name does not run hallmark serve: ${arguments[*]}"
    start_service "$name" "${arguments[@]:2}"
}

# serves: the stock client publishes through the trust server, skopeo pushes to the registry.
serves() {
    local gun=example.com/deployed/$RANDOM user=user-$RANDOM
    new_user $user
    succeeds notary_of $user init --publish $gun
    succeeds notary_of $user key rotate $gun snapshot --server-managed
    succeeds notary_of $user add --publish $gun v1 content
    new_user reader-$user
    succeeds notary_of reader-$user verify $gun v1 --input content
    rm -rf image
    layout image "deployed" --layers 1
    mkdir -p certs && cp "$TRUST_CA" certs/ca.crt
    succeeds skopeo copy --dest-cert-dir certs oci:image "docker://$REGISTRY/team/app:1"
}

step "the units of three processes work together"
for name in hallmark-signer hallmark-server hallmark-registry; do start_unit $name; done
TRUST_SERVER=https://127.0.0.1:$server_port TRUST_CA=$PWD/compose/certificates/authority/ca.crt REGISTRY=127.0.0.1:$registry_port
serves
for name in hallmark-registry hallmark-server hallmark-signer; do stop $name; done

step "the unit of one process starts, and the unit of its backup backs it up"
start_unit_of_all() {
    local arguments
    local_arguments none < <(python3 "$HERE/deployed.py" unit "$deploy/systemd/hallmark.service")
    start_service hallmark-all "${arguments[@]:2}" --registry-address "127.0.0.1:$registry_port" \
        --server-address "127.0.0.1:$server_port"
    local_arguments none < <(python3 "$HERE/deployed.py" unit "$deploy/systemd/hallmark-backup.service")
    succeeds "${arguments[@]}"
    says "Backed up"
}
start_unit_of_all
stop hallmark-all

step "the services of the compose file, each with a database and a password of its own"
need_postgresql
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
