//! A picture of a page, taken by a headless Chromium with a fresh profile.
//!
//! The server's own certificate is pinned by its key: certificate checks stay on for everything else.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use livery_contract::{Fault, Result};
use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};

/// What makes Chromium the same everywhere: no windows, no sandbox (tests run as root, too), nothing that talks to its makers.
pub const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// What to take a picture of.
pub struct Shot<'a> {
    /// The page.
    pub url: &'a str,
    /// Base64 SHA-256 of the server's SubjectPublicKeyInfo.
    pub pin: &'a str,
    /// Name and address where the name is not in the DNS.
    pub resolve: Option<(&'a str, &'a str)>,
    /// `Accept-Language`.
    pub language: &'a str,
    /// Window in pixels.
    pub size: (u32, u32),
    /// How long the page may run before the picture is taken, in milliseconds of its own clock. `None` for a live page: an
    /// open event stream holds that clock still for ever.
    pub settle: Option<u32>,
}

/// Takes it.
///
/// # Errors
/// Where Chromium is absent, fails, takes over two minutes, or writes no picture.
pub async fn picture(shot: &Shot<'_>, to: &Path) -> Result<()> {
    let browser = find()?;
    let profile = tempfile::tempdir().map_err(|error| Fault::refused("no temporary folder").cause(error))?;
    let _ = std::fs::remove_file(to);
    let mut command = Command::new(&browser);
    command
        .args(FLAGS)
        .arg("--hide-scrollbars")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--ignore-certificate-errors-spki-list={}", shot.pin))
        .arg(format!("--accept-lang={}", shot.language))
        .arg(format!("--lang={}", shot.language.split(',').next().unwrap_or("en")))
        .arg(format!("--window-size={},{}", shot.size.0, shot.size.1))
        .arg(format!("--screenshot={}", to.display()));
    if let Some(settle) = shot.settle {
        command.arg(format!("--virtual-time-budget={settle}"));
    }
    if let Some((name, address)) = shot.resolve {
        command.arg(format!("--host-resolver-rules=MAP {name} {address}"));
    }
    let failed = |what: String| Fault::source(what).at(shot.url);
    let mut child = command
        .arg(shot.url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("{} does not start", browser.display())).cause(error))?;
    let mut said = Vec::new();
    let ended = timeout(Duration::from_secs(120), async {
        if let Some(stderr) = child.stderr.take() {
            // Bounded: a browser in trouble can fill a disk with its complaints.
            let _ = stderr.take(1 << 20).read_to_end(&mut said).await;
        }
        child.wait().await
    })
    .await;
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().take(5).collect::<Vec<_>>().join("; ");
    match ended {
        Ok(Ok(status)) if status.success() && to.exists() => Ok(()),
        Ok(Ok(status)) => Err(failed(format!("Chromium took no picture ({status}): {last}"))),
        Ok(Err(error)) => Err(failed("Chromium can't be waited for".into()).cause(error)),
        Err(_) => Err(failed(format!("Chromium took over two minutes: {last}"))),
    }
}

/// Where Chromium is.
///
/// # Errors
/// Where it is not installed.
pub fn find() -> Result<PathBuf> {
    on_path(&["chromium", "chromium-browser", "google-chrome"])
        .ok_or_else(|| Fault::refused("Chromium is not installed").fix("run scripts/setup"))
}

/// The first program of these names on the path.
pub fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|program| program.is_file())
}
