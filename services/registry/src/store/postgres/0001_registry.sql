-- Who may send what, and where to. Times are microseconds since the Unix epoch, UTC; ids are the 16 bytes of a UUIDv7.

CREATE TABLE accounts (
    account TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    plan TEXT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 0),
    anchor BIGINT NOT NULL,
    entitlements TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE webhooks (
    account TEXT COLLATE "C" NOT NULL,
    id BYTEA NOT NULL CHECK (octet_length(id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('AUTOMATION', 'EVENT')),
    display_name TEXT NOT NULL CHECK (display_name <> ''),
    endpoint_url TEXT NOT NULL,
    scheme TEXT NOT NULL CHECK (scheme IN ('NONE', 'BASIC', 'BEARER', 'API_KEY')),
    scheme_detail TEXT,
    credential BYTEA,
    signing_secret BYTEA NOT NULL,
    subscription_object TEXT,
    subscription_actions TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ENABLED', 'DISABLED')),
    ordering TEXT NOT NULL CHECK (ordering IN ('NONE', 'RECORD')),
    owner TEXT NOT NULL,
    owner_is_admin BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL CHECK (version >= 1),
    disable_reason TEXT CHECK (disable_reason IN ('BY_HAND', 'GONE', 'FAILING')),
    disabled_at BIGINT,
    max_in_flight BIGINT CHECK (max_in_flight >= 1),
    rate_units BIGINT CHECK (rate_units >= 1),
    rate_per_us BIGINT CHECK (rate_per_us >= 1),
    rate_burst BIGINT CHECK (rate_burst >= 1),
    PRIMARY KEY (account, id),
    CHECK ((state = 'DISABLED') = (disable_reason IS NOT NULL)),
    CHECK ((disable_reason IS NULL) = (disabled_at IS NULL)),
    CHECK ((scheme = 'NONE') = (credential IS NULL)),
    CHECK ((scheme IN ('BASIC', 'API_KEY')) = (scheme_detail IS NOT NULL)),
    CHECK ((rate_units IS NULL) = (rate_per_us IS NULL) AND (rate_units IS NULL) = (rate_burst IS NULL)),
    CHECK ((kind = 'EVENT') = (subscription_object IS NOT NULL))
);

CREATE UNIQUE INDEX webhooks_display_name ON webhooks (account, display_name);

-- What a repeated CreateWebhook is recognised by; kept 24 hours.
CREATE TABLE requests (
    account TEXT COLLATE "C" NOT NULL,
    request_id TEXT NOT NULL,
    webhook BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, request_id)
);

CREATE INDEX requests_created_at ON requests (created_at);

-- What changed, in commit order; the record itself is read as it is now.
CREATE TABLE changes (
    revision BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('ACCOUNT', 'WEBHOOK')),
    account TEXT COLLATE "C" NOT NULL,
    webhook BYTEA,
    at BIGINT NOT NULL,
    CHECK ((kind = 'WEBHOOK') = (webhook IS NOT NULL))
);

-- One row: the newest revision, and the newest one that is no longer kept. Every write locks it first.
CREATE TABLE feed (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    head BIGINT NOT NULL,
    pruned BIGINT NOT NULL,
    CHECK (pruned <= head)
);

INSERT INTO feed (one, head, pruned) VALUES (1, 0, 0);
