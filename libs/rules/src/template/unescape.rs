//! Escapes in the quoted texts of placeholders.

/// The text that is meant: `\" \' \\ \/ \b \f \n \r \t \uXXXX`, the last in pairs where JSON has pairs.
pub(super) fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let escaped = behind.chars().next();
        rest = behind.get(escaped.map_or(0, char::len_utf8)..).unwrap_or_default();
        let meant = match escaped {
            Some(c @ ('"' | '\'' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let (c, after) = unicode(rest).ok_or("\\u takes four hexadecimal digits of a character")?;
                rest = after;
                c
            }
            _ => return Err("a text has an unknown escape; a backslash itself is \\\\".to_owned()),
        };
        out.push(meant);
    }
    out.push_str(rest);
    Ok(out)
}

fn unicode(text: &str) -> Option<(char, &str)> {
    let (first, rest) = hex(text)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let (second, rest) = hex(rest.strip_prefix("\\u")?)?;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + low)?, rest))
}

fn hex(text: &str) -> Option<(u32, &str)> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(digits, 16).ok()?, &text[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_what_they_mean_in_json() {
        for (text, meant) in [
            ("", ""),
            ("é", "é"),
            (r#"a\"b\'c\\d\/"#, r#"a"b'c\d/"#),
            (r"\n\r\t\b\f", "\n\r\t\u{8}\u{c}"),
            (r"\u00e9\ud83d\ude00!", "é😀!"),
        ] {
            assert_eq!(unescape(text).as_deref(), Ok(meant), "{text}");
        }
        for text in
            [r"\", r"\x41", r"\é", r"\u12", r"\u12é4", r"\u+123", r"\ud83d", r"\ud83d\u0041", r"\udc00"]
        {
            assert!(unescape(text).is_err(), "{text}");
        }
    }
}
