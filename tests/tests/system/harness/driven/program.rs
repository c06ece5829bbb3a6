//! chromedriver: takes WebDriver's commands over HTTP on the loopback interface, and starts the browser.

use std::{path::Path, process::Stdio, time::Duration};

use livery_contract::{Fault, Result};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use livery_tests::browser::on_path;

/// What it says once it listens, before its port.
const READY: &str = "started successfully on port ";

/// A running one, on a port of its own; it is killed when dropped.
pub struct Chromedriver {
    url: String,
    _child: Child,
}

impl Chromedriver {
    /// Starts it, with this folder for all that it and the browser leave lying about; when this returns, it listens.
    ///
    /// # Errors
    /// Where it is not installed, or does not say within 30 seconds that it is ready.
    pub async fn start(scratch: &Path) -> Result<Self> {
        let missing = || Fault::refused("chromedriver is not installed").fix("run scripts/setup");
        let program = on_path(&["chromedriver"]).ok_or_else(missing)?;
        let mut child = Command::new(program)
            .arg("--port=0")
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| missing().cause(error))?;
        let silent = || Fault::device("chromedriver does not say that it is ready");
        let mut lines = BufReader::new(child.stdout.take().ok_or_else(silent)?).lines();
        let port = timeout(Duration::from_secs(30), async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, port)) = line.split_once(READY) {
                    return port.trim_end_matches('.').parse::<u16>().ok();
                }
            }
            None
        });
        let port = port.await.ok().flatten().ok_or_else(silent)?;
        // Whatever else it says must not fill the pipe and stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { url: format!("http://127.0.0.1:{port}"), _child: child })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }
}
