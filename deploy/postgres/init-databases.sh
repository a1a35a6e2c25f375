#!/bin/sh
# Runs once, on an empty PostgreSQL: a role and a database for each service that keeps data.
set -eu
for service in auth catalog progress stream; do
    name=$(echo "$service" | tr '[:lower:]' '[:upper:]')_DB_PASSWORD
    eval "password=\${$name:-}"
    # Stream does without a database where no film is protected.
    if [ "$service" = stream ] && [ -z "$password" ]; then
        continue
    fi
    psql --set ON_ERROR_STOP=1 --set service="$service" --set password="$password" \
        --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"service";
REVOKE CONNECT ON DATABASE :"service" FROM PUBLIC;
SQL
done
