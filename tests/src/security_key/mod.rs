//! A FIDO2 security key, as a person plugs one into a device: on USB, silent until it is touched. The guest's kernel, udev and browser
//! see nothing else than of a real one.
//!
//! | module | what it is |
//! |---|---|
//! | [`credential`] | the key pair in it |
//! | [`ctap`] | what it is asked and answers |
//! | [`hid`] | messages cut into reports |
//! | [`usb`] | the device in QEMU's port |

pub mod credential;
pub mod ctap;
pub mod hid;
pub mod usb;

use std::{io, time::Duration};

use livery_contract::{Fault, Result};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{interval, sleep, timeout},
};

pub use self::credential::PrivateCredential;
use self::{
    ctap::Authenticator,
    hid::Hid,
    usb::{Asked, Packet, Port},
};
use crate::qemu::monitor::Monitor;

/// How QEMU calls it.
const NAME: &str = "security-key";
/// The most that QEMU may take to connect.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a key that waits says so.
const KEEP_ALIVE: Duration = Duration::from_millis(100);

/// One in a guest's port; gone with this value, as with QEMU.
#[derive(Debug)]
pub struct SecurityKey {
    asks: watch::Receiver<bool>,
    touch: mpsc::Sender<()>,
    running: JoinHandle<()>,
}

impl SecurityKey {
    /// Plugs one in, with this credential for this relying party. The guest must have USB ports.
    ///
    /// # Errors
    /// Where QEMU does not take it.
    pub async fn plug_in(guest: &Monitor, party: &str, credential: PrivateCredential) -> Result<Self> {
        let broken = |error: io::Error| Fault::device("a security key can't be plugged in").cause(error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(broken)?;
        let at = listener.local_addr().map_err(broken)?;
        let address = json!({ "type": "inet", "data": { "host": at.ip().to_string(), "port": at.port().to_string() } });
        let backend = json!({ "type": "socket", "data": { "addr": address, "server": false } });
        guest.command("chardev-add", json!({ "id": NAME, "backend": backend })).await?;
        let accepted = timeout(PATIENCE, listener.accept()).await;
        let (stream, _) = accepted.map_err(|_| Fault::device("QEMU does not connect to the security key"))?.map_err(broken)?;
        guest.command("device_add", json!({ "driver": "usb-redir", "id": NAME, "bus": "usb.0", "chardev": NAME })).await?;
        let (asks, asked) = watch::channel(false);
        let (touch, touches) = mpsc::channel(1);
        let hid = Hid::new(Authenticator::new(party, credential));
        let running = tokio::spawn(async move {
            if let Err(error) = run(stream, hid, &asks, touches).await {
                eprintln!("the security key: {error}");
            }
        });
        Ok(Self { asks: asked, touch, running })
    }

    /// Waits until it blinks, and touches it, a moment later.
    ///
    /// # Errors
    /// Where it is not asked in time.
    pub async fn touch(&mut self, most: Duration) -> Result<()> {
        let asked = timeout(most, self.asks.wait_for(|asks| *asks)).await;
        let asked = asked.map_err(|_| Fault::device(format!("the security key is not asked within {} s", most.as_secs())))?;
        asked.map_err(|_| Fault::device("the security key is not plugged in any more"))?;
        // As a person does, who sees it blink.
        sleep(Duration::from_secs(1)).await;
        self.touch.send(()).await.map_err(|_| Fault::device("the security key is not plugged in any more"))
    }
}

impl Drop for SecurityKey {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Until QEMU is gone.
async fn run(stream: TcpStream, mut hid: Hid, asks: &watch::Sender<bool>, mut touches: mpsc::Receiver<()>) -> Result<()> {
    let broken = |error: io::Error| Fault::device("its wire").cause(error);
    let (mut from, to) = stream.into_split();
    let (sender, mut packets) = mpsc::channel(16);
    // Reading can't be interrupted in the middle of a packet: so it has a task of its own, which ends with either side.
    tokio::spawn(async move {
        while let Ok(packet) = Packet::read(&mut from).await {
            if sender.send(packet).await.is_err() {
                break;
            }
        }
    });
    let mut port = Port::plug_in(to).await.map_err(broken)?;
    let mut alive = interval(KEEP_ALIVE);
    loop {
        let reports = tokio::select! {
            packet = packets.recv() => {
                let Some(packet) = packet else { return Ok(()) };
                match port.answer(packet).await.map_err(broken)? {
                    Asked::Report(report) => hid.take(&report)?,
                    Asked::Nothing => continue,
                }
            }
            Some(()) = touches.recv() => hid.touch()?,
            _ = alive.tick(), if hid.waits() => hid.keep_alive(),
        };
        for report in &reports {
            port.report(report).await.map_err(broken)?;
        }
        asks.send_replace(hid.waits());
    }
}
