//! Where a database is: `sqlite:<path>` or `postgres://…[?schema=name]`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;
use url::Url;

/// The schema of a PostgreSQL URL that names none.
const DEFAULT_SCHEMA: &str = "public";

/// Connection parameters that may stand in a PostgreSQL URL besides `schema`.
const PARAMETERS: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "host"];

/// The address of a database, its shape checked; neither `Debug` nor `Display` shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Sqlite { path: PathBuf },
    Postgres { server: Url, schema: String },
}

/// The rule that a database URL breaks; the URL itself is not shown, it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Neither of the two schemes.
    #[error("database URL must start with sqlite: or postgres://")]
    Scheme,
    /// SQLite without the path of a file.
    #[error("sqlite URL must name a file, as in sqlite:data/sluice.db or sqlite:///var/lib/sluice.db")]
    NoFile,
    /// SQLite with parameters.
    #[error("sqlite URL takes no parameters after `?`")]
    SqliteParameters,
    /// Not a URL at all.
    #[error("postgres URL must look like postgres://user:password@host:port/database?schema=name")]
    Malformed,
    /// PostgreSQL without a database's name.
    #[error("postgres URL must name a database, as in postgres://user@host/sluice")]
    NoDatabase,
    /// A parameter nobody reads.
    #[error("postgres URL has an unknown parameter `{0}`")]
    UnknownParameter(String),
    /// A schema's name that would need quoting, or belongs to PostgreSQL.
    #[error("schema must be 1 to 63 characters out of a-z 0-9 _, not start with a digit, and not with pg_")]
    Schema,
}

impl DatabaseUrl {
    /// The file of a SQLite database.
    pub(crate) fn sqlite_path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Sqlite { path } => Some(path),
            Kind::Postgres { .. } => None,
        }
    }

    /// The server's URL, password included and our own parameters taken off, and the schema of a PostgreSQL database.
    pub(crate) fn postgres(&self) -> Option<(&Url, &str)> {
        match &self.0 {
            Kind::Sqlite { .. } => None,
            Kind::Postgres { server, schema } => Some((server, schema)),
        }
    }

    /// The same PostgreSQL database with another schema; a SQLite file, which has none, stays what it is.
    ///
    /// # Errors
    /// [`UrlError::Schema`] when the name is not plain.
    pub fn with_schema(&self, schema: &str) -> Result<Self, UrlError> {
        match &self.0 {
            Kind::Sqlite { .. } => Ok(self.clone()),
            Kind::Postgres { server, .. } if is_plain_schema(schema) => {
                Ok(Self(Kind::Postgres { server: server.clone(), schema: schema.to_owned() }))
            }
            Kind::Postgres { .. } => Err(UrlError::Schema),
        }
    }

    /// A SQLite database in the file `path`.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Sqlite { path: path.into() })
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            return sqlite(rest.strip_prefix("//").unwrap_or(rest));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return postgres(text);
        }
        Err(UrlError::Scheme)
    }
}

fn sqlite(path: &str) -> Result<DatabaseUrl, UrlError> {
    if path.contains('?') {
        return Err(UrlError::SqliteParameters);
    }
    if path.is_empty() || path.ends_with('/') || path.contains(":memory:") || path.contains('\0') {
        return Err(UrlError::NoFile);
    }
    Ok(DatabaseUrl::sqlite(path))
}

fn postgres(text: &str) -> Result<DatabaseUrl, UrlError> {
    let mut server = Url::parse(text).map_err(|_| UrlError::Malformed)?;
    if server.path().trim_matches('/').is_empty() {
        return Err(UrlError::NoDatabase);
    }
    let mut schema = DEFAULT_SCHEMA.to_owned();
    let mut kept = Vec::new();
    for (key, value) in server.query_pairs() {
        match &*key {
            "schema" => schema = value.into_owned(),
            known if PARAMETERS.contains(&known) => kept.push((key.into_owned(), value.into_owned())),
            _ => return Err(UrlError::UnknownParameter(key.into_owned())),
        }
    }
    if !is_plain_schema(&schema) {
        return Err(UrlError::Schema);
    }
    server.set_query(None);
    if !kept.is_empty() {
        server.query_pairs_mut().extend_pairs(kept);
    }
    Ok(DatabaseUrl(Kind::Postgres { server, schema }))
}

