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
    station::{client::Station, patience::Patience},
    work::{progress::Progress, stop::Stop},
};

/// Asks until there is a job.
///
/// # Errors
/// As the module says.
pub(crate) async fn enrol(
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_answer_of_another_release_is_refused() {
        assert_eq!(parse(b"{}").unwrap_err().exit(), Exit::Refused);
        assert!(matches!(parse(br#"{"state":"waiting","reason":"no order","retry_after":2}"#), Ok(EnrolAnswer::Waiting { .. })));
    }
}
