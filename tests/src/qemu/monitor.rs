//! QEMU's monitor (QMP): one JSON object a line over a Unix socket, on one connection that is kept.
//!
//! By hand, and not by the crate `qapi` (0.15), the only one for tokio 1, and "passively-maintained": one event that its schema does
//! not know, as each newer QEMU sends them, ends its connection for good (tried), and so does the answer to a command whose caller has
//! given up. For a dozen commands it generates 25,940 lines of types.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use livery_contract::{Fault, Result};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::Mutex,
    time::timeout,
};

/// The most that an answer may take; a screendump of an emulated guest takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most bytes of one line.
const LINE: u64 = 1 << 20;

/// What [`Machine`](super::Machine) calls the network that its card leads to.
pub(super) const NETWORK: &str = "net0";

/// Where it listens, and the connection once there is one. Clones share it.
#[derive(Clone, Debug)]
pub struct Monitor {
    socket: PathBuf,
    connection: Arc<Mutex<Option<BufReader<UnixStream>>>>,
}

impl Monitor {
    /// At this socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), connection: Arc::default() }
    }

    /// Writes what the screen shows as a PNG.
    ///
    /// # Errors
    /// Where QEMU can't be reached or can't write it.
    pub async fn screendump(&self, to: &Path) -> Result<()> {
        let path = std::path::absolute(to).map_err(|error| self.failed("a relative path").cause(error))?;
        self.command("screendump", json!({ "filename": path, "format": "png" })).await.map(drop)
    }

    /// Presses these keys together, then lets go; QEMU's key codes, such as `ret`, `tab`, `ctrl`, `a`.
    ///
    /// # Errors
    /// Where QEMU can't be reached or does not know a key.
    pub async fn keys(&self, keys: &[&str]) -> Result<()> {
        let keys: Vec<Value> = keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
        self.command("send-key", json!({ "keys": keys })).await.map(drop)
    }

    /// Clicks with the left button at this pixel of a screen of this size.
    ///
    /// # Errors
    /// Where QEMU can't be reached or the machine has no pointer.
    pub async fn click(&self, at: (u32, u32), of: (u32, u32)) -> Result<()> {
        // QEMU's absolute axes go from 0 to 32767.
        let axis = |axis: &str, pixel: u32, pixels: u32| {
            let value = u64::from(pixel) * 32_767 / u64::from(pixels.max(1));
            json!({ "type": "abs", "data": { "axis": axis, "value": value } })
        };
        let button = |down: bool| json!({ "type": "btn", "data": { "button": "left", "down": down } });
        for events in [json!([axis("x", at.0, of.0), axis("y", at.1, of.1)]), json!([button(true)]), json!([button(false)])] {
            self.command("input-send-event", json!({ "events": events })).await?;
            // A person's pace: a compositor takes no press at a place that it has not heard of.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Puts the network's cable in, or pulls it out.
    ///
    /// # Errors
    /// Where QEMU can't be reached, or the machine has no network card.
    pub async fn cable(&self, plugged: bool) -> Result<()> {
        self.command("set_link", json!({ "name": NETWORK, "up": plugged })).await.map(drop)
    }

    /// Presses the power button, as ACPI does it: the guest may take its time.
    ///
    /// # Errors
    /// Where QEMU can't be reached.
    pub async fn power_button(&self) -> Result<()> {
        self.command("system_powerdown", json!({})).await.map(drop)
    }

    /// Cuts the power.
    ///
    /// # Errors
    /// Where QEMU can't be reached.
    pub async fn cut_power(&self) -> Result<()> {
        self.command("quit", json!({})).await.map(drop)
    }

    /// One command of QMP and what it returned.
    ///
    /// # Errors
    /// Where QEMU can't be reached, answers an error, or not within a minute.
    pub async fn command(&self, name: &str, arguments: Value) -> Result<Value> {
        match timeout(PATIENCE, self.talk(name, arguments)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.failed(&format!("no answer to {name} within {PATIENCE:?}"))),
        }
    }

    async fn talk(&self, name: &str, arguments: Value) -> Result<Value> {
        let mut kept = self.connection.lock().await;
        // Taken out until the answer is there: one whose caller gave up in between is not asked again.
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        let answer = self.ask(&mut stream, name, arguments).await?;
        *kept = Some(stream);
        self.returned(name, answer)
    }

    async fn connect(&self) -> Result<BufReader<UnixStream>> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.failed("no connection").cause(error))?;
        let mut stream = BufReader::new(stream);
        let greeting = self.line(&mut stream).await?;
        if greeting.get("QMP").is_none() {
            return Err(self.failed("it does not greet as QMP"));
        }
        let name = "qmp_capabilities";
        let answer = self.ask(&mut stream, name, json!({})).await?;
        self.returned(name, answer)?;
        Ok(stream)
    }

    /// QEMU's answer, which may be a refusal. An error is one of the connection, which is of no more use.
    async fn ask(&self, stream: &mut BufReader<UnixStream>, name: &str, arguments: Value) -> Result<Value> {
        let mut text = json!({ "execute": name, "arguments": arguments }).to_string();
        text.push('\n');
        stream.write_all(text.as_bytes()).await.map_err(|error| self.failed("it hung up").cause(error))?;
        loop {
            let answer = self.line(stream).await?;
            // Events come in between; nobody here waits for one.
            if answer.get("return").is_some() || answer.get("error").is_some() {
                return Ok(answer);
            }
        }
    }

    /// What an answer to a command returns.
    fn returned(&self, name: &str, mut answer: Value) -> Result<Value> {
        match answer.get_mut("return") {
            Some(result) => Ok(result.take()),
            None => {
                let why = answer["error"]["desc"].as_str().unwrap_or("an error without a text");
                Err(self.failed(&format!("{name}: {why}")))
            }
        }
    }

    async fn line(&self, stream: &mut BufReader<UnixStream>) -> Result<Value> {
        let mut line = String::new();
        let length = stream.take(LINE).read_line(&mut line).await.map_err(|error| self.failed("it hung up").cause(error))?;
        if length == 0 {
            return Err(self.failed("it hung up"));
        }
        serde_json::from_str(&line).map_err(|error| self.failed("it does not speak JSON").cause(error))
    }

    fn failed(&self, what: &str) -> Fault {
        Fault::device(format!("QEMU's monitor: {what}")).at(self.socket.display())
    }
}
