//! What starters there are.

use std::str::FromStr;

use livery_contract::Fault;

use crate::settings::choice::Kind;

/// What a starter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starter {
    /// A thin terminal.
    Terminal,
    /// A laptop.
    Laptop,
    /// The agent's boot medium.
    Agent,
    /// A file that others extend.
    Base,
}

impl Starter {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Terminal, Self::Laptop, Self::Agent, Self::Base];

    /// The kind of profile; a base has none.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Self::Terminal => Some(Kind::Terminal),
            Self::Laptop => Some(Kind::Laptop),
            Self::Agent => Some(Kind::Agent),
            Self::Base => None,
        }
    }

    /// Its word on the command line.
    pub fn as_str(self) -> &'static str {
        self.kind().map_or("base", Kind::as_str)
    }
}

impl FromStr for Starter {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        Self::ALL.into_iter().find(|starter| starter.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            // The command line shows no more of a fault than this sentence.
            Fault::usage(format!("there is no starter for {text:?}; the known ones are {known}"))
        })
    }
}
