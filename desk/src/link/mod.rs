//! The browser's other end: the extension speaks with this process through native messaging, which the browser opens to that
//! extension alone. In: heartbeats, the end of a session, questions of the settings page; calls of bar and idle time; the network's
//! state. Out: what systemd is told, what the extension is told. Ends with the browser. Fails where the browser's pipe breaks.

mod messages;
mod wire;

use std::time::Duration;

use futures::StreamExt as _;
use livery_contract::Result;
use tokio::sync::mpsc;
use tracing::warn;

use self::messages::{From, To};
use crate::{
    doorbell::{Call, Doorbell},
    network::{Manager, State, wifi::Request},
    renderer,
    settings::Settings,
    watchdog,
};

/// How long a page may leave the extension without an answer before the session counts as hung.
const PAGE: Duration = Duration::from_millis(4500);
/// The same on an emulated processor.
const PAGE_EMULATED: Duration = Duration::from_secs(300);
/// How long the extension may take to sign out before the session ends without.
const LEAVING: Duration = Duration::from_secs(4);
/// The most answers that wait for the browser.
const WAITING: usize = 16;

/// Serves the browser until it closes the pipe.
///
/// # Errors
/// Exit 1 where the pipe breaks, or the doorbell can't be hung.
pub(crate) async fn run(settings: &Settings) -> Result<()> {
    let mut incoming = wire::reader(tokio::io::stdin());
    let mut outgoing = wire::Writer::new(tokio::io::stdout());
    let doorbell = Doorbell::hang()?;
    let (answers, mut waiting) = mpsc::channel(WAITING);
    tokio::spawn(watch_network(answers.clone()));
    outgoing.send(&To::hello(settings, if renderer::emulated() { PAGE_EMULATED } else { PAGE })).await?;
    let mut alive = false;
    loop {
        tokio::select! {
            message = incoming.recv() => match message {
                None => return Ok(()),
                Some(message) => match message? {
                    From::Beat {} if alive => watchdog::alive(),
                    From::Beat {} => {
                        watchdog::ready();
                        alive = true;
                    }
                    From::End { why } => watchdog::end(why.words()),
                    From::Networks { id } => drop(tokio::spawn(networks(id, answers.clone()))),
                    From::Join { id, ssid, password } => drop(tokio::spawn(join(id, ssid, password, answers.clone()))),
                },
            },
            call = doorbell.next() => match call? {
                Call::Settings => outgoing.send(&To::Settings).await?,
                Call::Leave => {
                    outgoing.send(&To::Leave).await?;
                    tokio::spawn(async {
                        tokio::time::sleep(LEAVING).await;
                        watchdog::end("the session ended without an answer from the browser");
                    });
                }
            },
            Some(answer) = waiting.recv() => outgoing.send(&answer).await?,
        }
    }
}

/// Tells the extension each state of the network that is another than before.
async fn watch_network(answers: mpsc::Sender<To>) {
    let mut before = None;
    let watch = async {
        let manager = Manager::connect().await?;
        let mut changes = manager.changes().await;
        loop {
            let state = manager.state().await?;
            if before.replace(state) != Some(state) && answers.send(To::Network { state }).await.is_err() {
                return Ok::<_, livery_contract::Fault>(());
            }
            if changes.next().await.is_none() {
                return Ok(());
            }
        }
    };
    if let Err(fault) = watch.await {
        warn!("the network's state is not known: {fault}");
        // Then it must not keep anything back.
        let _ = answers.send(To::Network { state: State::Wired }).await;
    }
}

async fn networks(id: u32, answers: mpsc::Sender<To>) {
    let asked = async { Manager::connect().await?.networks().await };
    let networks = asked.await.unwrap_or_else(|fault| {
        warn!("Wi-Fi networks are not known: {fault}");
        None
    });
    let _ = answers.send(To::Networks { id, networks }).await;
}

async fn join(id: u32, ssid: String, password: String, answers: mpsc::Sender<To>) {
    let joined = async { Manager::connect().await?.join(&Request::new(&ssid, &password)?).await };
    let joined = joined.await;
    if let Err(fault) = &joined {
        warn!("Wi-Fi: {fault}");
    }
    let _ = answers.send(To::Joined { id, joined: joined.is_ok() }).await;
}
