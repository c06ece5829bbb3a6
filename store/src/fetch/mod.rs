//! Bytes from a store's location: whole small files with a limit, and ranges of large ones.
//!
//! Nothing here is trusted: it only promises that no more is read than was asked for, and that what does not answer
//! fails in bounded time. No retries here either: who asks knows whether it is worth it.
//!
//! | module | reads from |
//! |---|---|
//! | `folder` | a folder |
//! | `web` | an HTTP(S) server |
//! | `objects` | an object store that speaks S3 |

mod folder;
mod objects;
mod web;

use std::{
    error::Error,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use livery_contract::{Fault, Result};
use reqwest::{Client, StatusCode};

use crate::location::Location;

/// How long a server may say nothing before it counts as gone.
const SILENCE: Duration = Duration::from_secs(20);
/// One that trickles says something all the time: less than so many bytes within [`SILENCE`] counts as nothing (3 KiB/s; a
/// slow line that 28 requests share still gives each more).
const LEAST: u64 = 64 << 10;

/// What is needed to reach a store behind HTTPS. An object store's credentials come from the environment.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Certificates (PEM) of the authorities that may vouch for the server. Where there is one, only these count;
    /// without any, the system's.
    pub authorities: Vec<Vec<u8>>,
}

impl Access {
    /// An HTTP client that trusts just these authorities and follows no redirect: a store lies where it was said to lie.
    ///
    /// # Errors
    /// [`Exit::Usage`](livery_contract::Exit::Usage) where a certificate does not parse.
    pub fn client(&self) -> Result<Client> {
        let mut builder = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("livery/", env!("CARGO_PKG_VERSION")));
        let mut certificates = Vec::new();
        for pem in &self.authorities {
            let bundle = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| Fault::usage("an authority's certificate does not parse").cause(error))?;
            if bundle.is_empty() {
                return Err(
                    Fault::usage("an authority's file holds no certificate").fix("give a PEM file: -----BEGIN CERTIFICATE-----")
                );
            }
            certificates.extend(bundle);
        }
        if !certificates.is_empty() {
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map_err(|error| Fault::internal("no HTTP client can be made").cause(error))
    }
}

/// What to do where a server answers, and wrongly.
const SERVER: &str = "look into the server's log, and into a proxy's on the way, then run the same command again";

/// Reads files below a store's top.
#[derive(Clone, Debug)]
pub(crate) enum Fetcher {
    Folder(folder::Folder),
    Web(web::Web),
    Objects(objects::Objects),
}

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
            Self::Absent => Fault::source("the store lacks a file").at(place).fix("copy the store again, completely"),
        }
    }
}

impl From<Fault> for Missing {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl Fetcher {
    pub(crate) fn new(location: &Location, access: &Access) -> Result<Self> {
        Ok(match location {
            Location::Folder(path) => Self::Folder(folder::Folder::new(path.clone())),
            Location::Web(_) => Self::Web(web::Web::new(location.clone(), access.client()?)),
            Location::Objects(_) => Self::Objects(objects::Objects::new(location, access.client()?, std::env::vars_os())?),
        })
    }

    /// The whole file, which may have at most `limit` bytes.
    pub(crate) async fn whole(&self, relative: &str, limit: u64) -> Result<Bytes, Missing> {
        match self {
            Self::Folder(folder) => folder.whole(relative, limit).await,
            Self::Web(web) => web.whole(relative, limit).await,
            Self::Objects(objects) => objects.whole(relative, limit).await,
        }
    }

    /// Exactly `length` bytes from `offset`.
    pub(crate) async fn range(&self, relative: &str, offset: u64, length: u64) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        match self {
            Self::Folder(folder) => folder.range(relative, offset, length).await,
            Self::Web(web) => web.range(relative, offset, length).await,
            Self::Objects(objects) => objects.range(relative, offset, length).await,
        }
    }
}

/// An answer's body, at most `limit` bytes; `promised` is what its head says, `expected` how much to make room for.
async fn body<E: Error + Send + Sync + 'static>(
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
                return Err(Fault::source(format!("the server trickles: {} bytes in {} s", now - before, SILENCE.as_secs()))
                    .at(place)
                    .fix("check the server and the line to it, then run the same command again: it goes on where it was"));
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

fn too_long(place: &str, limit: u64) -> Fault {
    Fault::untrusted(format!("there is more than the {limit} bytes that may be there"))
        .at(place)
        .fix("the store's copy is damaged or forged, or this is no store: copy that file again from a good store")
}

fn cut_short(place: &str, got: u64, expected: u64) -> Fault {
    Fault::source(format!("the answer ended after {got} of {expected} bytes")).at(place).fix(SERVER)
}

fn ignores_ranges(place: &str) -> Fault {
    Fault::source("the server ignores ranges")
        .at(place)
        .fix("serve the store by a server that answers `Range` with 206, as `livery-station serve` does")
}

fn lacks_pack(place: &str) -> Fault {
    Fault::source("the store lacks a pack").at(place).fix("copy the store again, completely")
}

fn unexpected(place: &str, status: StatusCode) -> Fault {
    let fault = Fault::source(format!("the server answered {status}")).at(place);
    fault.fix(if status.is_redirection() { "give the store's own URL: redirects are not followed" } else { SERVER })
}

/// No answer came: the fault of the network, or of the server's certificate.
fn unreachable(place: &str, error: impl Error + Send + Sync + 'static) -> Fault {
    // reqwest says "certificate" only deep in its chain of causes; a person needs to hear it first.
    let mut cause: Option<&dyn Error> = Some(&error);
    let mut certificate = false;
    while let Some(error) = cause {
        certificate |= error.to_string().contains("certificate");
        cause = error.source();
    }
    if certificate {
        return Fault::untrusted("the server's certificate is not by an authority that we trust")
            .at(place)
            .cause(error)
            .fix("give the authority's certificate with --ca, or mend the server's; checking is never switched off");
    }
    Fault::source("the server does not answer").at(place).cause(error).fix("check the address, the cable and that the server runs")
}
