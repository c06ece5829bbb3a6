//! A store behind HTTP or HTTPS on the loopback interface, with one thing wrong with it: what, in which answers, how often.

use std::{
    net::SocketAddr,
    os::unix::fs::FileExt as _,
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
use livery_contract::Result;
use tokio::sync::{Notify, mpsc, watch};

use crate::serving::Serving;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// After this many bytes of packs in all, every connection breaks in the middle of an answer, for ever.
    Cut(u64),
    /// An answer breaks in its middle.
    Break,
    /// This status, and no body.
    Status(u16),
    /// 200, with a page that says how sorry somebody is.
    Page,
    /// Ranges are ignored: 200 and the whole file.
    NoRanges,
    /// `Content-Range` says something else than was asked for.
    WrongRange,
    /// The promised length, and one byte less comes; the answer ends well.
    Short,
    /// The bytes of another place of the same file.
    Elsewhere,
    /// So many bytes a second.
    Slow(u64),
    /// The right answer, and then more and more.
    Endless,
    /// No answer.
    Stall,
    /// Half an answer, and then nothing more.
    StallHalf,
    /// The right answer, a byte each second.
    Trickle,
    /// 302 to another server, on this port.
    Redirect(u16),
    /// No answer until [`BadServer::release`]; then the right one.
    Gate,
}

/// Which answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Signed metadata.
    Metadata,
    /// Manifests.
    Manifest,
    /// Chunk maps: blobs that come whole.
    Map,
    /// Packs: what is asked for by range.
    Pack,
}

/// What is wrong in which answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What.
    pub what: Trouble,
    /// In answers of this kind.
    pub part: Part,
    /// So many of those are good first.
    pub after: u64,
    /// And then so many are bad.
    pub times: u64,
}

impl Rule {
    /// From the first answer with a pack on, for ever.
    pub const fn packs(what: Trouble) -> Self {
        Self { what, part: Part::Pack, after: 0, times: u64::MAX }
    }

    /// The first answer with a pack only.
    pub const fn once(what: Trouble) -> Self {
        Self { what, part: Part::Pack, after: 0, times: 1 }
    }
}

/// A running one; it stops when dropped.
pub struct BadServer {
    serving: Serving,
    state: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    rule: Rule,
    /// Bytes of packs.
    sent: AtomicU64,
    requests: AtomicU64,
    /// Answers of the rule's part.
    matching: AtomicU64,
    reached: Notify,
    released: watch::Sender<bool>,
}

