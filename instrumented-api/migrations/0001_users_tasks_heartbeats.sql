-- One text for PostgreSQL and SQLite: ids are UUIDs as text, times are Unix milliseconds.

CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY,
    email         TEXT   NOT NULL UNIQUE,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE tasks (
    id          TEXT   NOT NULL PRIMARY KEY,
    owner_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title       TEXT   NOT NULL,
    description TEXT   NOT NULL,
    status      TEXT   NOT NULL,
    due_at      BIGINT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE INDEX tasks_by_owner ON tasks (owner_id, created_at, id);

-- Each instance beats its own row on the primary; what it reads back from the replica is the lag.
CREATE TABLE heartbeats (
    instance_id TEXT   NOT NULL PRIMARY KEY,
    beat_at     BIGINT NOT NULL
);
