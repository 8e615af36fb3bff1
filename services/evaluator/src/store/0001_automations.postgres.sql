-- One row: grows with every change of any automation, so that every replica sees with one look that something changed.
-- Whoever changes an automation takes this row first, so revisions are in commit order.
CREATE TABLE automations_revision (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    revision BIGINT NOT NULL
);
INSERT INTO automations_revision (one, revision) VALUES (1, 0);

-- The latest revision at which an account's automations changed.
CREATE TABLE account_revisions (
    account TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);
CREATE INDEX account_revisions_by_revision ON account_revisions (revision);

CREATE TABLE automations (
    account TEXT COLLATE "C" NOT NULL,
    id BYTEA NOT NULL CHECK (octet_length(id) = 16),
    definition TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'INACTIVE')),
    version BIGINT NOT NULL CHECK (version >= 1),
    generation BIGINT NOT NULL CHECK (generation >= 0),
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, id),
    CHECK (state = 'INACTIVE' OR generation >= 1)
);
CREATE INDEX automations_active ON automations (account, id) WHERE state = 'ACTIVE';

-- Which automations name a webhook.
CREATE TABLE automation_webhooks (
    account TEXT COLLATE "C" NOT NULL,
    webhook TEXT COLLATE "C" NOT NULL,
    automation BYTEA NOT NULL,
    PRIMARY KEY (account, webhook, automation)
);
CREATE INDEX automation_webhooks_by_automation ON automation_webhooks (account, automation);

-- Answers of CreateAutomation by request id, for 24 hours.
CREATE TABLE create_requests (
    account TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL CHECK (octet_length(digest) = 32),
    automation BYTEA NOT NULL,
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, request_id)
);
CREATE INDEX create_requests_by_age ON create_requests (created_at);

-- Outbox: stop markers that the dispatcher has not confirmed yet.
CREATE TABLE stops (
    account TEXT COLLATE "C" NOT NULL,
    automation BYTEA NOT NULL,
    generation BIGINT NOT NULL CHECK (generation >= 1),
    PRIMARY KEY (account, automation)
);
