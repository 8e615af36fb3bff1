//! Dot segments, seen through any encoding.

/// Whether the text is, or has between slashes, a `.` or `..`, now or after any number of decodings.
///
/// Decoded are `%XX`, the `%uXXXX` of old servers, and the overlong UTF-8 of `.`, `/` and `\`. The text itself
/// is never changed by this; it is only looked at.
pub(super) fn has_dot_segment(text: &str) -> bool {
    let mut seen = text.as_bytes().to_vec();
    loop {
        if seen.split(|byte| matches!(byte, b'/' | b'\\')).any(|piece| piece == b"." || piece == b"..") {
            return true;
        }
        let decoded = decode(&seen);
        if decoded.len() == seen.len() {
            return false;
        }
        seen = decoded;
    }
}

/// One decoding; shorter where there was something to decode.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let (byte, length) = match rest {
            [b'%', b'u' | b'U', b'0', b'0', high, low, ..] => {
                hex(*high, *low).map_or((*first, 1), |byte| (byte, 6))
            }
            [b'%', high, low, ..] => hex(*high, *low).map_or((*first, 1), |byte| (byte, 3)),
            [0xc0, 0xae, ..] => (b'.', 2),
            [0xc0, 0xaf, ..] => (b'/', 2),
            [0xc1, 0x9c, ..] => (b'\\', 2),
            [0xe0, 0x80, 0xae, ..] => (b'.', 3),
            [0xe0, 0x80, 0xaf, ..] => (b'/', 3),
            _ => (*first, 1),
        };
        out.push(byte);
        rest = tail.get(length - 1..).unwrap_or_default();
    }
    out
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
        ] {
            assert!(has_dot_segment(text), "{text}");
        }
    }

    #[test]
    fn other_dots_are_just_dots() {
        for text in ["", "...", "a.b", ".a", "a..", "v1.2", "%2ea", "a/b", "50%", "%2", "%zz", "%25", ".%zz."]
        {
            assert!(!has_dot_segment(text), "{text}");
        }
    }
}
