//! The station's memory: all SQL is in this module and its children, one file a table.
//!
//! SQLite in WAL mode. The SQL keeps to what PostgreSQL also understands (`$1` parameters, `ON CONFLICT`, BIGINT times),
//! so that a second back end needs another migration folder and pool, not other queries; what is SQLite's own is in this
//! file and in the migrations.
//!
//! Fails with `Source` where the database cannot be opened, is busy for long, or does not have what it should.

pub(crate) mod changes;
pub(crate) mod devices;
pub(crate) mod encoding;
pub(crate) mod health;
pub(crate) mod jobs;
pub mod log;
pub mod orders;

use std::{
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    str::FromStr as _,
    time::Duration,
};

use livery_contract::{Fault, Result};
use sqlx::{
    Connection as _, Sqlite, SqlitePool,
    migrate::Migrator,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// The tables, and how they came to be.
static TABLES: Migrator = sqlx::migrate!("./migrations");

/// One connection; the tables' functions take it, so that they work alone and within a transaction.
pub type Connection = sqlx::SqliteConnection;
/// Some changes that happen together or not at all.
pub(crate) type Transaction = sqlx::Transaction<'static, Sqlite>;

/// Whether a database that is not there yet may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It must be there: a mistyped path shall not answer "no orders".
    Existing,
    /// It is made where it is missing.
    OrCreate,
    /// The same, and its tables are brought up to date: by the one who serves, and by no command that runs beside a station.
    ToServe,
}

/// The open database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Database {
    pool: SqlitePool,
}

impl Database {
    /// Opens `sqlite:FILE`. A new one is this user's alone to read.
    ///
    /// # Errors
    /// `Usage` for another kind of URL; `Refused` where it must be there and is not, or has the tables of another release; `Source` for
    /// anything underneath.
    pub async fn open(url: &str, open: Open) -> Result<Self> {
        let path = path_of(url)?;
        if open == Open::Existing && !path.is_file() {
            return Err(Fault::refused("there is no station database here")
                .at(path.display())
                .fix("use --database sqlite:FILE with the file that `livery-station import` made"));
        }
        let new = open != Open::Existing && make(&path)?;
        let options = SqliteConnectOptions::from_str("sqlite:")
            .map_err(failed)?
            .filename(&path)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // With NORMAL a power cut may undo the last commit in WAL mode: a receipt must outlive it (sqlite.org/pragma.html).
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(15))
            // On a full disk SQLite ends a transaction by itself, and the driver goes on to believe in it: such a connection would fail
            // for ever. The ping comes back when a rollback that is under way is through.
            .after_release(|connection, _| {
                Box::pin(async move {
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| opening(&path, error))?;
        if new || open == Open::ToServe {
            TABLES.run(&pool).await.map_err(|error| {
                Fault::source("the database's tables do not match this release")
                    .at(path.display())
                    .fix("use the release that wrote the database, or a newer one")
                    .cause(error)
            })?;
        } else {
            is_current(&pool).await.map_err(|fault| fault.at(path.display()))?;
        }
        Ok(Self { pool })
    }

    /// A connection to read with, or to make one change.
    ///
    /// # Errors
    /// `Source` where none comes free in 15 s.
    pub async fn connection(&self) -> Result<PoolConnection<Sqlite>> {
        self.pool.acquire().await.map_err(failed)
    }

    /// Begins changes that happen together. Takes SQLite's write lock at once: a lock taken half-way can fail with
    /// `SQLITE_BUSY` that no waiting resolves (sqlite.org/lang_transaction.html).
    ///
    /// # Errors
    /// `Source` where the lock does not come free in 10 s.
    pub(crate) async fn write(&self) -> Result<Transaction> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }

    /// Waits until all connections are closed, so that the WAL is folded into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Makes the changes of a transaction last.
///
/// # Errors
/// `Source`, and nothing was changed.
pub(crate) async fn commit(transaction: Transaction) -> Result<()> {
    transaction.commit().await.map_err(failed)
}

/// Makes an empty file that nobody else can read; SQLite gives the files beside it the same mode. Whether it was not there before.
fn make(path: &Path) -> Result<bool> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file {
        Ok(_) => Ok(true),
        // An empty one is as good as none: a run was ended right after it was made.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(path.metadata().is_ok_and(|file| file.len() == 0)),
        Err(error) => Err(opening(path, error.into())),
    }
}

/// Whether the tables are those of this release: a command beside a station at work must not change them under it.
async fn is_current(pool: &SqlitePool) -> Result<()> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations WHERE success").fetch_one(pool).await.map_err(|error| {
            Fault::refused("this is not the database of a station")
                .fix("use the file that `livery-station import` made")
                .cause(error)
        })?;
    let wanted = TABLES.iter().map(|migration| migration.version).max();
    match found.cmp(&wanted) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(Fault::refused("the database has the tables of an earlier release")
            .fix("stop the station and start `livery-station serve` of this release: it brings them up to date")),
        std::cmp::Ordering::Greater => {
            Err(Fault::refused("the database has the tables of a newer release").fix("use that release, or a newer one"))
        }
    }
}

