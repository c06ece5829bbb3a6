//! Where pictures of the line go, from the task that draws them to everybody who watches.

use std::sync::Arc;

use futures::{Stream, stream};
use tokio::sync::{Notify, watch};

use super::picture::Picture;
use crate::database::Database;

/// What the page's routes share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(super) database: Database,
    channel: Arc<Channel>,
}

#[derive(Debug)]
struct Channel {
    changed: Notify,
    latest: watch::Sender<Option<Picture>>,
    stopped: watch::Sender<bool>,
}

impl Line {
    /// A line that shows this database.
    pub(crate) fn new(database: Database) -> Self {
        let channel = Channel { changed: Notify::new(), latest: watch::Sender::new(None), stopped: watch::Sender::new(false) };
        Self { database, channel: Arc::new(channel) }
    }

    /// Something changed that the page shows.
    pub(crate) fn wake(&self) {
        self.channel.changed.notify_one();
    }

    /// Ends all event streams, which would keep a server from stopping.
    pub(crate) fn stop(&self) {
        self.channel.stopped.send_replace(true);
    }

    /// Returns once the line is stopped.
    pub(super) async fn stopped(&self) {
        // An error means that nobody can stop it any more, which is the end as well.
        let _ = self.channel.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Returns once something has changed.
    pub(super) async fn changed(&self) {
        self.channel.changed.notified().await;
    }

    /// Gives a new picture to all viewers.
    pub(super) fn publish(&self, picture: Picture) {
        self.channel.latest.send_replace(Some(picture));
    }

    /// The latest picture; none before the first.
    pub(super) fn latest(&self) -> Option<Picture> {
        self.channel.latest.borrow().clone()
    }

    /// What viewers get, one after another, beginning with the latest.
    pub(super) fn watch(&self) -> impl Stream<Item = Picture> + Send + use<> {
        let mut latest = self.channel.latest.subscribe();
        latest.mark_changed();
        let state = (latest, self.channel.stopped.subscribe());
        stream::unfold(state, |(mut latest, mut stopped)| async move {
            loop {
                if *stopped.borrow() {
                    return None;
                }
                tokio::select! {
                    changed = latest.changed() => changed.ok()?,
                    _ = stopped.changed() => return None,
                }
                let picture = latest.borrow_and_update().clone();
                if let Some(picture) = picture {
                    return Some((picture, (latest, stopped)));
                }
            }
        })
    }
}
