//! The scanner: finds the placeholders of a template, and the words of each that decide whether it is allowed.

/// How many words and signs a placeholder may have.
pub const MAX_TOKENS: usize = 128;

/// A piece of a template's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    Literal(&'t str),
    Placeholder(Scanned<'t>),
}

/// The expression between `{{` and `}}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned<'t> {
    pub(super) source: &'t str,
    pub(super) tokens: Vec<Token<'t>>,
}

/// A word of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A name or a word of the language.
    Word(&'t str),
    /// What begins with a digit; whether it is a number is to be seen.
    Number(&'t str),
    /// What stands between quotes, escapes as they are written.
    Text(&'t str),
    /// An operator, a bracket, or any other character.
    Sign(&'t str),
}

/// Operators of two characters.
const PAIRS: [&str; 6] = ["==", "!=", "<=", ">=", "//", "**"];

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScanError {
    #[error("at byte {at}: statements ({{% %}}) are not allowed, only placeholders ({{{{ }}}})")]
    Statement { at: usize },
    #[error("at byte {at}: comments ({{# #}}) are not allowed, only placeholders ({{{{ }}}})")]
    Comment { at: usize },
    #[error("at byte {at}: the placeholder is not closed by }}}}")]
    Open { at: usize },
    #[error("at byte {at}: the placeholder is empty")]
    Empty { at: usize },
    #[error("at byte {at}: the placeholder has more than {MAX_TOKENS} words and signs")]
    TooLong { at: usize },
    #[error("at byte {at}: {{{{- and -}}}} (cutting white space off) are not allowed")]
    Trim { at: usize },
}

/// Splits a template into text and placeholders.
pub(super) fn split(template: &str) -> Result<Vec<Piece<'_>>, ScanError> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let bytes = template.as_bytes();
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'{', Some(b'%')) => return Err(ScanError::Statement { at }),
            (b'{', Some(b'#')) => return Err(ScanError::Comment { at }),
            (b'{', Some(b'{')) => {
                if start < at {
                    pieces.push(Piece::Literal(&template[start..at]));
                }
                let (scanned, end) = placeholder(template, at)?;
                pieces.push(Piece::Placeholder(scanned));
                start = end;
                at = end;
            }
            _ => at += 1,
        }
    }
    if start < template.len() {
        pieces.push(Piece::Literal(&template[start..]));
    }
    Ok(pieces)
}

/// Scans the placeholder that opens at `open`; answers it with the offset behind it.
fn placeholder(template: &str, open: usize) -> Result<(Scanned<'_>, usize), ScanError> {
    let inside = &template[open + 2..];
    if inside.starts_with('-') {
        return Err(ScanError::Trim { at: open });
    }
    let mut tokens = Vec::new();
    let mut depth = 0usize;
    let mut rest = inside;
    loop {
        let Some(c) = rest.chars().next() else { return Err(ScanError::Open { at: open }) };
        if depth == 0 && rest.starts_with("}}") {
            break;
        }
        if depth == 0 && rest.starts_with("-}}") {
            return Err(ScanError::Trim { at: open });
        }
        let length = match c {
            '"' | '\'' => {
                let length = quoted(rest, c).ok_or(ScanError::Open { at: open })?;
                tokens.push(Token::Text(&rest[1..length - 1]));
                length
            }
            c if c.is_ascii_digit() => {
                // Right behind a dot it is a position in a list, and `a.1.0` two of them.
                let position = inside[..inside.len() - rest.len()].ends_with('.');
                let length = number(rest, !position);
                tokens.push(Token::Number(&rest[..length]));
                length
            }
            c if is_word(c) => {
                let length = word(rest);
                tokens.push(Token::Word(&rest[..length]));
                length
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                let pair = PAIRS.iter().any(|pair| rest.starts_with(pair));
                let length = if pair { 2 } else { c.len_utf8() };
                tokens.push(Token::Sign(&rest[..length]));
                length
            }
        };
        if tokens.len() > MAX_TOKENS {
            return Err(ScanError::TooLong { at: open });
        }
        rest = &rest[length..];
    }
    if tokens.is_empty() {
        return Err(ScanError::Empty { at: open });
    }
    let source = &inside[..inside.len() - rest.len()];
    Ok((Scanned { source: source.trim(), tokens }, open + 2 + source.len() + 2))
}

/// The length of the quoted text at the beginning of `rest`, quotes included.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of the word at the beginning of `rest`.
fn word(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

/// The length of the number at the beginning of `rest`, with or without its fraction.
fn number(rest: &str, fraction: bool) -> usize {
    let whole = word(rest);
    match rest[whole..].strip_prefix('.') {
        Some(after) if fraction && after.starts_with(|c: char| c.is_ascii_digit()) => whole + 1 + word(after),
        _ => whole,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(template: &str) -> Vec<String> {
        split(template)
            .unwrap()
            .into_iter()
            .map(|piece| match piece {
                Piece::Literal(text) => format!("T:{text}"),
                Piece::Placeholder(scanned) => format!("P:{}", scanned.source),
            })
            .collect()
    }

    #[test]
    fn text_and_placeholders_are_told_apart() {
        assert_eq!(sources("a{{ x }}b{{y}}"), ["T:a", "P:x", "T:b", "P:y"]);
        assert_eq!(sources("{ x } }} é"), ["T:{ x } }} é"]);
        assert_eq!(sources("{{ '}}' }}{{ \"\\\"}}\" }}"), ["P:'}}'", "P:\"\\\"}}\""]);
        assert_eq!(sources("{{ {'a': {'b': 1}}}}!"), ["P:{'a': {'b': 1}}", "T:!"]);
    }

    #[test]
    fn errors_say_where() {
        for (template, error) in [
            ("ab{% x", ScanError::Statement { at: 2 }),
            ("{#", ScanError::Comment { at: 0 }),
            ("a{{ x } }", ScanError::Open { at: 1 }),
            ("a{{ 'x }}", ScanError::Open { at: 1 }),
            ("{{  }}", ScanError::Empty { at: 0 }),
            ("{{- x }}", ScanError::Trim { at: 0 }),
            ("{{ x -}}", ScanError::Trim { at: 0 }),
        ] {
            assert_eq!(split(template), Err(error), "{template}");
        }
        let statement = split("{%").unwrap_err().to_string();
        assert_eq!(statement, "at byte 0: statements ({% %}) are not allowed, only placeholders ({{ }})");
    }

    #[test]
    fn tokens_are_those_of_the_language() {
        let tokens = |template: &'static str| match split(template).unwrap().remove(0) {
            Piece::Placeholder(scanned) => scanned.tokens,
            Piece::Literal(text) => panic!("{text}"),
        };
        assert_eq!(
            tokens("{{ a.1.0>=1.50//x|f('it\\'s') }}"),
            [
                Token::Word("a"),
                Token::Sign("."),
                Token::Number("1"),
                Token::Sign("."),
                Token::Number("0"),
                Token::Sign(">="),
                Token::Number("1.50"),
                Token::Sign("//"),
                Token::Word("x"),
                Token::Sign("|"),
                Token::Word("f"),
                Token::Sign("("),
                Token::Text("it\\'s"),
                Token::Sign(")"),
            ]
        );
        let most = format!("{{{{ {}1 }}}}", "-".repeat(MAX_TOKENS - 1));
        assert!(split(&most).is_ok());
        assert_eq!(split(&most.replace('1', "-1")), Err(ScanError::TooLong { at: 0 }));
    }
}