/// The file of a `sqlite:` URL.
fn path_of(url: &str) -> Result<PathBuf> {
    let path =
        url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).map(|path| path.split('?').next().unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() && path != ":memory:" => Ok(PathBuf::from(path)),
        _ => {
            // The URL may hold a password: name only its scheme.
            let scheme = url.split(':').next().unwrap_or_default();
            Err(Fault::usage(format!("{scheme:?} is not a kind of database that this release supports"))
                .fix("use --database sqlite:FILE"))
        }
    }
}

fn opening(path: &Path, error: sqlx::Error) -> Fault {
    Fault::source("the database cannot be opened")
        .at(path.display())
        .fix("check that the folder exists and that this user can write to it")
        .cause(error)
}

/// Any failure of a query, for a person.
pub(crate) fn failed(error: sqlx::Error) -> Fault {
    if let sqlx::Error::ColumnDecode { index, source } = &error {
        return damaged(&format!("value in column {index}"), source);
    }
    Fault::source("a database query failed").fix("check its disk: is it full, read-only or damaged?").cause(error)
}

/// A value in the database that our own code cannot have written.
pub(crate) fn damaged(what: &str, error: impl std::fmt::Display) -> Fault {
    Fault::source(format!("the database contains an invalid {what}: {error}"))
        .fix("something other than the station changed it: run `livery-station audit` to check the records")
}

/// Bytes as the database stores them; more than 8 EiB cannot be meant.
pub(crate) fn stored(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Bytes as they were meant.
pub(crate) fn meant(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn urls() {
        assert_eq!(path_of("sqlite:a/b.db").unwrap(), PathBuf::from("a/b.db"));
        assert_eq!(path_of("sqlite:///a/b.db?mode=rwc").unwrap(), PathBuf::from("/a/b.db"));
        for bad in ["", "sqlite:", "sqlite::memory:", "a.db"] {
            assert!(path_of(bad).is_err(), "{bad}");
        }
        let fault = path_of("postgres://u:secret@h/d").unwrap_err();
        assert!(!fault.render().contains("secret"));
    }

    #[tokio::test]
    async fn a_mistyped_path_is_not_an_empty_line() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("no.db").display());
        assert_eq!(Database::open(&url, Open::Existing).await.unwrap_err().exit().code(), 3);
        Database::open(&url, Open::OrCreate).await.unwrap();
        Database::open(&url, Open::Existing).await.unwrap();
        for name in ["no.db", "no.db-wal", "no.db-shm"] {
            let file = std::fs::metadata(folder.path().join(name));
            assert!(file.is_ok_and(|file| file.permissions().mode() & 0o077 == 0) || name != "no.db", "{name}");
        }
    }

    #[tokio::test]
    async fn only_the_one_who_serves_changes_tables() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("old.db").display());
        let database = Database::open(&url, Open::OrCreate).await.unwrap();
        let last = TABLES.iter().map(|migration| migration.version).max().unwrap();
        for (version, words) in [(last - 1, "earlier release"), (last + 1, "newer release")] {
            let sql = "UPDATE _sqlx_migrations SET version = $1 WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)";
            sqlx::query("DELETE FROM _sqlx_migrations WHERE version = $1").bind(version).execute(&database.pool).await.unwrap();
            sqlx::query(sql).bind(version).execute(&database.pool).await.unwrap();
            for open in [Open::Existing, Open::OrCreate] {
                let fault = Database::open(&url, open).await.unwrap_err();
                assert!(fault.exit().code() == 3 && fault.to_string().contains(words), "{fault}");
            }
        }
        std::fs::write(folder.path().join("other.db"), "").unwrap();
        let url = format!("sqlite:{}", folder.path().join("other.db").display());
        assert_eq!(Database::open(&url, Open::Existing).await.unwrap_err().exit().code(), 3);
        Database::open(&url, Open::ToServe).await.unwrap();
        Database::open(&url, Open::Existing).await.unwrap();
    }
}
