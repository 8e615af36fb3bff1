//! Many rows into one table, in as few statements as a backend takes them in.
//!
//! SQLite gets multi-row `VALUES` with anonymous parameters. PostgreSQL gets one array a column, so that one short statement, always
//! the same, takes any number of rows in one round trip.

use sea_orm::Value;
use sea_orm::sea_query::ArrayType;

use crate::database::Backend;
use crate::error::StorageError;
use crate::rows::{Row, pieces};
use crate::transaction::Transaction;

/// The most rows of one statement whose columns are arrays.
const MAX_ROWS_OF_ARRAYS: usize = 4_096;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    Bytes,
}

/// A column that rows are inserted with.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    name: &'static str,
    kind: Kind,
}

impl Column {
    /// A BIGINT.
    pub const fn int(name: &'static str) -> Self {
        Self { name, kind: Kind::Int }
    }

    /// A TEXT.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text }
    }

    /// A BLOB or BYTEA.
    pub const fn bytes(name: &'static str) -> Self {
        Self { name, kind: Kind::Bytes }
    }
}

/// A table as rows go into it.
#[derive(Debug, Clone, Copy)]
pub struct Insertion<const N: usize> {
    table: &'static str,
    columns: [Column; N],
    behind: &'static str,
}

impl<const N: usize> Insertion<N> {
    /// Rows of these columns into this table; `behind` follows them in the statement: `ON CONFLICT …`, `RETURNING …`, or nothing.
    pub const fn new(table: &'static str, columns: [Column; N], behind: &'static str) -> Self {
        Self { table, columns, behind }
    }

    /// Inserts the rows, and says how many.
    ///
    /// # Errors
    /// What the database says.
    pub async fn run(&self, tx: &Transaction, rows: Vec<[Value; N]>) -> Result<u64, StorageError> {
        let mut inserted = 0;
        for (sql, values) in self.statements(tx, rows) {
            inserted += tx.execute_as_is(sql, values).await?;
        }
        Ok(inserted)
    }

    /// Inserts the rows, and gives what they return.
    ///
    /// # Errors
    /// What the database says.
    pub async fn returning(&self, tx: &Transaction, rows: Vec<[Value; N]>) -> Result<Vec<Row>, StorageError> {
        let mut returned = Vec::new();
        for (sql, values) in self.statements(tx, rows) {
            returned.extend(tx.all_as_is(sql, values).await?);
        }
        Ok(returned)
    }

    fn statements(&self, tx: &Transaction, rows: Vec<[Value; N]>) -> Vec<(String, Vec<Value>)> {
        use crate::transaction::Query as _;
        match tx.backend() {
            _ if rows.is_empty() => Vec::new(),
            Backend::Postgres => {
                let sql = self.by_columns();
                let mut rows = rows.into_iter().peekable();
                let piece = || {
                    rows.peek()?;
                    Some((sql.clone(), self.arrays(rows.by_ref().take(MAX_ROWS_OF_ARRAYS))))
                };
                std::iter::from_fn(piece).collect()
            }
            Backend::Sqlite => {
                let lengths = pieces(rows.len(), Backend::Sqlite, N);
                let mut rows = rows.into_iter();
                let piece = |length| (self.by_rows(length), rows.by_ref().take(length).flatten().collect());
                lengths.map(piece).collect()
            }
        }
    }

    fn names(&self) -> String {
        self.columns.map(|column| column.name).join(", ")
    }

    /// The statement for that many rows of anonymous parameters.
    fn by_rows(&self, rows: usize) -> String {
        let row = format!("({}),", ["?"; N].join(","));
        let mut sql = format!("INSERT INTO {} ({}) VALUES {}", self.table, self.names(), row.repeat(rows));
        sql.pop();
        sql.push(' ');
        sql.push_str(self.behind);
        sql
    }

    /// The statement for an array a column.
    fn by_columns(&self) -> String {
        let mut numbers = 1..;
        let arrays = self.columns.map(|column| {
            let number = numbers.next().unwrap_or_default();
            let kind = match column.kind {
                Kind::Int => "BIGINT",
                Kind::Text => "TEXT",
                Kind::Bytes => "BYTEA",
            };
            format!("${number}::{kind}[]")
        });
        format!(
            "INSERT INTO {} ({}) SELECT * FROM UNNEST({}) {}",
            self.table,
            self.names(),
            arrays.join(", "),
            self.behind
        )
    }

    fn arrays(&self, rows: impl IntoIterator<Item = [Value; N]>) -> Vec<Value> {
        let mut columns: [Vec<Value>; N] = std::array::from_fn(|_| Vec::new());
        for row in rows {
            for (value, column) in row.into_iter().zip(&mut columns) {
                column.push(value);
            }
        }
        let kind = |column: &Column| match column.kind {
            Kind::Int => ArrayType::BigInt,
            Kind::Text => ArrayType::String,
            Kind::Bytes => ArrayType::Bytes,
        };
        let kinds = self.columns.iter().map(kind);
        kinds.zip(columns).map(|(kind, values)| Value::Array(kind, Some(Box::new(values)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Insertion<3> = Insertion::new(
        "t",
        [Column::int("a"), Column::int("b"), Column::text("c")],
        "ON CONFLICT (a) DO NOTHING",
    );

    #[test]
    fn sqlite_gets_rows() {
        assert_eq!(
            TABLE.by_rows(2),
            "INSERT INTO t (a, b, c) VALUES (?,?,?),(?,?,?) ON CONFLICT (a) DO NOTHING"
        );
    }

    #[test]
    fn postgres_gets_columns_and_null_among_their_values() {
        assert_eq!(
            TABLE.by_columns(),
            "INSERT INTO t (a, b, c) SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[]) ON CONFLICT (a) DO NOTHING"
        );
        let rows = vec![
            [1_i64.into(), Value::BigInt(None), Value::String(None)],
            [2_i64.into(), 5_i64.into(), "x".into()],
        ];
        let [a, b, c] = TABLE.arrays(rows).try_into().unwrap();
        let ints = |values: [Option<i64>; 2]| {
            Value::Array(ArrayType::BigInt, Some(Box::new(values.map(Value::BigInt).to_vec())))
        };
        assert_eq!((a, b), (ints([Some(1), Some(2)]), ints([None, Some(5)])));
        let texts = [None, Some("x".to_owned())].map(Value::String).to_vec();
        assert_eq!(c, Value::Array(ArrayType::String, Some(Box::new(texts))));
    }
}
