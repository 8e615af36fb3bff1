-- One row an account: its limits as billing last said, what is used of them, how much waits, when to look at it next.
CREATE TABLE account (
  account           TEXT    NOT NULL PRIMARY KEY,
  version           INTEGER,                    -- billing's version; NULL until the registry told us
  automations       INTEGER NOT NULL DEFAULT 0,
  rate_units        INTEGER NOT NULL DEFAULT 0,
  rate_per_us       INTEGER NOT NULL DEFAULT 0,
  rate_burst        INTEGER NOT NULL DEFAULT 0,
  rate_tat_ns       INTEGER NOT NULL DEFAULT 0,
  allowance         INTEGER,                    -- NULL: no end
  anchor_at         INTEGER NOT NULL DEFAULT 0,
  period_start_at   INTEGER NOT NULL DEFAULT 0,
  period_end_at     INTEGER NOT NULL DEFAULT 0,
  period_granted    INTEGER NOT NULL DEFAULT 0,
  period_used       INTEGER NOT NULL DEFAULT 0,
  period_reached    INTEGER NOT NULL DEFAULT 0,         -- the threshold in percent that whoever runs Sluice was told of
  notice_units      INTEGER NOT NULL DEFAULT 0,
  notice_per_us     INTEGER NOT NULL DEFAULT 0,
  notice_burst      INTEGER NOT NULL DEFAULT 0,
  notice_tat_ns     INTEGER NOT NULL DEFAULT 0,
  max_waiting       INTEGER NOT NULL DEFAULT 0,
  history_us        INTEGER NOT NULL DEFAULT 0,
  waiting           INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= 0),
  wake_at           INTEGER,
  paused_at         INTEGER,                    -- since when an operator holds everything back
  paused_note       TEXT,                       -- why, for people
  CHECK ((paused_at IS NULL) = (paused_note IS NULL))
);
CREATE INDEX account_wake ON account (wake_at) WHERE wake_at IS NOT NULL;

-- What was granted to an allowance, for when the request comes again.
CREATE TABLE allowance_grant (
  account     TEXT    NOT NULL,
  request     TEXT    NOT NULL,                 -- the caller's id of it
  units       INTEGER NOT NULL CHECK (units > 0),
  kept_until  INTEGER NOT NULL,                 -- a while after the period that it was granted for
  PRIMARY KEY (account, request)
) WITHOUT ROWID;
CREATE INDEX allowance_grant_kept ON allowance_grant (kept_until);

-- Where work queues: one automation's generation (or notifications) towards one webhook.
CREATE TABLE lane (
  lane        INTEGER PRIMARY KEY,
  account     TEXT    NOT NULL,
  automation  TEXT    NOT NULL,                 -- '' for notifications
  generation  INTEGER NOT NULL,
  webhook     TEXT    NOT NULL,
  UNIQUE (account, automation, generation, webhook)
);

-- What holds lanes back: a webhook disabled by hand, an automation stopped up to a generation.
CREATE TABLE gate (
  account     TEXT    NOT NULL,
  kind        TEXT    NOT NULL CHECK (kind IN ('WEBHOOK', 'AUTOMATION')),
  subject     TEXT    NOT NULL,
  generation  INTEGER NOT NULL,                 -- a webhook's revision, an automation's generation
  closed      INTEGER NOT NULL CHECK (closed IN (0, 1)),
  unswept     INTEGER NOT NULL CHECK (unswept IN (0, 1)),
  PRIMARY KEY (account, kind, subject)
) WITHOUT ROWID;
CREATE INDEX gate_unswept ON gate (account) WHERE unswept = 1;

-- Webhooks that fail: counted, held back but for a probe, being disabled by the system, disabled by it. One that works has no row.
CREATE TABLE breaker (
  account     TEXT    NOT NULL,
  webhook     TEXT    NOT NULL,
  state       TEXT    NOT NULL CHECK (state IN ('CLOSED', 'OPEN', 'HALF_OPEN', 'DISABLING', 'DISABLED')),
  failures    INTEGER NOT NULL CHECK (failures >= 0), -- in a row
  since       INTEGER NOT NULL,                 -- when the first of them was
  opened      INTEGER NOT NULL CHECK (opened >= 0),
  until       INTEGER,                          -- when the next probe goes, or replaces the one under way
  token       INTEGER,                          -- of the probe's claim
  why         TEXT    CHECK (why IN ('GONE', 'FAILING')),
  version     INTEGER,                          -- the webhook's, that the registry is to disable
  revision    INTEGER,                          -- the registry's, that says it is disabled
  unswept     INTEGER NOT NULL CHECK (unswept IN (0, 1)),
  PRIMARY KEY (account, webhook),
  CHECK ((state IN ('OPEN', 'HALF_OPEN')) = (until IS NOT NULL)),
  CHECK ((state = 'HALF_OPEN') = (token IS NOT NULL)),
  CHECK ((state IN ('DISABLING', 'DISABLED')) = (why IS NOT NULL)),
  CHECK ((state = 'DISABLING') = (version IS NOT NULL)),
  CHECK ((state = 'DISABLED') = (revision IS NOT NULL)),
  CHECK (unswept = 0 OR state = 'DISABLED')
) WITHOUT ROWID;
CREATE INDEX breaker_disabling ON breaker (account) WHERE state = 'DISABLING';
CREATE INDEX breaker_unswept ON breaker (account) WHERE unswept = 1;

