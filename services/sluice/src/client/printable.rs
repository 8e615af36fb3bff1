//! Text of strangers, made harmless for a terminal: a receiver's answer must not move the cursor or recolour the screen.

use std::fmt;

/// Writes its text with everything escaped that a terminal would act on: control characters (C0, DEL, C1), line breaks, what turns
/// the direction of text, what can't be seen.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            if is_active(letter) {
                write!(f, "{}", letter.escape_default())?;
            } else {
                fmt::Write::write_char(f, letter)?;
            }
        }
        Ok(())
    }
}

/// The text as one harmless line.
pub fn line(text: &str) -> String {
    Printable(text).to_string()
}

/// A body as harmless lines, as it breaks them itself; bytes that are no text are shown as `\xff`.
pub fn lines(body: &[u8]) -> Vec<String> {
    let mut text = String::new();
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text.lines().map(line).collect()
}

/// JSON whose texts are escaped in the same way, by JSON's own means. Outside of texts, JSON in one line has no such characters.
pub fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_active(letter) {
            let mut units = [0; 2];
            letter.encode_utf16(&mut units).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}")));
        } else {
            safe.push(letter);
        }
    }
    safe
}

fn is_active(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_comes_through() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{7}\r\n\u{202e}txt\u{200b}\u{7f}b\u{e0041}";
        let shown = line(hostile);
        assert_eq!(shown, r"a\u{1b}[2J\u{9b}31m\u{7}\r\n\u{202e}txt\u{200b}\u{7f}b\u{e0041}");
        assert_eq!(line("Grüße 東京 – 100 %"), "Grüße 東京 – 100 %");
    }

    #[test]
    fn a_body_keeps_its_lines_and_shows_bytes_that_are_no_text() {
        assert_eq!(lines(b"one\r\ntwo\x1b[1m\n\xff\xfe"), ["one", r"two\u{1b}[1m", r"\xff\xfe"]);
        assert_eq!(lines(b""), Vec::<String>::new());
    }

    #[test]
    fn json_stays_the_same_value_without_a_character_that_acts() {
        let value = serde_json::json!({"a": "x\u{1b}\u{9b}\u{202e}\u{e0041}"});
        let safe = json(&value.to_string());
        assert!(safe.is_ascii(), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
