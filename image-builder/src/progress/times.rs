//! How long each piece of work took.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What is done and how long it took, in the order of ending; shared by all who work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Arc<Mutex<Vec<(String, Duration)>>>);

impl Times {
    /// Another piece of work is done.
    pub(crate) fn add(&self, what: String, took: Duration) {
        self.lock().push((what, took));
    }

    pub(crate) fn all(&self) -> Vec<(String, Duration)> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
