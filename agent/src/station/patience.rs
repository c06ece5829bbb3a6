//! How long to go on asking somebody who does not answer.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff};
use livery_contract::{Exit, Fault, Result};
use serde_json::json;

use crate::{console::Console, work::retry};

/// The pauses between attempts, and when to give up.
#[derive(Debug)]
pub(crate) struct Patience {
    give_up_after: Option<Duration>,
    since: Instant,
    pauses: ExponentialBackoff,
}

impl Patience {
    pub(crate) fn new(give_up_after: Option<Duration>) -> Self {
        Self { give_up_after, since: Instant::now(), pauses: retry::NEEDED.build() }
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
        let waited = self.since.elapsed();
        let Some(pause) = self.pauses.next().filter(|pause| self.give_up_after.is_none_or(|limit| waited + *pause <= limit)) else {
            return Err(fault);
        };
        console.say(format!("NO ANSWER from {who} for {} s, asking again in {} s: {fault}", waited.as_secs(), pause.as_secs()));
        console.event("no-answer", json!({ "seconds": waited.as_secs(), "fault": fault.report() }));
        Ok(pause)
    }

    /// Asks until there is an answer.
    ///
    /// # Errors
    /// What is not the source's fault, at once; the source's, once patience is at its end.
    pub(crate) async fn ask<T>(mut self, who: &str, console: &Console, mut once: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        loop {
            match once().await {
                Err(fault) if fault.exit() == Exit::Source => tokio::time::sleep(self.pause(fault, who, console)?).await,
                answered => return answered,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
