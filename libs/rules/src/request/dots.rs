//! Dot segments, seen through any encoding.

/// Whether the text is, or has between slashes, a `.` or `..`, now or after any number of decodings.
///
/// A piece ends at its first `;` too, as it does for servers that take what follows for parameters. Decoded are `%XX`,
/// the `%uXXXX` of old servers, and the overlong UTF-8 of `.`, `/` and `\`. The text itself is never changed by this;
/// it is only looked at.
pub(super) fn has_dot_segment(text: &str) -> bool {
    let decoded = decode(text.as_bytes());
    decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|piece| {
        let name = piece.split(|byte| *byte == b';').next().unwrap_or_default();
        name == b"." || name == b".."
    })
}

/// The text decoded until there is nothing left to decode.
///
/// No two encodings overlap, so it does not matter in which order they are decoded; and once a piece is a dot segment,
/// decoding makes nothing else of it.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    for byte in bytes {
        out.push(*byte);
        while let Some((decoded, length)) = encoded_end(&out) {
            out.truncate(out.len() - length);
            out.push(decoded);
        }
    }
    out
}

/// The byte that is encoded at the end of the text, and the length of its encoding.
fn encoded_end(bytes: &[u8]) -> Option<(u8, usize)> {
    match bytes {
        [.., b'%', b'u' | b'U', b'0', b'0', high, low] => Some((hex(*high, *low)?, 6)),
        [.., b'%', high, low] => Some((hex(*high, *low)?, 3)),
        [.., 0xe0, 0x80, 0xae] => Some((b'.', 3)),
        [.., 0xe0, 0x80, 0xaf] => Some((b'/', 3)),
        [.., 0xc0, 0xae] => Some((b'.', 2)),
        [.., 0xc0, 0xaf] => Some((b'/', 2)),
        [.., 0xc1, 0x9c] => Some((b'\\', 2)),
        _ => None,
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_seen_through_encodings() {
        for text in [
            ".",
            "..",
            "%2e",
            "%2E%2e",
            ".%2e",
            "%252e%252e",
            "%25252e",
            "a/../b",
            "..%2fa",
            "a%5c..",
            "..%5C",
            "%u002e.",
            "%c0%ae%c0%ae",
            "..%c0%afx",
            "./x",
            "..;v=1",
            ".;",
            "a/..%3Bx=y/b",
            "%2e.%253bx",
            "%2%35%32e.",
        ] {
            assert!(has_dot_segment(text), "{text}");
        }
    }

    #[test]
    fn other_dots_are_just_dots() {
        for text in [
            "", "...", "a.b", ".a", "a..", "v1.2", "%2ea", "a/b", "50%", "%2", "%zz", "%25", ".%zz.", "a;..",
            "...;", ";",
        ] {
            assert!(!has_dot_segment(text), "{text}");
        }
    }

    #[test]
    fn encodings_of_encodings_take_one_pass() {
        let deep = format!("%{}2e.", "25".repeat(1_000_000));
        assert!(has_dot_segment(&deep));
    }
}
