#!/bin/bash
# Prepares the primary at its first start: the task API's role and database, and a role that may
# replicate.
set -euo pipefail

psql -v ON_ERROR_STOP=1 -U postgres <<'SQL'
CREATE ROLE tasks LOGIN PASSWORD 'tasks';
-- To see the standby's position in pg_stat_replication.
GRANT pg_monitor TO tasks;
CREATE DATABASE tasks OWNER tasks;
CREATE ROLE replicator REPLICATION LOGIN PASSWORD 'replicator';
SQL
echo "host replication replicator all scram-sha-256" >> "$PGDATA/pg_hba.conf"