-- What receivers are to be spared, of webhooks that have limits of their own: a row only for those.
CREATE TABLE receiver (
  account        TEXT    NOT NULL,
  webhook        TEXT    NOT NULL,
  max_in_flight  INTEGER CHECK (max_in_flight >= 1),
  rate_units     INTEGER CHECK (rate_units >= 1),
  rate_per_us    INTEGER CHECK (rate_per_us >= 1),
  rate_burst     INTEGER CHECK (rate_burst >= 1),
  rate_tat_ns    INTEGER NOT NULL,
  PRIMARY KEY (account, webhook),
  CHECK ((rate_units IS NULL) = (rate_per_us IS NULL) AND (rate_units IS NULL) = (rate_burst IS NULL)),
  CHECK (max_in_flight IS NOT NULL OR rate_units IS NOT NULL)
) WITHOUT ROWID;

-- The next place in the order of acceptance.
CREATE TABLE sequence (next INTEGER NOT NULL);
INSERT INTO sequence VALUES (1);

-- The answer an event got, for when it comes again.
CREATE TABLE receipt (
  receipt     INTEGER PRIMARY KEY,
  account     TEXT    NOT NULL,
  event       TEXT    NOT NULL,
  digest      BLOB    NOT NULL,
  executions  BLOB    NOT NULL,                 -- ids of 16 bytes, one after another
  at          INTEGER NOT NULL,
  UNIQUE (account, event)
);

-- What was accepted, with the requests; inserted once, never updated.
CREATE TABLE execution (
  seq                 INTEGER PRIMARY KEY,      -- the order of acceptance
  account             TEXT    NOT NULL,
  id                  BLOB    NOT NULL CHECK (length(id) = 16),
  automation          TEXT    NOT NULL,         -- '' for notifications
  automation_version  INTEGER NOT NULL,
  generation          INTEGER NOT NULL,
  event               TEXT    NOT NULL,         -- JSON
  traceparent         TEXT    NOT NULL,
  trace               INTEGER,        -- stands for account and trace; NULL without one
  record              INTEGER NOT NULL,   -- stands for account and the record's id
  accepted_at         INTEGER NOT NULL,
  plan                TEXT    NOT NULL,         -- JSON
  bodies              BLOB    NOT NULL          -- of its requests, one after another; compressed where it pays
);
CREATE UNIQUE INDEX execution_id ON execution (account, id);
-- What these two stand for is random: in one index over all rows each would be written to a page of its own, anywhere. So they are
-- cut where 512 executions are full: what is accepted goes into the last page or two, and a look-up asks each cut.
CREATE INDEX execution_trace ON execution ((seq >> 9), trace);
CREATE INDEX execution_record ON execution ((seq >> 9), record);

-- The working set: what is not ended. A row with a token has an attempt under way.
CREATE TABLE pending (
  seq            INTEGER PRIMARY KEY,
  account        TEXT    NOT NULL,
  lane           INTEGER NOT NULL,
  turn           INTEGER NOT NULL CHECK (turn IN (0, 1, 2)),
  due_at         INTEGER NOT NULL CHECK (due_at >= 0),   -- 0: ready
  step           INTEGER NOT NULL CHECK (step >= 0),
  attempt        INTEGER NOT NULL CHECK (attempt >= 1),  -- the number under way, or the next
  retries        INTEGER NOT NULL CHECK (retries >= 0),
  interruptions  INTEGER NOT NULL CHECK (interruptions >= 0),
  started_at     INTEGER,
  cancel         INTEGER NOT NULL DEFAULT 0 CHECK (cancel IN (0, 1)),
  ends           INTEGER NOT NULL DEFAULT 0 CHECK (ends >= 0),   -- how often it ended before
  token          INTEGER,
  claimed_at     INTEGER,
  lease_until    INTEGER,
  CHECK ((token IS NULL) = (claimed_at IS NULL) AND (token IS NULL) = (lease_until IS NULL)),
  CHECK ((turn = 0) = (started_at IS NOT NULL)),
  CHECK (token IS NULL OR (turn = 0 AND due_at = 0)),
  CHECK (cancel = 0 OR token IS NOT NULL)
);
CREATE INDEX pending_turn ON pending (account, turn, seq) WHERE token IS NULL AND due_at = 0;
CREATE INDEX pending_lane ON pending (lane, turn, due_at, seq) WHERE token IS NULL;
CREATE INDEX pending_due ON pending (account, due_at) WHERE token IS NULL AND due_at > 0;
-- Not `> 0`, so that neither database takes the index by time for it.
CREATE INDEX pending_later ON pending (account, seq) WHERE token IS NULL AND due_at <> 0;
CREATE INDEX pending_lease ON pending (lease_until) WHERE token IS NOT NULL;

