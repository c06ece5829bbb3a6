//! What a server answered: its body within bounds, or what the answer means.

use std::{error::Error, time::Instant};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use livery_contract::{Fault, Result};
use reqwest::StatusCode;

use super::access::SILENCE;

/// One that trickles says something all the time: less than so many bytes within [`SILENCE`] counts as nothing (3 KiB/s; a
/// slow link that 28 requests share still gives each more).
const LEAST: u64 = 64 << 10;

/// What to do where a server answers, and wrongly.
pub(super) const SERVER: &str = "check the log of the server, and of any proxy on the way, then run the same command again";

/// Why a file could not be read, with absence told apart: TUF asks for files that need not be there.
#[derive(Debug)]
pub(crate) enum Missing {
    Absent,
    Failed(Fault),
}

impl Missing {
    pub(crate) fn into_fault(self, place: &str) -> Fault {
        match self {
            Self::Failed(fault) => fault,
            Self::Absent => Fault::source("a file is missing from the store").at(place).fix("copy the whole store again"),
        }
    }
}

impl From<Fault> for Missing {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// An answer's body, at most `limit` bytes; `promised` is what its head says, `expected` how much to make room for.
pub(super) async fn body<E: Error + Send + Sync + 'static>(
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    promised: Option<u64>,
    place: &str,
    limit: u64,
    expected: u64,
) -> Result<Bytes> {
    if promised.is_some_and(|length| length > limit) {
        return Err(too_long(place, limit));
    }
    let mut bytes = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
    let (mut since, mut before) = (Instant::now(), 0_u64);
    loop {
        let piece = pieces.next().await;
        let now = bytes.len() as u64 + piece.as_ref().map_or(0, |piece| piece.as_ref().map_or(0, Bytes::len)) as u64;
        if since.elapsed() > SILENCE && matches!(piece, Some(Ok(_))) {
            if now - before < LEAST {
                return Err(Fault::source(format!("the server is too slow: {} bytes in {} s", now - before, SILENCE.as_secs()))
                    .at(place)
                    .fix("check the server and the connection to it, then run the same command again: it resumes"));
            }
            (since, before) = (Instant::now(), now);
        }
        match piece {
            Some(Ok(_)) if now > limit => return Err(too_long(place, limit)),
            Some(Ok(piece)) => bytes.extend_from_slice(&piece),
            None => return Ok(bytes.freeze()),
            Some(Err(error)) => {
                return Err(Fault::source(format!("the connection broke after {} bytes", bytes.len()))
                    .at(place)
                    .cause(error)
                    .fix("check the network and that the server runs, then run the same command again"));
            }
        }
    }
}

pub(super) fn too_long(place: &str, limit: u64) -> Fault {
    Fault::untrusted(format!("the data is longer than the {limit} bytes allowed"))
        .at(place)
        .fix("the store's copy is damaged or forged, or this is not a store: copy that file again from a good store")
}

pub(super) fn cut_short(place: &str, got: u64, expected: u64) -> Fault {
    Fault::source(format!("the answer ended after {got} of {expected} bytes")).at(place).fix(SERVER)
}

pub(super) fn ignores_ranges(place: &str) -> Fault {
    Fault::source("the server ignores range requests")
        .at(place)
        .fix("use a server that answers `Range` with 206, as `livery-station serve` does")
}

pub(super) fn lacks_pack(place: &str) -> Fault {
    Fault::source("a pack is missing from the store").at(place).fix("copy the whole store again")
}

pub(super) fn unexpected(place: &str, status: StatusCode) -> Fault {
    let fault = Fault::source(format!("the server answered {status}")).at(place);
    fault.fix(if status.is_redirection() { "give the store's own URL: redirects are not followed" } else { SERVER })
}

/// No answer came: the fault of the network, or of the server's certificate.
pub(super) fn unreachable(place: &str, error: impl Error + Send + Sync + 'static) -> Fault {
    // reqwest says "certificate" only deep in its chain of causes; a person needs to hear it first.
    let mut cause: Option<&dyn Error> = Some(&error);
    let mut certificate = false;
    while let Some(error) = cause {
        certificate |= error.to_string().contains("certificate");
        cause = error.source();
    }
    if certificate {
        return Fault::untrusted("no trusted authority has issued the server's certificate")
            .at(place)
            .cause(error)
            .fix("give the authority's certificate with --ca, or fix the server's; the check cannot be switched off");
    }
    Fault::source("the server does not answer")
        .at(place)
        .cause(error)
        .fix("check the address and the cable, and that the server runs")
}
