//! Percent-encoding, in the three dialects a request needs.

use std::fmt::Write;

use crate::rejection::Reason;

/// Encodes a value: everything but letters, digits, `-`, `.`, `_` and `~` (RFC 3986's unreserved), so that it is
/// the same value in a path segment and in a query.
pub(super) fn value(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => percent(out, byte),
        }
    }
}

/// Encodes a path template's own text: what a segment may hold stays, `%XX` included.
pub(super) fn path_text(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'(' | b')' | b'*' | b'+' | b',' | b';'
            | b'=' | b':' | b'@' | b'%' => out.push(char::from(byte)),
            _ => percent(out, byte),
        }
    }
}

/// Encodes a form field (WHATWG URL, application/x-www-form-urlencoded serializer).
pub(super) fn form(out: &mut String, text: &str) {
    out.extend(url::form_urlencoded::byte_serialize(text.as_bytes()));
}

/// Refuses what may stand in no path, query or header value.
pub(super) fn refuse_unsafe(text: &str) -> Result<(), Reason> {
    if text.chars().any(char::is_control) {
        return Err(Reason::ControlCharacter);
    }
    if text.contains('\\') { Err(Reason::Backslash) } else { Ok(()) }
}

fn percent(out: &mut String, byte: u8) {
    // Writing to a String can't fail.
    let _ = write!(out, "%{byte:02X}");
}
