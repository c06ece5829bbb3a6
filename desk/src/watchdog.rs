//! What systemd is told of the browser's service (sd_notify(3)): that it is up, that it is alive, that it must end. Without systemd
//! nothing is told, and nothing fails.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::{info, warn};

/// How long an emulated processor may take for what others do in seconds.
const PATIENCE: Duration = Duration::from_secs(600);

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("systemd could not be notified: {error}");
    }
}

/// The first heartbeat: from now on systemd counts (`WatchdogSec=`).
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Watchdog]);
}

/// A heartbeat.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The session ends: systemd kills all that is left of it, removes what it kept, and starts the next one.
pub(crate) fn end(why: &str) {
    info!("the session ends: {why}");
    tell(&[NotifyState::Status(why), NotifyState::WatchdogTrigger]);
}

/// On an emulated processor the usual times would end a browser that is only slow.
pub(crate) fn patience() {
    let microseconds = u32::try_from(PATIENCE.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::WatchdogUsec(microseconds), NotifyState::ExtendTimeoutUsec(microseconds)]);
}
