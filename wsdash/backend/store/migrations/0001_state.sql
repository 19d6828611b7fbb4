CREATE TABLE workspace (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL,
  context      TEXT NOT NULL,
  source_url   TEXT,
  ref          TEXT,
  devfile_path TEXT,
  desired      TEXT NOT NULL CHECK (desired IN ('running', 'stopped', 'deleted')),
  generation   INTEGER NOT NULL CHECK (generation > 0),
  policy       TEXT NOT NULL,
  workload     TEXT NOT NULL,
  created_at   REAL NOT NULL,
  changed_at   REAL NOT NULL,
  deleted_at   REAL
) STRICT;

CREATE UNIQUE INDEX workspace_name ON workspace (name) WHERE deleted_at IS NULL;

CREATE TABLE attempt (
  id                  TEXT PRIMARY KEY,
  workspace_id        TEXT NOT NULL REFERENCES workspace (id),
  number              INTEGER NOT NULL CHECK (number > 0),
  generation          INTEGER NOT NULL,
  intended_at         REAL NOT NULL,
  launched_at         REAL,
  job_id              TEXT,
  url                 TEXT,
  cancel_requested_at REAL,
  cancel_reason       TEXT,
  cancel_cause        TEXT,
  force_cancelled_at  REAL,
  ended_at            REAL,
  end_cause           TEXT,
  end_exit_code       INTEGER,
  end_message         TEXT,
  seen                TEXT,
  UNIQUE (workspace_id, number)
) STRICT;

CREATE INDEX attempt_live ON attempt (workspace_id) WHERE ended_at IS NULL;

CREATE TABLE event (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  at           REAL NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  attempt      INTEGER,
  actor        TEXT NOT NULL CHECK (actor IN ('user', 'reconciler', 'job')),
  kind         TEXT NOT NULL,
  text         TEXT NOT NULL,
  evidence     TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE INDEX event_of_workspace ON event (workspace_id, id);

-- One row a context: when its provider was last asked, and whether it answered.
CREATE TABLE look (
  context        TEXT PRIMARY KEY,
  at             REAL NOT NULL,
  reachable      INTEGER NOT NULL CHECK (reachable IN (0, 1)),
  watching_since REAL NOT NULL,
  problem        TEXT
) STRICT;

-- expires_at is on the boot-time clock of the boot that boot_id names.
CREATE TABLE lease (
  name       TEXT PRIMARY KEY,
  token      INTEGER NOT NULL,
  owner      TEXT NOT NULL,
  boot_id    TEXT NOT NULL,
  pid        INTEGER NOT NULL,
  pid_start  INTEGER NOT NULL,
  expires_at REAL NOT NULL
) STRICT;
