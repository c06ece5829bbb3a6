//! Ctrl-C and SIGTERM: the work stops between two steps, in a state that cannot be mistaken for a good one.
//!
//! Exit code: 3 (nothing touched) before the first byte is written; 6 afterwards, since the device then holds half an
//! image and does not boot. A second signal ends the program at once, with the same code.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use livery_contract::{Exit, Fault, Result};
use tokio::sync::Notify;

/// Signals closer together than this are one.
const TWICE: Duration = Duration::from_secs(1);

/// Whether to stop, shared by all who work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicBool,
    touched: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// One that hears SIGINT and SIGTERM.
    ///
    /// # Errors
    /// Exit 1 where the signals cannot be listened to.
    pub(crate) fn on_signals() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let stop = Self::default();
        let listen = |kind| signal(kind).map_err(|error| Fault::internal("no signal handler").cause(error));
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let heard = stop.clone();
        tokio::spawn(async move {
            let mut first: Option<Instant> = None;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                match first {
                    // One Ctrl-C may arrive twice: at the process and at its group, as `timeout` and systemd send it.
                    Some(at) if at.elapsed() > TWICE => std::process::exit(i32::from(heard.exit().code())),
                    Some(_) => {}
                    None => {
                        first = Some(Instant::now());
                        heard.ask();
                    }
                }
            }
        });
        Ok(stop)
    }

    /// Asks everybody to stop.
    pub(crate) fn ask(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        self.0.notify.notify_waiters();
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// From here on the disk is not what it was.
    pub(crate) fn disk_touched(&self) {
        self.0.touched.store(true, Ordering::SeqCst);
    }

    /// Goes on, or not.
    ///
    /// # Errors
    /// The [`fault`](Self::fault), once somebody asked.
    pub(crate) fn check(&self) -> Result<()> {
        if self.asked() { Err(self.fault()) } else { Ok(()) }
    }

    /// Returns when somebody asks.
    pub(crate) async fn wait(&self) {
        loop {
            let notified = self.0.notify.notified();
            if self.asked() {
                return;
            }
            // Bounded, so that asking between the two lines above is heard too.
            let _ = tokio::time::timeout(Duration::from_millis(200), notified).await;
        }
    }

    fn exit(&self) -> Exit {
        if self.0.touched.load(Ordering::SeqCst) { Exit::Device } else { Exit::Refused }
    }

    /// What an interruption ends with.
    pub(crate) fn fault(&self) -> Fault {
        if self.0.touched.load(Ordering::SeqCst) {
            Fault::new(Exit::Device, "interrupted: the disk holds a part of the image and does not boot")
                .fix("run the same command again; it resumes")
        } else {
            Fault::new(Exit::Refused, "interrupted before anything was written")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_code_says_whether_the_disk_was_touched() {
        let stop = Stop::default();
        stop.check().unwrap();
        stop.ask();
        assert_eq!(stop.check().unwrap_err().exit().code(), 3);
        stop.disk_touched();
        assert_eq!(stop.check().unwrap_err().exit().code(), 6);
    }

    #[tokio::test]
    async fn waiting_ends_when_asked() {
        let stop = Stop::default();
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.wait().await }
        });
        stop.ask();
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }
}
