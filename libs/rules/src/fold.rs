//! Unicode simple case folding: one character to one character, so that text compares whatever its case.
//!
//! The fold of a character is the lower case of its upper case, each where it is a single character. Checked
//! against CaseFolding.txt (statuses C and S), that makes the same characters equal, with four exceptions,
//! which [`simple`] names. So `ſ` is `s`, the Kelvin sign is `k`, `Σ`, `σ` and `ς` are one, `ẞ` is `ß`; but
//! `ß` is not `ss`, and the Turkish `İ` and `ı` stay themselves.

/// Folds every character of `text`.
pub(crate) fn fold(text: &str) -> String {
    folded(text).collect()
}

/// The characters of `text`, each folded, for whoever may not need all of them.
pub(crate) fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(simple)
}

/// The simple folding of one character.
fn simple(c: char) -> char {
    match c {
        'a'..='z' => return c,
        'A'..='Z' => return c.to_ascii_lowercase(),
        // Its upper case is I, but only Turkic text folds it, and CaseFolding.txt leaves that (status T) to those.
        '\u{131}' => return c,
        // Equal to these without any case between them: both have one upper case, of several characters.
        '\u{1fd3}' => return '\u{390}',
        '\u{1fe3}' => return '\u{3b0}',
        '\u{fb05}' => return '\u{fb06}',
        _ => {}
    }
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(upper)
}

fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next()?;
    mapped.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_whatever_the_case() {
        for (a, b) in [
            ("Straße", "STRAẞE"),
            ("ſee", "See"),
            ("\u{212a}elvin", "kELVIN"),
            ("ΟΔΟΣ", "οδος"),
            ("οδοσ", "οδος"),
            ("\u{b5}", "Μ"),
            ("É", "é"),
            ("\u{1fd3}", "\u{390}"),
            ("\u{1fe3}", "\u{3b0}"),
            ("\u{fb05}", "\u{fb06}"),
            ("ᾈ", "ᾀ"),
            ("Ǆ", "ǅ"),
            ("\u{13a0}", "\u{ab70}"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
    }

    #[test]
    fn simple_folding_never_makes_two_characters_of_one() {
        for (a, b) in [("ß", "ss"), ("İ", "i"), ("İ", "i\u{307}"), ("ı", "i"), ("ﬁ", "fi"), ("É", "e")]
        {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
        for c in '\0'..=char::MAX {
            assert_eq!(simple(simple(c)), simple(c), "{c:?} folds once and for all");
        }
    }
}
