//! Fields and tables for people. Whatever is put in is made harmless first.

use std::fmt::Display;

use comfy_table::{Table as Columns, presets};
use prost_types::{Duration, Timestamp};
use proto::event::v1::{Action, Subscription};
use proto::registry::v1::Rate;
use sluice_domain::Span;
use sluice_runtime::HumanSpan;

use super::printable;

/// Where values begin in a [`Sheet`].
const INDENT: usize = 14;

/// Lines of a name and a value.
#[derive(Debug, Default)]
pub struct Sheet(String);

impl Sheet {
    /// Adds a line; none for an empty value.
    pub fn field(&mut self, name: &str, value: impl Display) -> &mut Self {
        let value = printable::line(&value.to_string());
        if !value.is_empty() {
            self.0.push_str(&format!("{name:<INDENT$}{value}\n"));
        }
        self
    }

    /// Adds a line of its own.
    pub fn line(&mut self, text: impl Display) -> &mut Self {
        self.0.push_str(&printable::line(&text.to_string()));
        self.0.push('\n');
        self
    }

    /// Adds a body, line by line, each behind `margin`.
    pub fn body(&mut self, margin: &str, body: &[u8]) -> &mut Self {
        for line in printable::lines(body) {
            self.0.push_str(&format!("{margin}{line}\n"));
        }
        self
    }

    /// What was written.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Columns under headings.
#[derive(Debug)]
pub struct Table(Columns);

impl Table {
    /// An empty one.
    pub fn new(headings: &[&str]) -> Self {
        let mut columns = Columns::new();
        columns.load_style(presets::NOTHING).set_header(headings);
        Self(columns)
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().map(|cell| printable::line(&cell)));
    }

    /// What was written; without rows, only the headings.
    pub fn text(&self) -> String {
        self.0.lines().map(|line| format!("{}\n", line.trim())).collect()
    }
}

/// The last part of a resource name: the id.
pub fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A value of an enum as people read it: without the enum's own name.
pub fn word<'a>(name: &'a str, prefix: &str) -> &'a str {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => "",
        word => word,
    }
}

/// An instant; empty when there is none.
pub fn instant(at: Option<&Timestamp>) -> String {
    at.and_then(|at| sluice_domain::Timestamp::from_unix(at.seconds, at.nanos))
        .map(sluice_domain::Timestamp::to_rfc3339)
        .unwrap_or_default()
}

/// A length of time, to the millisecond from one millisecond on; empty when there is none.
pub fn length(of: Option<&Duration>) -> String {
    let Some(of) = of else { return String::new() };
    let micros = of.seconds.saturating_mul(1_000_000).saturating_add(i64::from(of.nanos / 1_000));
    let shown = if micros < 1_000 { micros } else { micros - micros % 1_000 };
    HumanSpan(Span::from_micros(shown)).to_string()
}

/// So many in a time; nothing where there is none.
pub fn rate(promised: Option<&Rate>) -> String {
    promised.map_or_else(String::new, |rate| {
        format!("{} in {}, at most {} at once", rate.units, length(rate.per.as_ref()), rate.burst)
    })
}

/// Which events are wanted: `deal updated, deleted`.
pub fn subscription(wanted: Option<&Subscription>) -> String {
    let Some(wanted) = wanted else { return String::new() };
    let actions: Vec<_> = wanted.actions().map(action).collect();
    format!("{} {}", wanted.object, if actions.is_empty() { "*".to_owned() } else { actions.join(", ") })
}

/// What was done to a record, in lower case as flags have it.
pub fn action(action: Action) -> String {
    word(action.as_str_name(), "ACTION_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_cell_breaks_out() {
        let mut table = Table::new(&["ID", "NAME"]);
        table.row(["wh_1".to_owned(), "Won\u{1b}[31m\ndeals".to_owned()]);
        table.row(["wh_22222".to_owned(), "東京".to_owned()]);
        let lines: Vec<_> = table.text().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[1].find("Won"), lines[2].find("東"), "{lines:?}");
        assert!(lines[1].ends_with(r"Won\u{1b}[31m\ndeals"), "{lines:?}");
    }

    #[test]
    fn a_field_without_a_value_is_left_out() {
        let mut sheet = Sheet::default();
        sheet.field("name", "Won\rdeals").field("pause", "");
        assert_eq!(sheet.text(), "name          Won\\rdeals\n");
    }

    #[test]
    fn values_read_as_people_write_them() {
        assert_eq!(length(Some(&Duration { seconds: 1, nanos: 500_900_000 })), "1s500ms");
        assert_eq!(length(Some(&Duration { seconds: 0, nanos: 250_900 })), "250us");
        assert_eq!(instant(Some(&Timestamp { seconds: 0, nanos: 0 })), "1970-01-01T00:00:00Z");
        assert_eq!((instant(None), length(None)), (String::new(), String::new()));
        let wanted = Subscription { object: "deal".to_owned(), actions: vec![Action::Updated.into()] };
        assert_eq!(subscription(Some(&wanted)), "deal updated");
        assert_eq!(word("EXECUTION_STATE_PAUSED", "EXECUTION_STATE_"), "PAUSED");
    }
}