-- Whose turn it is at webhooks that are ordered by record; other deliveries have no row here. The first place of a line goes on, the
-- others are due at 9223372036854775807 until it is over.
CREATE TABLE line (
  seq      INTEGER PRIMARY KEY,
  account  TEXT     NOT NULL,
  webhook  TEXT NOT NULL,
  record   TEXT NOT NULL,
  place    INTEGER,                 -- NULL while a delay runs
  UNIQUE (account, webhook, record, place)
);

-- Attempts that ended; the one under way stands in pending.
CREATE TABLE attempt (
  seq               INTEGER NOT NULL,
  step              INTEGER NOT NULL,
  number            INTEGER NOT NULL CHECK (number >= 1),
  verdict           TEXT    NOT NULL CHECK (verdict IN ('SUCCEEDED', 'FAILED_RETRYABLE', 'FAILED', 'INTERRUPTED')),
  started_at        INTEGER NOT NULL,
  ended_at          INTEGER NOT NULL,
  duration_us       INTEGER NOT NULL,
  url_path          TEXT    NOT NULL,
  request_headers   TEXT    NOT NULL,           -- JSON, redacted
  status            INTEGER,
  response_headers  TEXT    NOT NULL,           -- JSON, redacted
  response_body     BLOB    NOT NULL,
  truncated         INTEGER NOT NULL,
  error             TEXT    NOT NULL,
  PRIMARY KEY (seq, step, number)
) WITHOUT ROWID;

-- Ends of executions; the latest number counts.
CREATE TABLE ending (
  seq         INTEGER NOT NULL,
  number      INTEGER NOT NULL CHECK (number >= 1),
  state       TEXT    NOT NULL CHECK (state IN ('SUCCEEDED', 'FAILED', 'STOPPED', 'CANCELLED')),
  reason      TEXT,
  message     TEXT    NOT NULL,
  step        INTEGER NOT NULL,
  started_at  INTEGER,
  at          INTEGER NOT NULL,
  account     TEXT,                     -- whose, of the end in force that is no success
  PRIMARY KEY (seq, number),
  CHECK ((state = 'SUCCEEDED') = (reason IS NULL)),
  CHECK (state <> 'SUCCEEDED' OR account IS NULL)
) WITHOUT ROWID;
-- What went otherwise than well is found by its end; what went well costs nothing here.
CREATE INDEX ending_account ON ending (account, state, at, seq) WHERE account IS NOT NULL;

-- What happened, for those who watch: one row a transaction and account, appended, and gone after a while.
CREATE TABLE change (
  revision  INTEGER PRIMARY KEY,
  account   TEXT NOT NULL,
  at        INTEGER NOT NULL,
  changes   TEXT NOT NULL               -- JSON; without any, the account's gates may have changed
);

-- One row: the newest revision that is no longer kept.
CREATE TABLE feed (
  one       INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  pruned    INTEGER NOT NULL
);
INSERT INTO feed (one, pruned) VALUES (1, 0);

-- 8,192 places in the order of acceptance, of which something ended: when something on it may be next to go, see retention.rs.
CREATE TABLE shelf (
  shelf    INTEGER NOT NULL PRIMARY KEY,
  look_at  INTEGER NOT NULL
);
CREATE INDEX shelf_due ON shelf (look_at);

-- What whoever runs Sluice is told of: written with what it speaks of, an event of the system account afterwards.
CREATE TABLE notice (
  notice   INTEGER PRIMARY KEY,
  id       BLOB    NOT NULL CHECK (length(id) = 16),
  account  TEXT    NOT NULL,               -- that it is about
  at       INTEGER NOT NULL,
  news     TEXT    NOT NULL,               -- JSON
  unsent   INTEGER NOT NULL CHECK (unsent IN (0, 1))
);
CREATE INDEX notice_unsent ON notice (notice) WHERE unsent = 1;
