//! Livery's programs, started as people start them.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use livery_contract::{Fault, Result};
use serde::de::DeserializeOwned;
use tokio::{process::Command, time::timeout};

/// One of the three programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `livery`.
    Livery,
    /// `livery-agent`.
    Agent,
    /// `livery-station`.
    Station,
}

impl Program {
    /// Its file name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Livery => "livery",
            Self::Agent => "livery-agent",
            Self::Station => "livery-station",
        }
    }

    /// Where it was built: in `LIVERY_PROGRAMS`, or in the target folder that this very program or test lies in.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn path(self) -> Result<PathBuf> {
        built(self.name())
    }

    /// A command for it, with nothing on its standard input; it is killed where the caller gives up.
    ///
    /// # Errors
    /// Where it is not built.
    pub fn command<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Result<Command> {
        let mut command = Command::new(self.path()?);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    /// Runs it to its end, at most `most`.
    ///
    /// # Errors
    /// Where it is not built, does not start, or does not end in time.
    pub async fn run_within<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>, most: Duration) -> Result<Done> {
        run(self.command(arguments)?, self.name(), most).await
    }

    /// Runs it to its end, at most five minutes.
    ///
    /// # Errors
    /// As [`run_within`](Self::run_within).
    pub async fn run<A: AsRef<OsStr>>(self, arguments: impl IntoIterator<Item = A>) -> Result<Done> {
        self.run_within(arguments, Duration::from_secs(300)).await
    }
}

/// Runs a tool of this host; gives what it prints.
///
/// # Errors
/// Where it fails.
pub async fn tool(name: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(name);
    command.args(arguments).kill_on_drop(true);
    run(command, name, Duration::from_secs(30)).await?.good().map(|done| done.stdout)
}

/// Runs a command to its end and keeps what it said.
///
/// # Errors
/// Where it does not start, or does not end in time.
pub async fn run(mut command: Command, name: &str, most: Duration) -> Result<Done> {
    let broken = |what: &str| Fault::internal(format!("{name} {what}"));
    match timeout(most, command.output()).await {
        Ok(Ok(output)) => Ok(Done {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
        Ok(Err(error)) => Err(broken("does not start").cause(error)),
        Err(_) => Err(broken(&format!("did not end within {} s", most.as_secs()))),
    }
}

/// The programs that images are made by, and of.
///
/// # Errors
/// Where one is not there.
pub fn of_images() -> Result<[PathBuf; 3]> {
    Ok([Program::Livery.path()?, Program::Agent.path()?, built("livery-desk")?])
}

/// A program of this name beside the running one.
///
/// # Errors
/// Where it is not there.
pub fn built(name: &str) -> Result<PathBuf> {
    let missing = || Fault::refused(format!("{name} is not built")).fix("cargo build --workspace --release");
    if let Some(folder) = std::env::var_os("LIVERY_PROGRAMS") {
        let path = Path::new(&folder).join(name);
        return if path.is_file() { Ok(path) } else { Err(missing().at(path.display())) };
    }
    let own = std::env::current_exe().map_err(|error| missing().cause(error))?;
    // target/PROFILE/NAME for a program, target/PROFILE/deps/NAME-HASH for a test.
    own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(missing)
}

/// How a program ended, and what it said.
#[derive(Clone, Debug)]
pub struct Done {
    /// Exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Done {
    /// It must have ended with 0.
    ///
    /// # Errors
    /// With all that it said, where it did not.
    pub fn good(self) -> Result<Self> {
        if self.code == Some(0) {
            return Ok(self);
        }
        Err(Fault::internal(format!("it ended with {:?}\n{}\n{}", self.code, self.stdout.trim_end(), self.stderr.trim_end())))
    }

    /// Standard output as one JSON document.
    ///
    /// # Errors
    /// Where it is none.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.stdout).map_err(|error| {
            Fault::internal(format!("standard output is not what was expected: {:.500}", self.stdout)).cause(error)
        })
    }
}
