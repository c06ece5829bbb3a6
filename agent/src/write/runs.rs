//! Which frames share a request.

use std::collections::BTreeMap;

use livery_contract::{Digest, chunkmap::Frame};

use crate::image::piece::Piece;

/// The most bytes that one range request asks for. What is in flight at a kill is fetched again, and the last request of
/// all is waited for alone: both ask for short ones. That many of them are in flight makes up for it.
pub(crate) const MAX_RUN: u64 = 512 << 10;
/// Frames at most this far apart share a request: the bytes between cost less than a round trip.
pub(crate) const MAX_GAP: u64 = 64 << 10;

/// Neighbouring frames of one pack: one range request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Index into [`Composed::packs`].
    pub pack: u32,
    /// First byte in the pack.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    pub pieces: Vec<Piece>,
}

/// Where each chunk that is to be fetched belongs, by its frame, its own length and its digest.
pub(crate) type ToFetch = BTreeMap<(Frame, u64, Digest), Vec<u64>>;

/// Neighbouring frames share a request.
pub(crate) fn runs(pieces: ToFetch) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for ((frame, length, digest), places) in pieces {
        let (pack, start, end) = (frame.pack, frame.offset, frame.offset + u64::from(frame.length));
        let piece = Piece { frame, length, digest, places };
        match runs.last_mut() {
            Some(run)
                if run.pack == pack
                    && start <= run.offset + run.length + MAX_GAP
                    && end.max(run.offset + run.length) - run.offset <= MAX_RUN =>
            {
                run.length = end.max(run.offset + run.length) - run.offset;
                run.pieces.push(piece);
            }
            _ => runs.push(Run { pack, offset: start, length: end - start, pieces: vec![piece] }),
        }
    }
    runs
}
