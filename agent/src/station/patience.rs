//! How long to go on asking somebody who does not answer.

use std::time::Duration;

use livery_contract::{Fault, Result};
use serde_json::json;

use crate::console::Console;

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// How long to go on asking somebody who does not answer, and how often.
#[derive(Debug)]
pub(crate) struct Patience {
    give_up_after: Option<Duration>,
    since: std::time::Instant,
    next: Duration,
}

impl Patience {
    pub(crate) fn new(give_up_after: Option<Duration>) -> Self {
        Self { give_up_after, since: std::time::Instant::now(), next: Duration::from_secs(1) }
    }

    /// There was an answer: the waiting begins anew.
    pub(crate) fn met(&mut self) {
        *self = Self::new(self.give_up_after);
    }

    /// Says what failed, and how long to pause.
    ///
    /// # Errors
    /// The fault itself, once patience is at its end.
    pub(crate) fn pause(&mut self, fault: Fault, who: &str, console: &Console) -> Result<Duration> {
        let pause = self.next;
        let waited = self.since.elapsed();
        if self.give_up_after.is_some_and(|limit| waited + pause > limit) {
            return Err(fault);
        }
        self.next = (pause * 2).min(LONGEST);
        console.say(format!("NO ANSWER from {who} for {} s, asking again in {} s: {fault}", waited.as_secs(), pause.as_secs()));
        console.event("no-answer", json!({ "seconds": waited.as_secs(), "fault": fault.report() }));
        Ok(pause)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::Exit;

    use super::*;

    #[test]
    fn patience_grows_and_ends() {
        let console = Console::new(false, &[]);
        let fault = || Fault::source("gone");
        let mut patience = Patience::new(None);
        let pauses: Vec<u64> = (0..7).map(|_| patience.pause(fault(), "x", &console).unwrap().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(Patience::new(Some(Duration::ZERO)).pause(fault(), "x", &console).unwrap_err().exit(), Exit::Source);
    }
}