impl BadServer {
    /// Serves `folder`; with `ca`, over HTTPS with a certificate by the authority in that folder.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(folder: &Path, rule: Rule, ca: Option<&Path>) -> Result<Self> {
        let state = Arc::new(Shared {
            folder: folder.to_owned(),
            rule,
            sent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            matching: AtomicU64::new(0),
            reached: Notify::new(),
            released: watch::Sender::new(false),
        });
        let service = Router::new().fallback(answer).with_state(state.clone());
        let serving = Serving::start(service, 0, ca, "Some store", &["127.0.0.1".into(), "localhost".into()]).await?;
        Ok(Self { serving, state })
    }

    /// The store's URL.
    pub fn url(&self) -> String {
        format!("{}/", self.serving.origin())
    }

    /// Bytes of packs sent so far.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.serving.address().port()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.serving.address()
    }

    /// Returns when somebody stands before the [`Trouble::Gate`].
    pub async fn reached(&self) {
        self.state.reached.notified().await;
    }

    /// Opens the [`Trouble::Gate`], for good.
    pub fn release(&self) {
        self.state.released.send_replace(true);
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    state.requests.fetch_add(1, Ordering::Relaxed);
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = decoded(request.uri().path().trim_start_matches('/'));
    let path = Path::new(&path);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let file = state.folder.join(path);
    let Ok(length) = tokio::fs::metadata(&file).await.map(|metadata| metadata.len()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = range(request.headers(), length);
    // The store's own folders: above them may be a bucket and a prefix.
    let within = |name: &str| path.parent().is_some_and(|folder| folder.ends_with(name));
    let part = match range {
        Some(_) => Part::Pack,
        None if within("metadata") => Part::Metadata,
        None if within("targets") => Part::Manifest,
        None => Part::Map,
    };
    let trouble = match state.rule {
        Rule { what, part: which, after, times } if which == part => {
            let number = state.matching.fetch_add(1, Ordering::Relaxed);
            let bad = number >= after && number - after < times;
            if bad { what } else { Trouble::None }
        }
        _ => Trouble::None,
    };
    let mut asked = range.unwrap_or((0, length));
    if trouble == Trouble::Elsewhere {
        let distance = if asked.0 >= 4096 { 4096 } else { asked.0 };
        asked = (asked.0 - distance, asked.1 - distance);
    }
    let Ok(mut bytes) = slice(file.clone(), asked).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    if trouble == Trouble::Elsewhere && range.is_none() {
        bytes = bytes.iter().rev().copied().collect();
    }
    let answer = Answer { range, whole: length, length: bytes.len() };
    // One step: of many requests at once, one must be the first over the limit of `Cut`.
    let sent = match part {
        Part::Pack => state.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64,
        _ => state.sent.load(Ordering::Relaxed) + bytes.len() as u64,
    };
    match trouble {
        Trouble::Status(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
        Trouble::Page => Html("<!doctype html><title>Sign in</title><p>Please sign in to the guest network.").into_response(),
        Trouble::NoRanges => tokio::fs::read(&file).await.unwrap_or_default().into_response(),
        Trouble::WrongRange => Answer { range: range.map(|(from, to)| (from + 1, to + 1)), ..answer }.with(bytes.into()),
        Trouble::Cut(after) if sent > after => answer.with(half(bytes, true)),
        Trouble::Break => answer.with(half(bytes, true)),
        Trouble::Short => {
            Answer { length: bytes.len().saturating_sub(1), ..answer }.with(bytes.slice(..bytes.len().saturating_sub(1)).into())
        }
        Trouble::Slow(rate) => answer.with(slow(bytes, rate)),
        Trouble::Endless => answer.with_any_length(endless(bytes)),
        Trouble::Stall => std::future::pending().await,
        Trouble::StallHalf => answer.with(half(bytes, false)),
        Trouble::Trickle => answer.with(trickle(bytes)),
        Trouble::Redirect(port) => {
            let to = format!("http://127.0.0.1:{port}{}", request.uri().path());
            (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
        }
        Trouble::Gate => {
            let mut released = state.released.subscribe();
            state.reached.notify_one();
            let _ = released.wait_for(|open| *open).await;
            answer.with(bytes.into())
        }
        Trouble::None | Trouble::Elsewhere | Trouble::Cut(_) => answer.with(bytes.into()),
    }
}

/// What an answer says of itself.
#[derive(Clone, Copy)]
struct Answer {
    /// First byte and the one after the last, where it was asked for a range.
    range: Option<(u64, u64)>,
    /// Bytes of the whole file.
    whole: u64,
    /// Bytes of the body.
    length: usize,
}

impl Answer {
    fn with(self, body: Body) -> Response {
        let mut response = self.with_any_length(body);
        response.headers_mut().insert(header::CONTENT_LENGTH, self.length.into());
        response
    }

    /// In chunks: nobody knows how many.
    fn with_any_length(self, body: Body) -> Response {
        match self.range {
            Some((from, to)) => {
                let said = format!("bytes {from}-{}/{}", to - 1, self.whole);
                (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, said)], body).into_response()
            }
            None => body.into_response(),
        }
    }
}

async fn slice(file: PathBuf, (from, to): (u64, u64)) -> std::io::Result<Bytes> {
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; usize::try_from(to - from).map_err(std::io::Error::other)?];
        std::fs::File::open(file)?.read_exact_at(&mut bytes, from)?;
        Ok(bytes.into())
    });
    read.await.map_err(std::io::Error::other)?
}

/// First half; then the connection breaks, or nothing more comes.
fn half(part: Bytes, breaks: bool) -> Body {
    stream(move |sender| async move {
        let _ = sender.send(Ok(part.slice(..part.len() / 2))).await;
        if !breaks {
            sender.closed().await;
        }
        // The first half shall have left before the break is noticed.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = sender.send(Err(std::io::Error::other("cut"))).await;
    })
}

/// All of it, and then it goes on.
fn endless(part: Bytes) -> Body {
    stream(move |sender| async move {
        let mut next = part;
        while sender.send(Ok(next)).await.is_ok() {
            next = Bytes::from_static(&[0x5a; 16 << 10]);
        }
    })
}

fn trickle(part: Bytes) -> Body {
    stream(move |sender| async move {
        for at in 0..part.len() {
            if sender.send(Ok(part.slice(at..=at))).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
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

/// What `%40` and the like stand for: signed requests are full of them.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `bytes=FROM-TO` as FROM and the byte after TO; only the one kind that the agent sends.
fn range(headers: &HeaderMap, length: u64) -> Option<(u64, u64)> {
    let text = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (from, to) = text.split_once('-')?;
    let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to && to < length).then_some((from, to + 1))
}
