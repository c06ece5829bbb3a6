//! A time server (SNTP, RFC 4330, section 6) that serves this host's clock: what a device without a battery asks before it can check
//! a certificate. Debian's own servers would take the place of the host's time synchronisation when they are installed.
//!
//! It listens on the port that clients ask, 123 of the loopback interface. Where somebody serves time there already, that one does.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use livery_contract::{Fault, Result};
use tokio::{net::UdpSocket, task::JoinHandle};

/// Where clients ask (RFC 5905, section 7.2).
const AT: &str = "127.0.0.1:123";
/// Seconds from 1900, when NTP's time begins, to 1970.
const SINCE_1900: u64 = 2_208_988_800;
/// A packet without extensions.
const LENGTH: usize = 48;

/// Stops when dropped.
pub struct TimeServer {
    asked: Arc<AtomicU64>,
    task: Option<JoinHandle<()>>,
}

impl TimeServer {
    /// Starts it on the current tokio runtime.
    ///
    /// # Errors
    /// Where it can't listen; needs root, as ports below 1024 do.
    pub async fn start() -> Result<Self> {
        let asked = Arc::new(AtomicU64::new(0));
        let socket = match UdpSocket::bind(AT).await {
            Ok(socket) => socket,
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Ok(Self { asked, task: None }),
            Err(error) => return Err(Fault::refused("can't serve time").cause(error).at(AT).fix("run it as root")),
        };
        let count = asked.clone();
        let task = tokio::spawn(async move {
            let mut packet = [0; 1024];
            while let Ok((length, from)) = socket.recv_from(&mut packet).await {
                if let Some(answer) = answer(&packet[..length], SystemTime::now()) {
                    count.fetch_add(1, Ordering::Relaxed);
                    // Who asks again is answered again.
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Ok(Self { asked, task: Some(task) })
    }

    /// How often it has answered; none where another one serves here.
    pub fn answered(&self) -> Option<u64> {
        self.task.as_ref().map(|_| self.asked.load(Ordering::Relaxed))
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
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
    use std::time::Duration;

    use super::*;

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
