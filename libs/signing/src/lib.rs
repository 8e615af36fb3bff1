//! Standard Webhooks: sign, verify, rotate.
