//! Where a browser's connections end: a web proxy, and everything else. Both write down for which host each one came; nothing is
//! served but one page.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use livery_contract::{Fault, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The host itself, as the browser believes.
    Direct,
    /// The web proxy.
    Proxy,
}

/// By host (lower case, without a last dot, without brackets), where the browser went for it.
pub type Seen = Arc<Mutex<BTreeMap<String, BTreeSet<Side>>>>;

/// The two, on free ports of the loopback interface; they end when dropped.
pub struct Crossing {
    /// Where everything that goes directly ends.
    pub direct: SocketAddr,
    /// The proxy.
    pub proxy: SocketAddr,
    seen: Seen,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Crossing {
    /// Starts both; the direct one serves `page` at the path `/start.html`.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start(page: String) -> Result<Self> {
        let seen = Seen::default();
        let page: Arc<str> = page.into();
        let mut listening = Vec::new();
        let mut tasks = Vec::new();
        for side in [Side::Direct, Side::Proxy] {
            let taken = |error: std::io::Error| Fault::internal("can't listen").cause(error);
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(taken)?;
            listening.push(listener.local_addr().map_err(taken)?);
            let (seen, page) = (seen.clone(), page.clone());
            tasks.push(tokio::spawn(async move {
                loop {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    let (seen, page) = (seen.clone(), page.clone());
                    tokio::spawn(async move {
                        // What a browser leaves open and unasked ends by itself.
                        let _ = timeout(Duration::from_secs(20), one(stream, side, &seen, &page)).await;
                    });
                }
            }));
        }
        Ok(Self { direct: listening[0], proxy: listening[1], seen, tasks })
    }

    /// Where the browser went for each host.
    pub fn seen(&self) -> BTreeMap<String, BTreeSet<Side>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Crossing {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn one(mut stream: TcpStream, side: Side, seen: &Seen, page: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..count]);
        let whole_hello = head.first() == Some(&0x16) && server_name(&head).is_some();
        let whole_head = head.first() != Some(&0x16) && head.windows(4).any(|four| four == b"\r\n\r\n");
        if whole_hello || whole_head || head.len() > 64 << 10 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let host = if head.first() == Some(&0x16) { server_name(&head) } else { requested(&text) };
    if let Some(host) = host {
        seen.lock().unwrap_or_else(PoisonError::into_inner).entry(host).or_default().insert(side);
    }
    if head.first() == Some(&0x16) || text.starts_with("CONNECT ") {
        // No certificate of ours is good for all hosts of the world: that it came here is all that is asked.
        return Ok(());
    }
    let (status, body) = if text.split(' ').nth(1) == Some("/start.html") { ("200 OK", page) } else { ("204 No Content", "") };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// The host of a request: of its `Host:` field, or of what a proxy is told.
fn requested(head: &str) -> Option<String> {
    let first = head.lines().next()?;
    let host = match first.strip_prefix("CONNECT ") {
        Some(rest) => rest.split(' ').next()?,
        None => head.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("host")))?.1,
    };
    Some(plain(host))
}

/// A host as this module keeps it.
pub fn plain(host: &str) -> String {
    let host = host.trim();
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or(host),
        None => host,
    };
    bare.trim_end_matches('.').to_ascii_lowercase()
}

/// `server_name` of a TLS ClientHello (RFC 8446, section 4.1.2; RFC 6066, section 3); `None` where it is not all there.
fn server_name(bytes: &[u8]) -> Option<String> {
    // A hello of several records: their headers taken out.
    let mut hello = Vec::new();
    let mut rest = bytes;
    while let [0x16, _, _, high, low, ..] = rest {
        let length = usize::from(*high) << 8 | usize::from(*low);
        hello.extend_from_slice(rest.get(5..5 + length)?);
        rest = &rest[5 + length..];
    }
    let mut at = 4 + 2 + 32;
    let byte = |at: usize| hello.get(at).copied().map(usize::from);
    let word = |at: usize| Some(byte(at)? << 8 | byte(at + 1)?);
    at += 1 + byte(at)?;
    at += 2 + word(at)?;
    at += 1 + byte(at)?;
    let end = at + 2 + word(at)?;
    at += 2;
    while at < end {
        let (kind, length) = (word(at)?, word(at + 2)?);
        if kind == 0 {
            let name = hello.get(at + 4 + 5..at + 4 + length)?;
            return Some(String::from_utf8_lossy(name).trim_end_matches('.').to_ascii_lowercase());
        }
        at += 4 + length;
    }
    None
}
