//! A store behind HTTP on the loopback interface, that counts every byte of packs that it hands to the network.

use std::{
    io::SeekFrom,
    path::{Component, Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use livery_contract::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::mpsc,
};

use crate::serving::Serving;

/// Bytes that are read and handed on together.
const PIECE: usize = 64 << 10;

/// A running one; it stops when dropped.
pub struct CountingServer {
    serving: Serving,
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    sent: AtomicU64,
    requests: AtomicU64,
}

impl CountingServer {
    /// Serves `folder`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn start(folder: &Path) -> Result<Self> {
        let shared = Arc::new(Shared { folder: folder.to_owned(), sent: AtomicU64::new(0), requests: AtomicU64::new(0) });
        let service = Router::new().fallback(answer).with_state(shared.clone());
        Ok(Self { serving: Serving::plain(service, 0)?, shared })
    }

    /// The store's URL.
    pub fn url(&self) -> String {
        format!("{}/", self.serving.origin())
    }

    /// Bytes of ranges and requests for them since the last time that this was asked.
    pub fn take(&self) -> (u64, u64) {
        (self.shared.sent.swap(0, Ordering::Relaxed), self.shared.requests.swap(0, Ordering::Relaxed))
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = Path::new(request.uri().path().trim_start_matches('/'));
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let Ok(mut file) = tokio::fs::File::open(shared.folder.join(path)).await else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(metadata) = file.metadata().await else { return StatusCode::NOT_FOUND.into_response() };
    let length = metadata.len();
    let asked = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, from, to) = match asked.map(|text| range(text, length)) {
        None => (StatusCode::OK, 0, length),
        Some(Some((from, to))) => (StatusCode::PARTIAL_CONTENT, from, to),
        Some(None) => return StatusCode::RANGE_NOT_SATISFIABLE.into_response(),
    };
    // Ranges are asked of packs; trust and chunk maps come whole.
    let counted = asked.is_some();
    if counted {
        shared.requests.fetch_add(1, Ordering::Relaxed);
    }
    if file.seek(SeekFrom::Start(from)).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut left = to - from;
        while left > 0 {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            let read = file.read_exact(&mut piece).await;
            let count = piece.len() as u64;
            let item = read.map(|_| Bytes::from(piece));
            let broken = item.is_err();
            if sender.send(item).await.is_err() || broken {
                return;
            }
            left -= count;
            if counted {
                shared.sent.fetch_add(count, Ordering::Relaxed);
            }
        }
    });
    let said = format!("bytes {from}-{}/{length}", to.saturating_sub(1));
    let mut response = (status, Body::from_stream(Pieces(receiver))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, (to - from).into());
    if let (true, Ok(value)) = (counted, said.parse()) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    response
}

struct Pieces(mpsc::Receiver<std::io::Result<Bytes>>);

impl futures::Stream for Pieces {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// `bytes=FROM-TO` as FROM and the byte after TO (RFC 9110, section 14.1.2); none where it does not fit.
fn range(text: &str, length: u64) -> Option<(u64, u64)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let from: u64 = from.parse().ok()?;
    let to = if to.is_empty() { length } else { to.parse::<u64>().ok()?.saturating_add(1).min(length) };
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn ranges_are_answered_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pack"), vec![7; 300_000]).unwrap();
        let server = CountingServer::start(folder.path()).unwrap();
        let client = reqwest::Client::new();
        let url = format!("{}pack", server.url());
        let whole = client.get(&url).send().await.unwrap().bytes().await.unwrap();
        assert_eq!((whole.len(), server.take()), (300_000, (0, 0)));
        let part = client.get(&url).header("range", "bytes=100000-299999").send().await.unwrap();
        assert_eq!(part.status(), 206);
        assert_eq!(part.headers()["content-range"], "bytes 100000-299999/300000");
        assert_eq!(part.bytes().await.unwrap().len(), 200_000);
        assert_eq!(server.take(), (200_000, 1));
        assert_eq!(server.take(), (0, 0));
        assert_eq!(client.get(&url).header("range", "bytes=300000-").send().await.unwrap().status(), 416);
    }
}
