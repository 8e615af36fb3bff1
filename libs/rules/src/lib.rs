//! The condition language and the request templates: check, match, render. Pure.
