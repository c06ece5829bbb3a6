//! What a device's disk was sent, request by request.

use std::path::PathBuf;

use super::ground::Subject;

/// The requests of one run.
#[derive(Debug)]
pub struct Recording {
    pub(super) base: PathBuf,
    pub(super) subject: Subject,
    pub(super) log: PathBuf,
    pub(super) requests: Vec<Request>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// First byte on the disk.
    pub(super) at: u64,
    /// Bytes.
    pub(super) length: u64,
    /// All before is on the medium.
    pub(super) flush: bool,
    /// This is on the medium.
    pub(super) forced: bool,
    /// It has no data.
    pub(super) discard: bool,
    /// Where its data begin in the log.
    pub(super) data: u64,
}
