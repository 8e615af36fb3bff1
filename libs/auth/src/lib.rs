//! From a token to a principal: account, user, roles, scopes.
