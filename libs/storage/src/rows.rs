//! Rows read by type, and multi-row statements within what a backend takes.

use sea_orm::{QueryResult, TryGetable};

use crate::database::Backend;
use crate::error::{Cause, StorageError};

/// The most rows one statement gets from [`chunks`], whatever the backend would take.
const MAX_ROWS: usize = 512;

/// One row of an answer.
#[derive(Debug)]
pub struct Row(QueryResult);

impl Row {
    /// The value of the column called `column`; `Option<T>` for columns that may be NULL.
    ///
    /// Rust's integer has to be as wide as PostgreSQL's: `i64` for BIGINT and `count(*)`; cast a `sum` in SQL.
    ///
    /// # Errors
    /// [`StorageError::Decode`], also when there is no such column.
    pub fn get<T: TryGetable>(&self, column: &str) -> Result<T, StorageError> {
        self.0.try_get("", column).map_err(|error| StorageError::Decode(Cause::new(error.to_string())))
    }

    /// The value of the column at `index`, from 0: cheaper than by name where many rows are read.
    ///
    /// # Errors
    /// [`StorageError::Decode`], also when there is no such column.
    pub fn at<T: TryGetable>(&self, index: usize) -> Result<T, StorageError> {
        self.0.try_get_by_index(index).map_err(|error| StorageError::Decode(Cause::new(error.to_string())))
    }

    /// A row as a driver gave it.
    pub(crate) fn from_driver(row: impl Into<QueryResult>) -> Self {
        Self(row.into())
    }

    /// sea-orm's own row, for `FromQueryResult`.
    pub fn result(&self) -> &QueryResult {
        &self.0
    }
}

/// The parameters of a multi-row `VALUES`: `placeholders(2, 2, 3)` is `($3,$4),($5,$6)`.
pub fn placeholders(rows: usize, columns: usize, start: usize) -> String {
    let mut text = String::with_capacity(rows * (columns * 5 + 3));
    let mut number = start;
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..columns {
            text.push_str(if column == 0 { "$" } else { ",$" });
            text.push_str(&number.to_string());
            number += 1;
        }
        text.push(')');
    }
    text
}

/// How many rows of `columns` parameters each fit one statement; at least one.
pub fn rows_per_statement(backend: Backend, columns: usize) -> usize {
    (backend.max_parameters() / columns.max(1)).clamp(1, MAX_ROWS)
}

/// Cuts `items` into pieces, in order, for one multi-row statement each: see [`pieces`].
pub fn chunks<T>(items: &[T], backend: Backend, columns: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    pieces(items.len(), backend, columns).map(move |length| {
        let (piece, tail) = rest.split_at(length.min(rest.len()));
        rest = tail;
        piece
    })
}

/// The lengths of the pieces that so many rows are cut into, within what one statement takes: of few different lengths (up to
/// eight, then four for each power of two), so that a handful of statement texts serves all numbers and stays prepared, and two or
/// three statements do for most.
pub fn pieces(rows: usize, backend: Backend, columns: usize) -> impl Iterator<Item = usize> {
    let limit = rows_per_statement(backend, columns);
    let mut rest = rows;
    std::iter::from_fn(move || {
        let length = rounded_down(rest.min(limit));
        rest -= length;
        (length > 0).then_some(length)
    })
}

/// The number with all but its three highest bits cleared.
fn rounded_down(number: usize) -> usize {
    let cut = number.checked_ilog2().map_or(0, |highest| highest.saturating_sub(2));
    (number >> cut) << cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(items: usize, backend: Backend, columns: usize) -> Vec<usize> {
        chunks(&vec![(); items], backend, columns).map(<[()]>::len).collect()
    }

    #[test]
    fn placeholders_count_on_from_where_they_start() {
        assert_eq!(placeholders(2, 2, 1), "($1,$2),($3,$4)");
        assert_eq!(placeholders(2, 3, 9), "($9,$10,$11),($12,$13,$14)");
        assert_eq!(placeholders(0, 3, 1), "");
    }

    #[test]
    fn pieces_are_of_few_lengths_and_lose_nothing() {
        assert_eq!(sizes(100, Backend::Sqlite, 10), [96, 4]);
        assert_eq!(sizes(45, Backend::Sqlite, 10), [40, 5]);
        let lengths: std::collections::BTreeSet<usize> =
            (1..=512).flat_map(|rows| sizes(rows, Backend::Sqlite, 10)).collect();
        assert_eq!(lengths.len(), 32, "{lengths:?}");
        assert_eq!(sizes(0, Backend::Sqlite, 10), [0; 0]);
        let items: Vec<_> = (0..1_337).collect();
        assert_eq!(chunks(&items, Backend::Postgres, 7).collect::<Vec<_>>().concat(), items);
    }

    #[test]
    fn no_piece_has_more_parameters_than_the_backend_takes() {
        for (backend, limit) in [(Backend::Sqlite, 32_766), (Backend::Postgres, 65_535)] {
            for columns in [1, 12, 100, 1_000, 20_000] {
                assert!(sizes(5_000, backend, columns).iter().all(|rows| rows * columns <= limit));
            }
        }
    }
}
