//! What is wrong with one value: the cause and the mend, in words.

use std::path::Path;

use livery_contract::Fault;

/// What is wrong with one value, before it is known where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What sort of problem it is: `bad value`, `wrong type`, `file not found`…
    pub what: &'static str,
    /// The cause, in a few words; it stands under the marker.
    pub cause: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without a mend yet.
    pub fn new(cause: impl Into<String>) -> Self {
        Self { what: "bad value", cause: cause.into(), help: None }
    }

    /// Another sort of problem than a bad value.
    #[must_use]
    pub fn what(mut self, what: &'static str) -> Self {
        self.what = what;
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// For a value that came from a command line.
    pub fn fault(self) -> Fault {
        let fault = Fault::refused(self.cause);
        match self.help {
            Some(help) => fault.fix(help),
            None => fault,
        }
    }

    /// A file that a setting names and that cannot be read.
    pub fn unreadable(path: &Path, why: &str) -> Self {
        Self::new(format!("the path is {}: {why}", path.display()))
            .what("file not readable")
            .help("a path starts from the folder of the file that contains it")
    }
}
