//! Suites across the services.
