//! The store's suite: every case runs on SQLite and on PostgreSQL.

mod store {
    pub(crate) mod accounts;
    pub(crate) mod feed;
    pub(crate) mod makers;
    pub(crate) mod webhooks;
}
