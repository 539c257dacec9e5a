#!/bin/bash
# Copies the primary at the first start, then follows it.
set -euo pipefail

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    chown postgres "$PGDATA"
    gosu postgres pg_basebackup --host "$PRIMARY_HOST" --username replicator --pgdata "$PGDATA" \
        --write-recovery-conf --wal-method stream --checkpoint fast
fi
exec gosu postgres postgres -c cluster_name=standby -c wal_receiver_status_interval=1s
