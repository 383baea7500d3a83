//! The database: one SQLite file, one writer, and functions that all name the tenant they act for (INV-12).
//!
//! The truth is `events`; `documents` and `envelopes` are projections that [`crate::integrity`] can rebuild.
//! Every change to a document goes through [`events::append`], in one transaction with its projection and the
//! job it asks for. Writers queue on a single connection and begin with `BEGIN IMMEDIATE`, so a transaction
//! never fails half-way because somebody else wrote. `synchronous=FULL`: a commit is on stable storage (INV-4).

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

pub mod blobs;
pub mod documents;
pub mod envelopes;
pub mod events;
pub mod jobs;
pub mod people;
pub mod record;
pub mod uploads;

/// How long a connection waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that read.
const READERS: u32 = 4;

/// A write transaction. Nothing is changed until [`Transaction::commit`]; dropping it changes nothing.
pub type Write = Transaction<'static, Sqlite>;

/// The database could not do what was asked, or holds something that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite or the connection to it failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("database schema: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    /// A stored value is not what we write there: run `platen-cloud check`.
    #[error("damaged row: {0}")]
    Damaged(String),
    /// The configured address is not one this release can open.
    #[error("{0}")]
    Address(String),
}

/// The open database. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// The file behind a `sqlite:` address.
pub fn file_of(address: &str) -> Result<PathBuf, StoreError> {
    let path = address.strip_prefix("sqlite:").filter(|path| !path.is_empty());
    path.map(PathBuf::from).ok_or_else(|| {
        StoreError::Address(format!("`database = {address:?}`: write \"sqlite:/path/to/file\""))
    })
}

impl Store {
    /// Opens the database file, making it if it is not there. Call [`Store::migrate`] before using it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY_TIMEOUT)
            .connect_with(options.clone())
            .await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_lazy_with(options);
        Ok(Self { writer, readers })
    }

    /// Brings the schema up to date; nothing happens where it is.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        sqlx::migrate!("./migrations").run(&self.writer).await?;
        Ok(())
    }

    /// Begins a write. Others wait for it, so keep it short: no files and no network inside.
    pub async fn begin(&self) -> Result<Write, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// The connections that read.
    pub fn reading(&self) -> &SqlitePool {
        &self.readers
    }

    /// The one connection that writes, for modules that own tables of their own.
    pub fn writing(&self) -> &SqlitePool {
        &self.writer
    }

    /// Waits for what is under way, then closes.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A stored time.
pub fn from_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Reads a stored word (id, digest, state) back.
pub(crate) fn word<T: FromStr>(text: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| StoreError::Damaged(format!("{text:?}: {error}")))
}

/// Reads stored JSON back.
pub(crate) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// Writes JSON to be stored.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our records are plain data with string keys")
}
