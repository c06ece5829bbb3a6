//! How many connections the station holds, of each address and in all, and for how long one may stand idle.
//!
//! A connection costs a file and some memory before anybody has said who they are. So there is an end to both; and the share of one
//! address is a part of the whole, so that nobody alone can keep the others out.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum_server::accept::Accept;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_io_timeout::TimeoutStream;

/// How long a connection may go without a byte either way. The page's events come every fifteen seconds.
const IDLE: Duration = Duration::from_secs(75);
/// The most connections in all, where the system allows so many files.
const MOST: u64 = 8192;
/// Files for all that is no connection: the database, the store's files, the log.
const OTHER_FILES: u64 = 512;
/// One address has at most this part of all: a line's devices may stand behind one router.
const SHARE: u64 = 4;
/// How often it is said that connections are refused.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Raises the number of files that this process may have open to what the system allows, at most to what is needed; gives how many
/// connections there may be.
pub(crate) fn most() -> usize {
    let wanted = MOST + OTHER_FILES;
    let files = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let raised = soft.max(hard.min(wanted));
        setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
        Ok(raised)
    });
    let files = files.unwrap_or_else(|error| {
        tracing::warn!(%error, "the number of open files cannot be raised");
        1024
    });
    if files < wanted {
        tracing::warn!(files, "the system allows few open files: raise LimitNOFILE= of the station's unit to {wanted}");
    }
    usize::try_from(files.saturating_sub(OTHER_FILES).clamp(64, MOST)).unwrap_or(64)
}

/// Takes a connection, or turns it away. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Limited(Arc<Slots>);

#[derive(Debug)]
struct Slots {
    most: usize,
    of_one: usize,
    taken: Mutex<Taken>,
    /// Those turned away since it was last said, and when that was.
    refused: AtomicU64,
    said: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Limited {
    /// At most so many in all.
    pub(crate) fn new(most: usize) -> Self {
        let of_one = (most / usize::try_from(SHARE).unwrap_or(1)).max(16);
        Self(Arc::new(Slots { most, of_one, taken: Mutex::default(), refused: AtomicU64::new(0), said: Mutex::default() }))
    }

    /// A place for a connection from this address.
    fn slot(&self, address: IpAddr) -> io::Result<Slot> {
        // Of IPv6 anybody has 2^64 addresses: the network counts.
        let address = match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
            v4 => v4,
        };
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let by_address = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all >= self.0.most || by_address >= self.0.of_one {
            let whose = if taken.all >= self.0.most { "all" } else { "this address" };
            drop(taken);
            self.refuse(address, whose);
            return Err(io::Error::other("too many connections"));
        }
        taken.all += 1;
        taken.by_address.insert(address, by_address + 1);
        drop(taken);
        Ok(Slot { of: self.clone(), address })
    }

    fn refuse(&self, address: IpAddr, whose: &str) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() > SAY_EVERY) {
            *said = Some(Instant::now());
            let count = self.0.refused.swap(0, Ordering::Relaxed);
            tracing::warn!(%address, count, "connections were refused: {whose} had as many as there may be");
        }
    }
}

impl<S> Accept<TcpStream, S> for Limited {
    type Stream = Held;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let held = stream.peer_addr().and_then(|peer| self.slot(peer.ip())).map(|slot| {
            let mut stream = TimeoutStream::new(stream);
            stream.set_read_timeout(Some(IDLE));
            stream.set_write_timeout(Some(IDLE));
            Held { stream: Box::pin(stream), _slot: slot }
        });
        std::future::ready(held.map(|held| (held, service)))
    }
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
struct Slot {
    of: Limited,
    address: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.of.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

/// A connection that has its place, and ends when it stands idle.
#[derive(Debug)]
pub(crate) struct Held {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    _slot: Slot,
}

impl AsyncRead for Held {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(context, buffer)
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_address_cannot_keep_the_others_out() {
        let limited = Limited::new(64);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut held: Vec<Slot> = (0..16).map(|_| limited.slot(address("192.0.2.1")).unwrap()).collect();
        assert!(limited.slot(address("192.0.2.1")).is_err());
        assert!(limited.slot(address("::ffff:192.0.2.1")).is_err(), "the same in another spelling");
        for last in 2..5 {
            held.extend((0..16).map(|_| limited.slot(address(&format!("192.0.2.{last}"))).unwrap()));
        }
        assert!(limited.slot(address("192.0.2.9")).is_err(), "all are taken");
        held.truncate(63);
        held.push(limited.slot(address("192.0.2.9")).unwrap());
        drop(held);
        let taken = limited.0.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_address.len()), (0, 0), "and none is remembered");
    }

    #[test]
    fn a_network_of_ipv6_is_one() {
        let limited = Limited::new(64);
        let held: Vec<Slot> =
            (0..16_u128).map(|host| limited.slot(IpAddr::V6((0x2001_0db8_u128 << 96 | host).into())).unwrap()).collect();
        assert!(limited.slot("2001:db8::9:9".parse().unwrap()).is_err());
        assert!(limited.slot("2001:db8:0:1::1".parse().unwrap()).is_ok());
        drop(held);
    }
}
