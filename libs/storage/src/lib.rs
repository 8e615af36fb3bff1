//! One way to a database: connect (SQLite file or PostgreSQL schema by one URL), migrate, classify errors, group commit.
