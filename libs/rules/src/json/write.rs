//! The writer: compact JSON text that parses to the same value.

use std::fmt::{self, Write};

use super::Json;

pub(super) fn value<W: Write>(out: &mut W, json: &Json) -> fmt::Result {
    match json {
        Json::Null => out.write_str("null"),
        Json::Bool(true) => out.write_str("true"),
        Json::Bool(false) => out.write_str("false"),
        Json::Number(number) => out.write_str(number.as_str()),
        Json::String(text) => string(out, text),
        Json::List(items) => {
            out.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                value(out, item)?;
            }
            out.write_char(']')
        }
        Json::Object(object) => {
            out.write_char('{')?;
            for (index, (name, member)) in object.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                string(out, name)?;
                out.write_char(':')?;
                value(out, member)?;
            }
            out.write_char('}')
        }
    }
}

fn string<W: Write>(out: &mut W, text: &str) -> fmt::Result {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('"');
    escape(&mut escaped, text);
    escaped.push('"');
    out.write_str(&escaped)
}

pub(super) fn escape(out: &mut String, text: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut rest = text;
    // Most texts have nothing to escape, so they are taken in runs.
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let (special, behind) = from.split_at(1);
        match special.as_bytes()[0] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x8 => out.push_str("\\b"),
            0xc => out.push_str("\\f"),
            control => {
                out.push_str("\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        rest = behind;
    }
    out.push_str(rest);
}
