//! What every long step needs, whichever it is: counters that show how far it is, a way to be interrupted, threads,
//! and when a request that failed is made again.

pub(crate) mod progress;
pub(crate) mod retry;
pub(crate) mod stop;
pub(crate) mod threads;

use tokio::runtime::Handle;

use self::{progress::Progress, stop::Stop};

/// What every long step needs.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// For the requests that blocking threads make.
    pub handle: Handle,
    pub progress: Progress,
    pub stop: Stop,
}
