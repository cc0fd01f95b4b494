#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Run once by the postgres image: a role and a database for each service, which no other service can enter.
set -euo pipefail

for service in server signer registry; do
    variable=${service^^}_DATABASE_PASSWORD
    psql --set ON_ERROR_STOP=1 --set name="hallmark_$service" --set password="${!variable}" \
        --username "${POSTGRES_USER:-postgres}" --dbname "${POSTGRES_DB:-postgres}" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
