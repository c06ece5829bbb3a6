//! How far a device is, told to the station: never waited for, and a lost message is only logged.

use std::time::Duration;

use livery_contract::wire;
use uuid::Uuid;

use crate::{
    station::client::Station,
    work::progress::{Progress, Rate},
};

/// Sends progress once a second while it changes, until the guard is dropped.
#[must_use]
pub(crate) fn progress(station: &Station, job: Uuid, progress: &Progress) -> Reporter {
    let (station, progress) = (station.clone(), progress.clone());
    Reporter(tokio::spawn(async move {
        let (mut rate, mut last) = (Rate::default(), None);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let snapshot = progress.snapshot();
            let rate = rate.see(std::time::Instant::now(), snapshot);
            if last == Some(snapshot) {
                continue;
            }
            let message = wire::Progress { job, phase: snapshot.phase, done: snapshot.done, total: snapshot.total, rate };
            match station.send("api/v1/progress", &message).await {
                Ok(_) => last = Some(snapshot),
                Err(fault) => tracing::info!(%fault, "a progress message was lost"),
            }
        }
    }))
}

/// Progress is sent as long as this lives.
#[derive(Debug)]
pub(crate) struct Reporter(tokio::task::JoinHandle<()>);

impl Drop for Reporter {
    fn drop(&mut self) {
        self.0.abort();
    }
}
