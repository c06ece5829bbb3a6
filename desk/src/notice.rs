//! Tells who sits at a laptop that a newer image is ready and takes effect at the next start. In: what the update left for others to read.
//! Out: a notification (Desktop Notifications Specification 1.2), one for each newer image; it stays until it is read.
//!
//! Runs as long as the session does, and looks now and then: nothing depends on it.

use std::{collections::HashMap, path::Path, time::Duration};

use livery_contract::{Fault, Result};
use serde::Deserialize;
use tokio::time::sleep;
use tracing::{debug, info};
use zbus::{proxy, zvariant::Value};

use crate::words::Language;

/// What `livery-agent update` leaves.
pub(crate) const PLACE: &str = "/run/livery-update/state.json";
/// Between two looks.
const LOOK: Duration = Duration::from_secs(30);
/// The most bytes that are read of it.
const MAX: usize = 64 << 10;

#[proxy(
    interface = "org.freedesktop.Notifications",
    default_service = "org.freedesktop.Notifications",
    default_path = "/org/freedesktop/Notifications",
    gen_blocking = false
)]
trait Notifications {
    #[expect(clippy::too_many_arguments, reason = "the specification's")]
    fn notify(
        &self,
        app_name: &str,
        replaces: u32,
        icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Value<'_>>,
        expires: i32,
    ) -> zbus::Result<u32>;
}

/// What is of interest here of the update's outcome.
#[derive(Debug, Deserialize)]
struct Outcome {
    state: String,
    newer: Option<String>,
}

/// Looks until the session ends.
///
/// # Errors
/// Exit 1 where the session has no bus.
pub(crate) async fn run(place: &Path) -> Result<()> {
    let failed = |error| Fault::internal("the session's bus does not answer").cause(error);
    let connection = zbus::Connection::session().await.map_err(failed)?;
    let screen = NotificationsProxy::new(&connection).await.map_err(failed)?;
    let words = Language::here().words();
    let mut told = None;
    loop {
        if let Some(newer) = ready(place).filter(|newer| told.as_ref() != Some(newer)) {
            let hints = HashMap::from([("resident", Value::from(true))]);
            let shown = screen.notify("Livery", 0, "system-software-update", words.newer, words.restart, &[], hints, 0).await;
            match shown {
                Ok(_) => {
                    info!("{newer} is ready, and the user has been notified");
                    told = Some(newer);
                }
                // The desktop may not be up yet.
                Err(error) => debug!(%error, "no program shows notifications"),
            }
        }
        sleep(LOOK).await;
    }
}

/// Which newer image is ready, if one is.
fn ready(place: &Path) -> Option<String> {
    let bytes = std::fs::read(place).ok().filter(|bytes| bytes.len() <= MAX)?;
    let outcome: Outcome = serde_json::from_slice(&bytes).ok()?;
    outcome.newer.filter(|_| outcome.state == "ready")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_is_ready_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, newer) in [
            (r#"{"state":"ready","image":"laptop@1","newer":"laptop@2","traffic":{}}"#, Some("laptop@2")),
            (r#"{"state":"current","image":"laptop@1"}"#, None),
            (r#"{"state":"on-trial","image":"laptop@2"}"#, None),
            ("{", None),
            ("", None),
        ] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(ready(file.path()).as_deref(), newer, "{text}");
        }
        assert_eq!(ready(Path::new("/nowhere/at/all")), None);
    }
}
