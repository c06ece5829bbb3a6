//! The device says what it is, and waits for its order: visibly, for as long as it takes.
//!
//! In: the inventory. Out: the station's envelope with the job. Fails with what the station refuses with; with exit 5
//! where the station stays away for longer than `give_up_after`; with exit 3 where the operator interrupts.

use std::time::Duration;

use jiff::Timestamp;
use livery_contract::{
    Exit, Fault, Result,
    envelope::Envelope,
    inventory::Inventory,
    wire::{Enrol, EnrolAnswer, Phase},
};
use serde_json::json;

use crate::{
    VERSION,
    console::Console,
    station::client::Station,
    work::{progress::Progress, stop::Stop},
};

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// Asks until there is a job.
///
/// # Errors
/// As the module says.
pub async fn enrol(
    station: &Station,
    inventory: &Inventory,
    give_up_after: Option<Duration>,
    console: &Console,
    progress: &Progress,
    stop: &Stop,
) -> Result<Envelope> {
    progress.enter(Phase::Enrol, 0);
    let mut patience = Patience::new(give_up_after);
    let mut shown = String::new();
    loop {
        let message = Enrol { key: station.key(), inventory: inventory.clone(), agent: VERSION.into(), at: Timestamp::now() };
        let answer = tokio::select! {
            answer = station.send("api/v1/enrol", &message) => answer,
            () = stop.wait() => return Err(stop.fault()),
        };
        let pause = match answer.and_then(|(bytes, _)| parse(&bytes)) {
            Ok(EnrolAnswer::Job { job }) => return Ok(job),
            Ok(EnrolAnswer::Waiting { reason, retry_after }) => {
                patience.met();
                progress.enter(Phase::Waiting, 0);
                if reason != shown {
                    console.say(format!("WAITING   serial {:?}: {reason}", inventory.system.serial));
                    console.event("waiting", json!({ "reason": reason, "serial": inventory.system.serial }));
                    shown = reason;
                }
                Duration::from_secs(u64::from(retry_after.clamp(1, 60)))
            }
            Err(fault) if fault.exit() == Exit::Source => {
                progress.enter(Phase::Enrol, 0);
                shown.clear();
                patience.pause(fault, "the station", console)?
            }
            Err(fault) => return Err(fault),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.wait() => return Err(stop.fault()),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<EnrolAnswer> {
    serde_json::from_slice(bytes).map_err(|error| {
        Fault::refused("the station's answer does not parse")
            .cause(error)
            .fix("use an agent medium and a station of the same release")
    })
}

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
    fn met(&mut self) {
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

    #[test]
    fn an_answer_of_another_release_is_refused() {
        assert_eq!(parse(b"{}").unwrap_err().exit(), Exit::Refused);
        assert!(matches!(parse(br#"{"state":"waiting","reason":"no order","retry_after":2}"#), Ok(EnrolAnswer::Waiting { .. })));
    }
}
