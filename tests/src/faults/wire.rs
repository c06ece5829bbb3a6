//! The way between agent and server: carries connections, and breaks them as networks do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use livery_contract::{Fault, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A way with a break in it; gone when dropped.
pub struct Wire {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// When connections are reset.
#[derive(Clone, Copy, Debug)]
pub struct Breaks {
    /// A connection is reset after so many bytes of answers.
    pub after: u64,
    /// So many times; then all is well.
    pub times: u64,
}

impl Wire {
    /// Leads to `to`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(to: SocketAddr, breaks: Breaks) -> Result<Self> {
        let failed = |error| Fault::internal("can't listen").cause(error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let left = Arc::new(AtomicU64::new(breaks.times));
        let task = tokio::spawn(async move {
            while let Ok((inward, _)) = listener.accept().await {
                tokio::spawn(carry(inward, to, breaks.after, left.clone()));
            }
        });
        Ok(Self { address, task })
    }

    /// The store's URL by this way.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(inward: TcpStream, to: SocketAddr, after: u64, left: Arc<AtomicU64>) {
    let Ok(outward) = TcpStream::connect(to).await else { return };
    let (mut asked, mut answers) = inward.into_split();
    let (mut server, mut asks) = outward.into_split();
    let requests = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut asked, &mut asks).await;
        asked
    });
    let (mut buffer, mut carried) = (vec![0; 16 << 10], 0);
    while let Ok(count @ 1..) = server.read(&mut buffer).await {
        let room = usize::try_from(after.saturating_sub(carried)).unwrap_or(usize::MAX);
        let take = count.min(room);
        if answers.write_all(&buffer[..take]).await.is_err() {
            return;
        }
        carried += take as u64;
        let mine = take < count && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if mine {
            // What was sent shall arrive before the reset, which throws away what is not read yet.
            tokio::time::sleep(Duration::from_millis(20)).await;
            // SO_LINGER 0: closing sends RST, not FIN.
            let _ = answers.as_ref().set_zero_linger();
            requests.abort();
            return;
        }
        if take < count && answers.write_all(&buffer[take..count]).await.is_err() {
            return;
        }
    }
    let _ = answers.shutdown().await;
    requests.abort();
}
