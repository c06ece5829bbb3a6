//! What every long step needs, whichever it is: counters that show how far it is, a way to be interrupted, threads,
//! and when a request that failed is made again.

pub mod progress;
pub mod retry;
pub mod stop;
pub mod threads;

use tokio::runtime::Handle;

use self::{progress::Progress, stop::Stop};

/// What every long step needs.
#[derive(Clone, Debug)]
pub struct Work {
    /// For the requests that blocking threads make.
    pub handle: Handle,
    /// How far it is.
    pub progress: Progress,
    /// Whether to stop.
    pub stop: Stop,
}
