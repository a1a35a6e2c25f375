#!/bin/sh
# Version 3 of the broker reads RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS itself; `guest` stays on the loopback.
set -eu
if [ "$1" = rabbitmq-server ]; then
    # The start script then becomes the server instead of waiting beside it, so that signals reach it.
    export RUNNING_UNDER_SYSTEMD=true
fi
exec "$@"
