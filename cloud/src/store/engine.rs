//! The two engines: one SQLite file, embedded, or a PostgreSQL server that several nodes share.
//!
//! All SQL in this crate is written once, in what both understand: `$1` placeholders, ids and JSON as TEXT,
//! times and numbers as BIGINT, `INSERT … ON CONFLICT`, `RETURNING`, `CASE` where one has `MIN(a, b)`. Values
//! are `i64`, `&str`, `String`, `Vec<u8>` and `Option`s of them; a `SUM` is cast to BIGINT. Where no common
//! wording exists, [`Engine::pick`] takes one statement for each.
//!
//! **Migrations** are one set, numbered, in `migrations/`. In them `BLOB` becomes PostgreSQL's `BYTEA`, and lines
//! between `-- only sqlite` (or `-- only postgres`) and `-- end` are for that engine alone.
//!
//! **Races.** On SQLite writers queue, so a write transaction sees no other. On PostgreSQL it does: a transaction
//! that reads, decides and writes begins with [`super::Write::hold`] on the name of what it decides about.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;
use sqlx::migrate::{Migration, Migrator};
use sqlx::{Any, AssertSqlSafe, Executor, Row as _, SqlSafeStr as _};

use super::StoreError;

/// Which database this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// One file, one process.
    Sqlite,
    /// A server, any number of processes.
    Postgres,
}

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// `sqlite:/path/to/file`
    File(PathBuf),
    /// `postgres://user:password@host/database`
    Server(String),
}

impl FromStr for Address {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Self::File(path.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Server(text.to_owned()));
        }
        let scheme = text.split(':').next().unwrap_or_default();
        Err(StoreError::Address(format!(
            "`database` begins with {scheme:?}: write \"sqlite:/path/to/file\" or \
             \"postgres://user:password@host/database\""
        )))
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Without user, password and parameters.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "sqlite:{}", path.display()),
            Self::Server(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                write!(f, "postgres://{}", rest.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl Address {
    /// The engine that understands it.
    pub fn engine(&self) -> Engine {
        match self {
            Self::File(_) => Engine::Sqlite,
            Self::Server(_) => Engine::Postgres,
        }
    }

    pub(super) fn options(&self) -> Result<AnyConnectOptions, StoreError> {
        let url = match self {
            Self::File(path) => sqlite_url(path)?,
            Self::Server(url) => url.clone(),
        };
        Ok(url.parse()?)
    }
}

/// URL parsers resolve `..` by its letters, the file system by its links: the folder is resolved here.
fn sqlite_url(path: &Path) -> Result<String, StoreError> {
    let refuse = |why: &dyn std::fmt::Display| StoreError::Address(format!("{}: {why}", path.display()));
    let name = path.file_name().ok_or_else(|| refuse(&"is not a file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = folder.canonicalize().map_err(|error| refuse(&error))?.join(name);
    let path = path.to_str().ok_or_else(|| refuse(&"is not UTF-8"))?;
    let mut url = "sqlite://".to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(url + "?mode=rwc")
}

impl Engine {
    /// The wording this engine understands.
    pub fn pick(self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }

    /// Now by the database's clock, in milliseconds since 1970. SQLite's is the process's own.
    pub(super) async fn now_ms<'e>(
        self,
        executor: impl Executor<'e, Database = Any>,
    ) -> Result<i64, StoreError> {
        if self == Self::Sqlite {
            return Ok(super::now_ms());
        }
        let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now";
        Ok(sqlx::query(now).fetch_one(executor).await?.get("now"))
    }

    /// What a connection does first. `synchronous=FULL`: a commit is on stable storage (INV-4). `force_custom_plan`: a plan
    /// for any state reads all documents in order where the state asked for has none (386 ms among 100,000).
    pub(super) fn greeting(self) -> &'static str {
        self.pick(
            "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON",
            "SET synchronous_commit = 'on'; SET plan_cache_mode = 'force_custom_plan'",
        )
    }

    /// The migrations in this engine's wording.
    pub(super) fn schema(self) -> Migrator {
        let all = sqlx::migrate!("./migrations");
        let worded = |migration: &Migration| {
            let sql = AssertSqlSafe(self.worded(migration.sql.as_str())).into_sql_str();
            let Migration { version, description, migration_type, no_tx, .. } = migration;
            Migration::new(*version, description.clone(), *migration_type, sql, *no_tx)
        };
        Migrator::with_migrations(all.iter().map(worded).collect())
    }

    fn worded(self, sql: &str) -> String {
        let mut ours = true;
        let mut text = String::new();
        for line in sql.lines() {
            match line.trim() {
                "-- only sqlite" => ours = self == Self::Sqlite,
                "-- only postgres" => ours = self == Self::Postgres,
                "-- end" => ours = true,
                _ if ours => text.extend([line, "\n"]),
                _ => {}
            }
        }
        if self == Self::Postgres { text.replace(" BLOB", " BYTEA") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_says_to_each_engine_what_is_meant_for_it() {
        let sql = "a BLOB\n-- only sqlite\nb\n-- end\n  -- only postgres\nc\n  -- end\nd";
        assert_eq!(Engine::Sqlite.worded(sql), "a BLOB\nb\nd\n");
        assert_eq!(Engine::Postgres.worded(sql), "a BYTEA\nc\nd\n");
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let address: Address =
            "postgres://platen:p@ss@db.example/platen?sslmode=require".parse().expect("one");
        assert_eq!(address.to_string(), "postgres://db.example/platen");
        let refused = "mysql://root:secret@host/x".parse::<Address>().expect_err("unknown").to_string();
        assert!(refused.contains("mysql") && !refused.contains("secret"), "{refused}");
    }
}
