//! Bytes from a store's location: whole small files with a limit, and ranges of large ones.
//!
//! Nothing here is trusted: it only promises that no more is read than was asked for, and that what does not answer
//! fails in bounded time. No retries here either: who asks knows whether it is worth it.

use std::{
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use livery_contract::{Fault, Result};
use reqwest::{Client, StatusCode, header};
use tokio::task::spawn_blocking;

use crate::location::Location;

/// How long a server may say nothing before it counts as gone.
const SILENCE: Duration = Duration::from_secs(20);
/// One that trickles says something all the time: less than so many bytes within [`SILENCE`] counts as nothing (3 KiB/s; a
/// slow line that 32 requests share still gives each more).
const LEAST: u64 = 64 << 10;

/// What is needed to reach a store behind HTTPS.
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
    Folder(PathBuf),
    Web { base: Location, client: Client },
}

/// Why a file could not be read, with absence told apart: TUF asks for files that need not be there.
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

impl Fetcher {
    pub(crate) fn new(location: &Location, access: &Access) -> Result<Self> {
        Ok(match location {
            Location::Folder(path) => Self::Folder(path.clone()),
            Location::Web(_) => Self::Web { base: location.clone(), client: access.client()? },
        })
    }

    /// The whole file, which may have at most `limit` bytes.
    pub(crate) async fn whole(&self, relative: &str, limit: u64) -> Result<Bytes, Missing> {
        match self {
            Self::Folder(top) => {
                let path = top.join(relative);
                let place = path.display().to_string();
                blocking(move || {
                    let file = std::fs::File::open(&path)?;
                    let mut bytes = Vec::new();
                    io::Read::read_to_end(&mut io::Read::take(file, limit.saturating_add(1)), &mut bytes)?;
                    Ok(Bytes::from(bytes))
                })
                .await
                .map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => Missing::Absent,
                    _ => Missing::Failed(
                        Fault::source("reading failed")
                            .at(&place)
                            .cause(error)
                            .fix("check that the store's folder can be read, or copy the store again"),
                    ),
                })
                .and_then(|bytes| {
                    if bytes.len() as u64 > limit { Err(Missing::Failed(too_long(&place, limit))) } else { Ok(bytes) }
                })
            }
            Self::Web { base, client } => {
                let url = base.place(relative);
                let response = client.get(&url).send().await.map_err(|error| Missing::Failed(unreachable(&url, error)))?;
                match response.status() {
                    StatusCode::OK => {}
                    StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Missing::Absent),
                    status => return Err(Missing::Failed(unexpected(&url, status))),
                }
                body(response, &url, limit, limit.min(1 << 20)).await.map_err(Missing::Failed)
            }
        }
    }

    /// Exactly `length` bytes from `offset`.
    pub(crate) async fn range(&self, relative: &str, offset: u64, length: u64) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        match self {
            Self::Folder(top) => {
                let path = top.join(relative);
                let place = format!("{}, bytes {offset}..{}", path.display(), offset + length);
                let size = usize::try_from(length).map_err(|_| Fault::internal("a range is larger than memory"))?;
                blocking(move || {
                    let file = std::fs::File::open(&path)?;
                    let mut bytes = BytesMut::zeroed(size);
                    file.read_exact_at(&mut bytes, offset)?;
                    Ok(bytes.freeze())
                })
                .await
                .map_err(|error| {
                    Fault::source("reading a pack failed")
                        .at(place)
                        .cause(error)
                        .fix("the store is incomplete or damaged: copy it again")
                })
            }
            Self::Web { base, client } => {
                let url = base.place(relative);
                let range = format!("bytes={offset}-{}", offset + length - 1);
                let response =
                    client.get(&url).header(header::RANGE, &range).send().await.map_err(|error| unreachable(&url, error))?;
                let status = response.status();
                // A server that ignores ranges answers 200 with the whole pack; taking its first bytes would be wrong.
                if status != StatusCode::PARTIAL_CONTENT {
                    return Err(match status {
                        StatusCode::OK => Fault::source("the server ignores ranges")
                            .at(&url)
                            .fix("serve the store by a server that answers `Range` with 206, as `livery-station serve` does"),
                        StatusCode::NOT_FOUND => {
                            Fault::source("the store lacks a pack").at(&url).fix("copy the store again, completely")
                        }
                        status => unexpected(&url, status),
                    });
                }
                let said = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
                if !said.starts_with(&format!("bytes {offset}-{}/", offset + length - 1)) {
                    return Err(Fault::source(format!("asked for {range}, the server answered with {said:.60}"))
                        .at(&url)
                        .fix(SERVER));
                }
                let bytes = body(response, &url, length, length).await?;
                if bytes.len() as u64 != length {
                    return Err(cut_short(&url, bytes.len() as u64, length));
                }
                Ok(bytes)
            }
        }
    }
}

/// The body, at most `limit` bytes; `expected` is how much to make room for.
async fn body(mut response: reqwest::Response, url: &str, limit: u64, expected: u64) -> Result<Bytes> {
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_long(url, limit));
    }
    let mut bytes = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
    let (mut since, mut before) = (Instant::now(), 0_u64);
    loop {
        let chunk = response.chunk().await;
        let now = bytes.len() as u64 + chunk.as_ref().map_or(0, |chunk| chunk.as_ref().map_or(0, Bytes::len)) as u64;
        if since.elapsed() > SILENCE && matches!(chunk, Ok(Some(_))) {
            if now - before < LEAST {
                return Err(Fault::source(format!("the server trickles: {} bytes in {} s", now - before, SILENCE.as_secs()))
                    .at(url)
                    .fix("check the server and the line to it, then run the same command again: it goes on where it was"));
            }
            (since, before) = (Instant::now(), now);
        }
        match chunk {
            Ok(Some(chunk)) if bytes.len() as u64 + chunk.len() as u64 > limit => return Err(too_long(url, limit)),
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes.freeze()),
            Err(error) => {
                return Err(Fault::source(format!("the connection broke after {} bytes", bytes.len()))
                    .at(url)
                    .cause(error)
                    .fix("check the network and that the server runs, then run the same command again"));
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn too_long(place: &str, limit: u64) -> Fault {
    Fault::untrusted(format!("there is more than the {limit} bytes that may be there"))
        .at(place)
        .fix("the store's copy is damaged or forged, or this is no store: copy that file again from a good store")
}

fn cut_short(place: &str, got: u64, expected: u64) -> Fault {
    Fault::source(format!("the answer ended after {got} of {expected} bytes")).at(place).fix(SERVER)
}

fn unexpected(place: &str, status: StatusCode) -> Fault {
    let fault = Fault::source(format!("the server answered {status}")).at(place);
    fault.fix(if status.is_redirection() { "give the store's own URL: redirects are not followed" } else { SERVER })
}

fn unreachable(place: &str, error: reqwest::Error) -> Fault {
    // reqwest says "certificate" only deep in its chain of causes; a person needs to hear it first.
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    let mut certificate = false;
    while let Some(error) = cause {
        certificate |= error.to_string().contains("certificate");
        cause = error.source();
    }
    if certificate {
        return Fault::untrusted("the server's certificate is not by an authority that we trust")
            .at(place)
            .cause(error.without_url())
            .fix("give the authority's certificate with --ca, or mend the server's; checking is never switched off");
    }
    Fault::source("the server does not answer")
        .at(place)
        .cause(error.without_url())
        .fix("check the address, the cable and that the server runs")
}
