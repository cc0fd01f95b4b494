#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/../lib.sh"
. "$HERE/postgresql.sh"

need_hallmark
need_postgresql
serve() { timeout 30 hallmark serve --data "$SCRATCH/data" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0 "$@"; }

step "who does not use PostgreSQL does not load its library"
succeeds ldd "$(realpath "$SCRATCH/bin/hallmark")"
never_says libpq

step "a database that is not there: which option, where it was looked for, and no password"
exits 1 serve --server-database "postgres://u:secret-word@127.0.0.1:1/d"
says "127.0.0.1"
says "--server-database"
never_says secret-word
[[ -z $OUT ]] || fail "it said that it is ready"

step "a wrong password, from a variable"
start_postgresql
exits 1 env HALLMARK_DATABASE="postgres://hallmark:secret-word@127.0.0.1:$POSTGRESQL_PORT/postgres" \
    timeout 30 hallmark serve --data "$SCRATCH/data" --registry-address 127.0.0.1:0 --server-address 127.0.0.1:0
says "password authentication failed"
never_says secret-word

step "a connection string that is none, of which nothing is repeated"
exits 1 serve --database "postgres://hallmark:secret%zzword@127.0.0.1/d"
says "connection string"
never_says "zzword"

step "a database that belongs to something newer"
sql postgres "CREATE DATABASE newer"
sql newer "CREATE TABLE hallmark_migrations (position BIGINT PRIMARY KEY, name TEXT UNIQUE)"
sql newer "INSERT INTO hallmark_migrations VALUES (0, 'trust-server-1'), (1, 'from-the-future')"
exits 1 serve --server-database "$(database_url newer)"
says "from-the-future"

step "options that make no sense"
exits 2 serve --database-connections 0
