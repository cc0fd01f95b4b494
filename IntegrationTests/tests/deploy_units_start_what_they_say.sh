#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The command lines of the systemd units, as they are but for paths and ports, and what they run together.
. "$(dirname "$0")/../lib.sh"
. "$HERE/deployed.sh"

need_deployment systemd-analyze

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
