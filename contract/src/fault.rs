//! One error type for the three programs: what happened, where, how to mend it, and the exit code that scripts rely on.
//!
//! ```text
//! error: chunk 812 does not have the digest that its chunk map names
//!    at: https://station/store/blobs/sha256/3f/3f2a…, bytes 81920-90111
//!   fix: the store's copy is damaged: copy that blob again from a good store, then run the same command
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// Result of an operation that can fail with a [`Fault`].
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// Exit codes, the same in all three programs. Scripts rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// 0: done; for `write`: and verified.
    Done,
    /// 1: a fault of Livery itself (never expected; report it).
    Internal,
    /// 2: wrong usage: flags or arguments. Also what `clap` exits with.
    Usage,
    /// 3: refused, nothing touched: the target or the input does not fit.
    Refused,
    /// 4: not trusted: signature, digest, rollback, expiry.
    Untrusted,
    /// 5: the source failed: network or store.
    Source,
    /// 6: the device failed: I/O error or read-back mismatch.
    Device,
}

impl Exit {
    /// The number that the process exits with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Untrusted => 4,
            Self::Source => 5,
            Self::Device => 6,
        }
    }

    /// One or two words for a person: `refused`, `not trusted`…
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Internal => "internal fault",
            Self::Usage => "wrong usage",
            Self::Refused => "refused",
            Self::Untrusted => "not trusted",
            Self::Source => "source failed",
            Self::Device => "device failed",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error for people and scripts alike.
#[derive(Debug)]
pub struct Fault {
    exit: Exit,
    what: String,
    at: Option<String>,
    fix: Option<String>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    /// A fault of this kind; `what` says in one sentence what happened.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), at: None, fix: None, cause: None }
    }

    /// [`Exit::Internal`].
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Exit::Internal, what)
    }

    /// [`Exit::Usage`].
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// [`Exit::Refused`].
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what)
    }

    /// [`Exit::Untrusted`].
    pub fn untrusted(what: impl Into<String>) -> Self {
        Self::new(Exit::Untrusted, what)
    }

    /// [`Exit::Source`].
    pub fn source(what: impl Into<String>) -> Self {
        Self::new(Exit::Source, what)
    }

    /// [`Exit::Device`].
    pub fn device(what: impl Into<String>) -> Self {
        Self::new(Exit::Device, what)
    }

    /// Where it happened: a path, a URL, an offset.
    #[must_use]
    pub fn at(mut self, at: impl fmt::Display) -> Self {
        self.at = Some(at.to_string());
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The error underneath.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The exit code that this fault ends the program with.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What to do about a fault that another error has underneath, as clap's has of a flag's value: its own text leaves that out.
    pub fn fix_within<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a str> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(fault) = error.downcast_ref::<Self>() {
                return fault.fix.as_deref();
            }
            next = error.source();
        }
        None
    }

    /// The parts that a machine wants, with the whole chain of causes in `what`.
    pub fn report(&self) -> FaultReport {
        FaultReport { exit: self.exit, what: self.to_string(), at: self.at.clone(), fix: self.fix.clone() }
    }

    /// The text for a terminal, as in the module's example.
    pub fn render(&self) -> String {
        let mut text = format!("error: {self}");
        if let Some(at) = &self.at {
            text.push_str(&format!("\n   at: {at}"));
        }
        if let Some(fix) = &self.fix {
            text.push_str(&format!("\n  fix: {fix}"));
        }
        text
    }
}

impl fmt::Display for Fault {
    /// What happened and the chain of causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut next: Option<&(dyn std::error::Error + 'static)> = self.cause.as_deref().map(|cause| cause as _);
        let mut last = self.what.clone();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Many libraries repeat their source's text in their own; saying it twice helps nobody.
            if !last.contains(&text) {
                write!(f, ": {text}")?;
            }
            last = text;
            next = cause.source();
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// A [`Fault`] as JSON: on standard output with `--json`, and from the agent to the station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultReport {
    /// Which kind, and so which exit code.
    pub exit: Exit,
    /// What happened, causes included.
    pub what: String,
    /// Where: path, URL, offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = std::io::Error::other("disk on fire");
        let fault = Fault::device("writing failed: disk on fire").cause(cause).at("/dev/vda").fix("call the fire brigade");
        assert_eq!(fault.render(), "error: writing failed: disk on fire\n   at: /dev/vda\n  fix: call the fire brigade");
        assert_eq!(fault.exit().code(), 6);
    }

    #[test]
    fn a_fix_is_found_below_another_error() {
        /// As clap's: the fault is its source.
        #[derive(Debug)]
        struct Above(Fault);
        impl fmt::Display for Above {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("invalid value")
            }
        }
        impl std::error::Error for Above {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        assert_eq!(Fault::fix_within(&Above(Fault::usage("not a size").fix("use 512 or 4096"))), Some("use 512 or 4096"));
        assert_eq!(Fault::fix_within(&Above(Fault::usage("not a size"))), None);
        assert_eq!(Fault::fix_within(&std::io::Error::other("no fault")), None);
    }
}
