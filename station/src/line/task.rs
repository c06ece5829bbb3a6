//! The task that draws the line: on a change (at most twice a second) or every few seconds; all viewers share its pictures.

use std::time::Duration;

use super::{feed::Line, picture::Picture};

/// The least time between two pictures.
const GAP: Duration = Duration::from_millis(500);
/// The most time between two: devices fall silent, the day ends, and viewers must know that we are alive.
pub(super) const BEAT: Duration = Duration::from_secs(4);

/// Draws until the line is stopped.
pub(crate) async fn run(line: Line) {
    loop {
        match Picture::draw(&line.database).await {
            Ok(picture) => line.publish(picture),
            // Goes into the log; viewers see that the picture has stopped.
            Err(fault) => tracing::error!("the line's picture cannot be made: {}", fault.render()),
        }
        let next = async {
            tokio::time::sleep(GAP).await;
            let _ = tokio::time::timeout(BEAT - GAP, line.changed()).await;
        };
        tokio::select! {
            () = next => {}
            () = line.stopped() => return,
        }
    }
}
