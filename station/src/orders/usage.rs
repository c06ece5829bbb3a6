//! What is known of a device in use: it took everything, or what differs from its order.

use std::fmt;

use livery_contract::{Digest, Fault, Result, confirmation::What};
use serde::{Deserialize, Serialize};

use crate::database::orders::Order;

/// One thing that did not take effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amiss {
    /// Which.
    pub(crate) what: What,
    /// What is wanted.
    pub(crate) wanted: String,
    /// What the device found; `None` where it reported nothing.
    pub(crate) found: Option<String>,
}

impl fmt::Display for Amiss {
    /// `keyboard is us, not fr`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, wanted, found } = self;
        match found {
            // Sixty-four digits tell a person no more than the first twelve.
            Some(found) => write!(f, "{what} is {}, not {}", short(found), short(wanted)),
            None => write!(f, "{what} should be {}, but the device did not report it", short(wanted)),
        }
    }
}

fn short(text: &str) -> &str {
    if text.parse::<Digest>().is_ok() { &text[..12] } else { text }
}

/// As a column of the order.
///
/// # Errors
/// Never: plain data.
pub(crate) fn encode(amiss: &[Amiss]) -> Result<String> {
    serde_json::to_string(amiss).map_err(|error| Fault::internal("a verdict does not encode").cause(error))
}

/// What is known of a device in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Usage {
    /// `in-use`, or `amiss` where something did not take effect.
    pub state: &'static str,
    /// What did not take effect.
    pub(crate) amiss: Vec<Amiss>,
    /// The same in words.
    pub words: Vec<String>,
    /// The confirmation's place in the log.
    pub(crate) confirmation: i64,
    /// When the device was last heard of.
    pub(crate) heard: jiff::Timestamp,
    /// The newer image that it runs, `NAME@VERSION`, where that is not the one that it was written with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<String>,
}

impl Usage {
    /// Of an order; `None` while its device has reported nothing since it was written.
    pub fn of(order: &Order) -> Option<Self> {
        Self::of_columns(order.confirmation, order.amiss.as_deref(), order.heard_at, order.runs.clone())
    }

    /// The same from the order's columns.
    pub(crate) fn of_columns(
        confirmation: Option<i64>,
        amiss: Option<&str>,
        heard_at: Option<i64>,
        runs: Option<String>,
    ) -> Option<Self> {
        let confirmation = confirmation?;
        let heard = jiff::Timestamp::from_millisecond(heard_at?).ok()?;
        // What can no longer be read is never "in use"; `livery-station audit` finds out more.
        let amiss: Vec<Amiss> = serde_json::from_str(amiss?).ok()?;
        let words: Vec<String> = amiss.iter().map(ToString::to_string).collect();
        let state = if amiss.is_empty() { "in-use" } else { "amiss" };
        Some(Self { state, amiss, words, confirmation, heard, runs })
    }

    /// For a cell of a table.
    pub fn text(&self) -> String {
        let runs = self.runs.as_ref().map(|image| format!("runs {image}"));
        let state = if self.amiss.is_empty() { vec!["in use".to_owned()] } else { self.words.clone() };
        state.into_iter().chain(runs).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_verdict_that_cannot_be_read_is_never_in_use() {
        assert_eq!(Usage::of_columns(Some(2), Some("[]"), Some(0), None).unwrap().text(), "in use");
        assert_eq!(
            Usage::of_columns(Some(2), Some("[]"), Some(0), Some("laptop@2".into())).unwrap().text(),
            "in use; runs laptop@2"
        );
        for (confirmation, amiss, heard) in
            [(None, Some("[]"), Some(0)), (Some(1), None, Some(0)), (Some(1), Some("x"), Some(0)), (Some(1), Some("[]"), None)]
        {
            assert_eq!(Usage::of_columns(confirmation, amiss, heard, None), None);
        }
    }
}
