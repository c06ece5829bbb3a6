//! A time server (SNTP, RFC 4330, section 6) that serves this host's clock: what a device without a battery asks before it can check
//! a certificate. Debian's own servers would take the place of the host's time synchronisation when they are installed.
//!
//! It listens on the port that clients ask, 123 of the loopback interface. Where somebody serves time there already, that one does,
//! and this one from when that has ended.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use livery_contract::{Fault, Result};
use tokio::{net::UdpSocket, task::JoinHandle, time::sleep};

/// Where clients ask (RFC 5905, section 7.2).
const AT: &str = "127.0.0.1:123";
/// Seconds from 1900, when NTP's time begins, to 1970.
const SINCE_1900: u64 = 2_208_988_800;
/// A packet without extensions.
const LENGTH: usize = 48;

/// From one try to take over to the next.
const GLANCE: Duration = Duration::from_secs(1);

/// Stops when dropped.
pub struct TimeServer {
    asked: Arc<AtomicU64>,
    /// Whether it served from the beginning.
    alone: bool,
    task: JoinHandle<()>,
}

impl TimeServer {
    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// Where it can't listen; needs root, as ports below 1024 do.
    pub async fn start() -> Result<Self> {
        Self::at(AT).await
    }

    async fn at(at: &'static str) -> Result<Self> {
        let asked = Arc::new(AtomicU64::new(0));
        let first = match UdpSocket::bind(at).await {
            Ok(socket) => Some(socket),
            Err(error) if error.kind() == ErrorKind::AddrInUse => None,
            Err(error) => return Err(Fault::refused("can't serve time").cause(error).at(at).fix("run it as root")),
        };
        let (alone, count) = (first.is_some(), asked.clone());
        let task = tokio::spawn(async move {
            let socket = match first {
                Some(socket) => socket,
                None => takes_over(at).await,
            };
            let mut packet = [0; 1024];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                if let Some(answer) = answer(&packet[..length], SystemTime::now()) {
                    count.fetch_add(1, Ordering::Relaxed);
                    // Who asks again is answered again.
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Ok(Self { asked, alone, task })
    }

    /// How often it has answered; none where another one serves here.
    pub fn answered(&self) -> Option<u64> {
        self.alone.then(|| self.asked.load(Ordering::Relaxed))
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The socket, once whoever serves there has ended: another test, whose device is done before ours has asked.
async fn takes_over(at: &str) -> UdpSocket {
    loop {
        match UdpSocket::bind(at).await {
            Ok(socket) => return socket,
            Err(_) => sleep(GLANCE).await,
        }
    }
}

/// The answer to a client's request; none to anything else.
fn answer(request: &[u8], now: SystemTime) -> Option<[u8; LENGTH]> {
    let (version, mode) = (request.first()? >> 3 & 7, request.first()? & 7);
    if request.len() < LENGTH || mode != 3 || !(1..=4).contains(&version) {
        return None;
    }
    let since = now.duration_since(UNIX_EPOCH).ok()?;
    let seconds = u32::try_from((since.as_secs() + SINCE_1900) & u64::from(u32::MAX)).ok()?;
    let fraction = u32::try_from((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000).ok()?;
    let stamp = [seconds.to_be_bytes(), fraction.to_be_bytes()].concat();
    let mut packet = [0; LENGTH];
    // No warning of a leap second; a server.
    packet[0] = version << 3 | 4;
    // Stratum 2, the client's poll interval, a precision of 2^-20 s.
    packet[1..4].copy_from_slice(&[2, request[2], 0xec]);
    // Root dispersion: a sixteenth of a second. Reference: the upstream's address, in stratum 2.
    packet[8..12].copy_from_slice(&0x1000_u32.to_be_bytes());
    packet[12..16].copy_from_slice(&[127, 0, 0, 1]);
    packet[16..24].copy_from_slice(&stamp);
    // What the client sent as its own time comes back.
    packet[24..32].copy_from_slice(&request[40..48]);
    packet[32..40].copy_from_slice(&stamp);
    packet[40..48].copy_from_slice(&stamp);
    Some(packet)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn one_that_comes_second_serves_when_the_first_has_ended() {
        const HERE: &str = "127.0.0.1:11923";
        let first = TimeServer::at(HERE).await.unwrap();
        let second = TimeServer::at(HERE).await.unwrap();
        assert_eq!((first.answered(), second.answered()), (Some(0), None));
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(HERE).await.unwrap();
        let mut request = [0; LENGTH];
        request[0] = 4 << 3 | 3;
        let answered = async || {
            // Refused at once while nobody is there.
            let _ = client.send(&request).await;
            matches!(timeout(GLANCE, client.recv(&mut [0; LENGTH])).await, Ok(Ok(LENGTH)))
        };
        // The second one has tried by then.
        assert!(answered().await && first.answered() == Some(1));
        drop(first);
        for _ in 0..20 {
            if answered().await {
                return;
            }
            sleep(GLANCE / 4).await;
        }
        panic!("nobody took over");
    }

    #[test]
    fn a_client_gets_the_time_and_its_own_stamp_back() {
        let mut request = [0; LENGTH];
        request[0] = 4 << 3 | 3;
        request[40..48].copy_from_slice(b"mystamp!");
        let packet = answer(&request, UNIX_EPOCH + Duration::from_millis(1_500)).unwrap();
        assert_eq!(packet[0], 4 << 3 | 4);
        assert_eq!(&packet[24..32], b"mystamp!");
        assert_eq!(&packet[40..48], &[0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0]);
        assert!(
            answer(&request[..47], UNIX_EPOCH).is_none()
                && answer(&packet, UNIX_EPOCH).is_none()
                && answer(&[], UNIX_EPOCH).is_none()
        );
    }
}
