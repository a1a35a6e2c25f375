#!/bin/bash
# What the official image promises, and no more: the first start makes the cluster, the user and the database, and runs
# the files of /docker-entrypoint-initdb.d in the order of their names against a server that no client can reach.
set -euo pipefail

export POSTGRES_USER=${POSTGRES_USER:-postgres}
export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}

if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?POSTGRES_PASSWORD must be set for the first start}"
    # shellcheck disable=SC2086  # the variable holds several words
    initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --auth-local=trust --auth-host=scram-sha-256 \
        --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-}
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    pg_ctl --pgdata="$PGDATA" --wait --options="-c listen_addresses=''" start
    export PGPASSWORD=$POSTGRES_PASSWORD
    run_sql() { psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"; }
    if [ "$POSTGRES_DB" != postgres ]; then
        createdb --username "$POSTGRES_USER" --maintenance-db=postgres "$POSTGRES_DB"
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) run_sql --file "$file" ;;
        esac
    done
    unset PGPASSWORD
    pg_ctl --pgdata="$PGDATA" --wait --mode=fast stop
fi

if [ "$1" = postgres ]; then
    exec "$@" -c listen_addresses='*'
fi
exec "$@"
