//! A network namespace, removed when dropped.

use std::{ffi::OsStr, process::Command, time::Duration};

use livery_contract::Result;

use crate::bench::measured::{run, take_down, tool};

/// Setting something up in one.
const SOON: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct Namespace {
    name: &'static str,
}

impl Namespace {
    /// An empty one by this name; what an earlier run that was killed left under that name goes first.
    ///
    /// # Errors
    /// Where this is not root's.
    pub fn make(name: &'static str) -> Result<Self> {
        let there = tool("ip", ["netns", "list"])?.stdout;
        if there.lines().any(|line| line.split_whitespace().next() == Some(name)) {
            for left in tool("ip", ["netns", "pids", name])?.stdout.split_whitespace() {
                take_down("kill", &["-KILL", left]);
            }
            tool("ip", ["netns", "delete", name])?;
        }
        tool("ip", ["netns", "add", name])?;
        Ok(Self { name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The same command, in there.
    pub fn command(&self, inside: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name]).arg(inside.get_program()).args(inside.get_args());
        command
    }

    /// Runs a tool in there; what it printed.
    ///
    /// # Errors
    /// Where it fails.
    pub fn tool<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Result<String> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name]).args(words);
        run(&mut command, SOON).map(|(done, _)| done.stdout)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        take_down("ip", &["netns", "delete", self.name]);
    }
}