fn is_plain_schema(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=63).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with("pg_")
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite { path } => write!(f, "sqlite:{}", path.display()),
            Kind::Postgres { server, schema } => {
                let host = server.host_str().unwrap_or("localhost");
                let port = server.port().unwrap_or(5432);
                write!(f, "postgres://{host}:{port}{}?schema={schema}", server.path())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DatabaseUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn sqlite_urls_name_a_file_with_or_without_slashes() {
        for (text, path) in [
            ("sqlite:data/sluice.db", "data/sluice.db"),
            ("sqlite://data/sluice.db", "data/sluice.db"),
            ("sqlite:///var/lib/sluice.db", "/var/lib/sluice.db"),
            ("sqlite:/var/lib/sluice.db", "/var/lib/sluice.db"),
        ] {
            assert_eq!(parse(text).unwrap().sqlite_path(), Some(Path::new(path)), "{text}");
        }
    }

    #[test]
    fn what_is_no_sqlite_file_is_refused_with_the_rule() {
        for text in ["sqlite:", "sqlite://", "sqlite::memory:", "sqlite:data/", "sqlite://:memory:"] {
            assert_eq!(parse(text), Err(UrlError::NoFile), "{text}");
        }
        assert_eq!(parse("sqlite:a.db?mode=ro"), Err(UrlError::SqliteParameters));
        assert_eq!(parse("mysql://host/db"), Err(UrlError::Scheme));
    }

    #[test]
    fn a_postgres_schema_is_taken_out_of_the_url_and_public_by_default() {
        let url = parse("postgres://u:p@db:5433/sluice?sslmode=require&schema=registry").unwrap();
        let (server, schema) = url.postgres().unwrap();
        assert_eq!((server.as_str(), schema), ("postgres://u:p@db:5433/sluice?sslmode=require", "registry"));
        assert_eq!(parse("postgresql://db/sluice").unwrap().postgres().unwrap().1, "public");
    }

    #[test]
    fn a_schema_can_be_exchanged_for_another_plain_one() {
        let url = parse("postgres://u:p@db/sluice").unwrap();
        let other = url.with_schema("evaluator").unwrap();
        assert_eq!(other, parse("postgres://u:p@db/sluice?schema=evaluator").unwrap());
        assert_eq!(url.with_schema("a b"), Err(UrlError::Schema));
        assert_eq!(parse("sqlite:a.db").unwrap().with_schema("a"), parse("sqlite:a.db"));
    }

    #[test]
    fn postgres_urls_that_break_a_rule_are_refused() {
        assert_eq!(parse("postgres://db"), Err(UrlError::NoDatabase));
        assert_eq!(parse("postgres://db:port/x"), Err(UrlError::Malformed));
        assert_eq!(parse("postgres://db/x?shema=a"), Err(UrlError::UnknownParameter("shema".to_owned())));
        for schema in ["", "A", "a-b", "1a", "pg_x", "a%22b", &"x".repeat(64)] {
            assert_eq!(parse(&format!("postgres://db/x?schema={schema}")), Err(UrlError::Schema), "{schema}");
        }
    }

    #[test]
    fn neither_debug_nor_display_shows_user_or_password() {
        let url = parse("postgres://sluice:s3cret@db/sluice?sslkey=/s3cret").unwrap();
        assert_eq!(format!("{url} {url:?}"), {
            let shown = "postgres://db:5432/sluice?schema=public";
            format!("{shown} \"{shown}\"")
        });
    }
}
