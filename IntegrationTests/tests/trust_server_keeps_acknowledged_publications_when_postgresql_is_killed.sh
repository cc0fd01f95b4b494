#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/postgresql.sh"
. "$HERE/publishers.sh"

need notary openssl
need_hallmark
need_postgresql
start_postgresql
sql postgres "CREATE DATABASE hallmark"
start_hallmark_on_postgresql "$(database_url hallmark)"
make_publishers
kill_database() {
    crash_postgresql
    start_postgresql
}

step "two publishers publish while the database is killed again and again"
start_publishers
killed_while_they_publish 4 kill_database

step "those who read meanwhile are answered again as soon as it is back"
kill_database
succeeds curl --silent --show-error --fail --cacert "$TRUST_CA" "$TRUST_SERVER/v2/${gun}1/_trust/tuf/timestamp.json"
stop_publishers
is_up hallmark || fail "hallmark serve has ended"

step "a fresh client verifies everything that was acknowledged, and so does the publisher"
acknowledged_is_there

step "the changefeed tells each version once"
changefeed_is_whole

step "everything is in the database, in a schema for each service"
equal "$(sql hallmark "SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname LIKE 'hallmark%'")" \
    "hallmark_registry hallmark_server hallmark_signer" "the schemas"
[[ ! -e $HALLMARK_DATA/trust.sqlite ]] || fail "there is an SQLite file"
