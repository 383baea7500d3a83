//! The database, on either [`Engine`], and functions that all name the tenant they act for (INV-12).
//!
//! The truth is `events`; `documents` and `envelopes` are projections that [`crate::integrity`] can rebuild.
//! Every change to a document goes through [`events::append`], in one transaction with its projection and the
//! job it asks for. [`engine`] says how SQL and migrations are written for both engines, and what a transaction
//! must do where others write beside it. A commit is on stable storage (INV-4).

use std::fmt::Display;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Row as _, Transaction};

pub mod audit;
pub mod blobs;
pub mod clients;
pub mod devices;
pub mod documents;
pub mod engine;
pub mod envelopes;
pub mod events;
pub mod examples;
pub mod figures;
mod finds;
pub mod forms;
pub mod idempotency;
pub mod jobs;
pub mod limits;
pub mod people;
pub mod policies;
pub mod record;
pub mod search;
pub mod tokens;
pub mod uploads;
pub mod webhooks;

pub use engine::{Address, Engine};

/// How long somebody waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a database server is tried that cannot be reached.
const REACH_EVERY: Duration = Duration::from_secs(1);
/// Connections that read, on SQLite.
const READERS: u32 = 4;
/// Connections of one node, on PostgreSQL.
const CONNECTIONS: u32 = 16;

/// The database could not do what was asked, or holds something that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database or the connection to it failed.
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
    engine: Engine,
    writer: AnyPool,
    readers: AnyPool,
}

/// A write transaction. Nothing is changed until [`Write::commit`]; dropping it changes nothing.
#[derive(Debug)]
pub struct Write {
    engine: Engine,
    transaction: Transaction<'static, Any>,
}

/// The right to do something alone, given back when dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "it is held, not used")] Option<Write>);

/// Waits until a database server takes connections, for so long at most. A pool would wait as long and then say nothing but
/// that it did.
async fn reach(options: &AnyConnectOptions, patience: Duration) -> Result<(), sqlx::Error> {
    let end = tokio::time::Instant::now() + patience;
    let mut is_told = false;
    loop {
        let error = match AnyConnection::connect_with(options).await {
            Ok(connection) => return connection.close().await,
            Err(error @ sqlx::Error::Io(_)) if tokio::time::Instant::now() + REACH_EVERY < end => error,
            Err(error) => return Err(error),
        };
        if !is_told {
            tracing::warn!(%error, "the database cannot be reached; it is tried again for {} s", patience.as_secs());
            is_told = true;
        }
        tokio::time::sleep(REACH_EVERY).await;
    }
}

impl Store {
    /// Opens the database; a file is made if it is not there. Call [`Store::migrate`] before using it.
    pub async fn open(address: &Address) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (engine, options) = (address.engine(), address.options()?);
        let pool = |connections| {
            AnyPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).after_connect(
                move |connection, _| {
                    Box::pin(async move {
                        sqlx::raw_sql(engine.greeting()).execute(connection).await?;
                        Ok(())
                    })
                },
            )
        };
        let (writer, readers) = match engine {
            // One connection writes: writers queue here instead of failing half-way at each other.
            Engine::Sqlite => {
                let writer = pool(1).connect_with(options.clone()).await?;
                (writer, pool(READERS).connect_lazy_with(options))
            }
            Engine::Postgres => {
                reach(&options, ACQUIRE_TIMEOUT).await?;
                let all = pool(CONNECTIONS).connect_with(options).await?;
                (all.clone(), all)
            }
        };
        Ok(Self { engine, writer, readers })
    }

    /// Brings the schema up to date; nothing happens where it is. Nodes that start together wait for each other.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.engine.schema().run(&self.writer).await?;
        Ok(())
    }

    /// Which database this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Begins a write. Others may wait for it, so keep it short: no files and no network inside. One that reads
    /// before it writes calls [`Write::hold`] first.
    pub async fn begin(&self) -> Result<Write, StoreError> {
        let begin = self.engine.pick("BEGIN IMMEDIATE", "BEGIN");
        Ok(Write { engine: self.engine, transaction: self.writer.begin_with(begin).await? })
    }

    /// Begins a transaction that only reads, and sees the database as it is at one moment.
    pub async fn moment(&self) -> Result<Transaction<'static, Any>, StoreError> {
        let begin = self.engine.pick("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        Ok(self.readers.begin_with(begin).await?)
    }

    /// Begins a write that has a name for itself; `None` where another node has it at this moment. On SQLite, where there is
    /// one process, nothing is held.
    pub async fn alone(&self, name: impl Display) -> Result<Option<Turn>, StoreError> {
        if self.engine == Engine::Sqlite {
            return Ok(Some(Turn(None)));
        }
        let mut write = self.begin().await?;
        let row = sqlx::query("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS mine")
            .bind(name.to_string())
            .fetch_one(&mut *write)
            .await?;
        Ok(row.get::<bool, _>("mine").then_some(Turn(Some(write))))
    }

    /// Lets the database learn how its values are spread, where it does not by itself.
    pub async fn learn(&self) -> Result<(), StoreError> {
        if self.engine == Engine::Sqlite {
            // 0x02: what changed enough is analysed; 0x10: within bounds; 0x10000: whichever tables this connection used.
            sqlx::raw_sql("PRAGMA optimize = 0x10012").execute(&self.writer).await?;
        }
        Ok(())
    }

    /// Now by the database's clock, which all nodes share, in milliseconds since 1970.
    pub async fn now_ms(&self) -> Result<i64, StoreError> {
        self.engine.now_ms(&self.readers).await
    }

    /// The connections that read.
    pub fn reading(&self) -> &AnyPool {
        &self.readers
    }

    /// The connections for single statements that write.
    pub fn writing(&self) -> &AnyPool {
        &self.writer
    }

    /// Waits for what is under way, then closes.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl Write {
    /// Waits until no other write holds this name, and holds it until the end of this one. What is read
    /// afterwards about the thing of this name stays true until the commit, as long as all who change it hold it.
    pub async fn hold(&mut self, name: impl Display) -> Result<(), StoreError> {
        if self.engine == Engine::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
                .bind(name.to_string())
                .execute(&mut *self.transaction)
                .await?;
        }
        Ok(())
    }

    /// Now by the database's clock, which all nodes share, in milliseconds since 1970.
    pub async fn now_ms(&mut self) -> Result<i64, StoreError> {
        self.engine.now_ms(&mut *self.transaction).await
    }

    /// Which database this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Makes everything since the beginning durable, at once.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }
}

impl Deref for Write {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

#[cfg(test)]
mod plan_tests;

/// A row of an answer.
pub(crate) type DbRow = sqlx::any::AnyRow;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_server_that_cannot_be_reached_is_named_with_the_reason() {
        sqlx::any::install_default_drivers();
        // Nobody listens there any more.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let options = format!("postgres://platen@127.0.0.1:{port}/platen").parse().expect("an address");
        let error = reach(&options, Duration::ZERO).await.expect_err("nobody is there");
        assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
    }
}
