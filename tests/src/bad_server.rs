//! A store behind HTTP or HTTPS on the loopback interface, with one thing wrong with it.

use std::{
    net::SocketAddr,
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use livery_contract::{Fault, Result};
use tokio::sync::mpsc;

use crate::gateway::pki;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// After this many bytes of packs in all, every connection breaks in the middle of an answer, for ever.
    Cut(u64),
    /// Once: the first answer with a pack breaks in its middle; then all is well.
    CutOnce,
    /// Packs are answered with this status.
    Status(u16),
    /// Packs are answered 200, with a page that says how sorry somebody is.
    Page,
    /// Ranges are ignored: 200 and the whole pack.
    NoRanges,
    /// One byte more or less than promised: `Content-Range` says something else than was asked for.
    WrongRange,
    /// Packs come at this many bytes a second.
    Slow(u64),
}

/// A running one; it stops when dropped.
pub struct BadServer {
    address: SocketAddr,
    tls: bool,
    handle: Handle<SocketAddr>,
    state: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    trouble: Trouble,
    sent: AtomicU64,
    requests: AtomicU64,
}

impl BadServer {
    /// Serves `folder`; with `ca`, over HTTPS with a certificate by the authority in that folder.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(folder: &Path, trouble: Trouble, ca: Option<&Path>) -> Result<Self> {
        let failed = |error: std::io::Error| Fault::internal("can't listen").cause(error);
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::new(Shared { folder: folder.to_owned(), trouble, sent: AtomicU64::new(0), requests: AtomicU64::new(0) });
        let service = Router::new().fallback(answer).with_state(state.clone()).into_make_service();
        let handle = Handle::new();
        match ca {
            Some(ca) => {
                let identity = pki::identity(ca, "Some store", &["127.0.0.1".into(), "localhost".into()])?;
                let tls = RustlsConfig::from_pem(identity.certificate_pem.into(), identity.key_pem.into()).await.map_err(failed)?;
                let server = axum_server::from_tcp_rustls(listener, tls).map_err(failed)?.handle(handle.clone());
                tokio::spawn(server.serve(service));
            }
            None => {
                let server = axum_server::from_tcp(listener).map_err(failed)?.handle(handle.clone());
                tokio::spawn(server.serve(service));
            }
        }
        Ok(Self { address, tls: ca.is_some(), handle, state })
    }

    /// The store's URL.
    pub fn url(&self) -> String {
        format!("{}://{}/", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Bytes of packs sent so far.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }
}

impl Drop for BadServer {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    state.requests.fetch_add(1, Ordering::Relaxed);
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = Path::new(request.uri().path().trim_start_matches('/'));
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let file = state.folder.join(path);
    let Ok(bytes) = tokio::fs::read(&file).await else { return StatusCode::NOT_FOUND.into_response() };
    let range = range(request.headers(), bytes.len() as u64);
    // Packs are what is asked for by range; trust and chunk maps come whole.
    let Some((from, to)) = range else { return bytes.into_response() };
    let (Ok(start), Ok(end)) = (usize::try_from(from), usize::try_from(to)) else { return StatusCode::BAD_REQUEST.into_response() };
    let whole = bytes.len();
    let part = Bytes::from(bytes).slice(start..end);
    let partial = |body: Body, said: String, length: usize| {
        let headers = [(header::CONTENT_RANGE, said), (header::CONTENT_LENGTH, length.to_string())];
        (StatusCode::PARTIAL_CONTENT, headers, body).into_response()
    };
    let said = format!("bytes {from}-{}/{whole}", to - 1);
    let length = part.len();
    let before = state.sent.fetch_add(length as u64, Ordering::Relaxed);
    match state.trouble {
        Trouble::Status(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
        Trouble::Page => Html("<!doctype html><title>Sign in</title><p>Please sign in to the guest network.").into_response(),
        Trouble::NoRanges => tokio::fs::read(&file).await.unwrap_or_default().into_response(),
        Trouble::WrongRange => partial(part.into(), format!("bytes {}-{}/{whole}", from + 1, to), length),
        Trouble::Cut(after) if before + length as u64 > after => partial(broken(part), said, length),
        Trouble::CutOnce if before == 0 => partial(broken(part), said, length),
        Trouble::Slow(rate) => partial(slow(part, rate), said, length),
        _ => partial(part.into(), said, length),
    }
}

/// First half, then the connection breaks.
fn broken(part: Bytes) -> Body {
    stream(move |sender| async move {
        let _ = sender.send(Ok(part.slice(..part.len() / 2))).await;
        // The first half shall have left before the break is noticed.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = sender.send(Err(std::io::Error::other("cut"))).await;
    })
}

fn slow(part: Bytes, rate: u64) -> Body {
    stream(move |sender| async move {
        let step = usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1);
        for piece in part.chunks(step) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if sender.send(Ok(Bytes::copy_from_slice(piece))).await.is_err() {
                return;
            }
        }
    })
}

type Piece = std::io::Result<Bytes>;

fn stream<F: Future<Output = ()> + Send + 'static>(fill: impl FnOnce(mpsc::Sender<Piece>) -> F) -> Body {
    let (sender, receiver) = mpsc::channel::<Piece>(1);
    tokio::spawn(fill(sender));
    Body::from_stream(Pieces(receiver))
}

struct Pieces(mpsc::Receiver<Piece>);

impl futures::Stream for Pieces {
    type Item = Piece;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}

/// `bytes=FROM-TO` as FROM and the byte after TO; only the one kind that the agent sends.
fn range(headers: &HeaderMap, length: u64) -> Option<(u64, u64)> {
    let text = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (from, to) = text.split_once('-')?;
    let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to && to < length).then_some((from, to + 1))
}
