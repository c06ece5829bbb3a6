//! How far the work is: counters that the work raises, and that screens and the station look at when they like.
//!
//! Counters and not messages, so that showing progress can never hold up a write.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use livery_contract::wire::Phase;

/// The counters of one run.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    phase: Mutex<Phase>,
    done: AtomicU64,
    total: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub phase: Phase,
    /// Bytes done in this step.
    pub done: u64,
    /// Bytes of this step; 0 where it has none.
    pub total: u64,
}

impl Snapshot {
    /// Percent done, where the step has a length.
    pub(crate) fn percent(&self) -> Option<u64> {
        (self.total > 0).then(|| self.done.min(self.total).saturating_mul(100) / self.total)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Inner { phase: Mutex::new(Phase::Inventory), done: AtomicU64::new(0), total: AtomicU64::new(0) }))
    }
}

impl Progress {
    /// Begins a step of `total` bytes; 0 where it has none.
    pub(crate) fn enter(&self, phase: Phase, total: u64) {
        let mut current = self.0.phase.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.0.done.store(0, Ordering::SeqCst);
        self.0.total.store(total, Ordering::SeqCst);
        *current = phase;
        drop(current);
        tracing::debug!(phase = phase.as_str(), total, "step");
    }

    /// So many bytes more are done.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let phase = self.0.phase.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Snapshot { phase: *phase, done: self.0.done.load(Ordering::SeqCst), total: self.0.total.load(Ordering::SeqCst) }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.snapshot().phase
    }
}

/// Bytes a second over the last seconds, from snapshots that it is given.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    seen: VecDeque<(Instant, Phase, u64)>,
}

impl Rate {
    const WINDOW: Duration = Duration::from_secs(5);

    /// Takes in a snapshot, and gives the rate.
    pub(crate) fn see(&mut self, now: Instant, snapshot: Snapshot) -> u64 {
        self.seen.retain(|(at, phase, _)| *phase == snapshot.phase && now.duration_since(*at) <= Self::WINDOW);
        self.seen.push_back((now, snapshot.phase, snapshot.done));
        let Some((at, _, done)) = self.seen.front() else { return 0 };
        let millis = u64::try_from(now.duration_since(*at).as_millis()).unwrap_or(u64::MAX);
        snapshot.done.saturating_sub(*done).saturating_mul(1000).checked_div(millis).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_rates() {
        let progress = Progress::default();
        progress.enter(Phase::Write, 200);
        let mut rate = Rate::default();
        let start = Instant::now();
        assert_eq!(rate.see(start, progress.snapshot()), 0);
        progress.add(100);
        assert_eq!(progress.snapshot().percent(), Some(50));
        assert_eq!(rate.see(start + Duration::from_secs(2), progress.snapshot()), 50);
        progress.enter(Phase::Verify, 0);
        assert_eq!(rate.see(start + Duration::from_secs(3), progress.snapshot()), 0, "a new step begins anew");
        assert_eq!(progress.snapshot().percent(), None);
    }
}
