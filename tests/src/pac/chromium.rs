//! Chromium, sent to each URL under a device's policies; where it went is what the [`Crossing`] saw.

use std::{fs, process::Stdio, time::Duration};

use livery_contract::{Fault, Result};
use tokio::{
    process::Child,
    time::{Instant, sleep},
};

use super::{
    crossing::{Crossing, Side},
    sandbox,
};

/// The page that fetches all of them, some at a time, and says so in a request of its own.
fn page(urls: &[String]) -> String {
    let list = serde_json::to_string(urls).unwrap_or_default();
    format!(
        "<!doctype html><title>PAC</title><script>const urls = {list}; let at = 0;\n\
         async function worker() {{ while (at < urls.length) {{ const url = urls[at++];\n\
         try {{ await fetch(url, {{mode: 'no-cors', cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(15000)}}); }} catch (error) {{}} }} }}\n\
         Promise.all(Array.from({{length: 40}}, worker)).then(() => fetch('http://all-done.invalid.test/', {{mode: 'no-cors'}}));</script>"
    )
}

/// The host by which the page says that it is done.
const DONE: &str = "all-done.invalid.test";

/// Sends it to all; gives what was seen. `policies` are Chromium's; `proxy` is what the PAC calls the web proxy.
///
/// # Errors
/// Where it is absent, or not done within ten minutes.
pub async fn send(
    policies: &str,
    urls: &[String],
    proxy: &str,
) -> Result<std::collections::BTreeMap<String, std::collections::BTreeSet<Side>>> {
    let failed = |what: &str| Fault::internal(format!("Chromium: {what}"));
    let folder = tempfile::tempdir().map_err(|error| failed("no temporary folder").cause(error))?;
    let path = |name: &str| folder.path().join(name);
    let crossing = Crossing::start(page(urls)).await?;
    fs::create_dir(path("home")).map_err(|error| failed("its folder").cause(error))?;
    fs::write(path("policies.json"), policies).map_err(|error| failed("its folder").cause(error))?;
    let mut command =
        sandbox::with_policies("chromium", "/etc/chromium/policies/managed/livery.json", &path("policies.json"), &path("home"));
    let rules = format!("MAP {proxy} {}, MAP * {}, EXCLUDE 127.0.0.1", crossing.proxy, crossing.direct);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir=/home/profile"])
        // A page of the loopback network may not fetch from others without asking, since version 142.
        .args([
            "--disable-features=LocalNetworkAccessChecks,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--host-resolver-rules={rules}"))
        .arg("http://start.local/start.html")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child: Child = command.spawn().map_err(|error| failed("it does not start").cause(error))?;
    let begun = Instant::now();
    loop {
        let seen = crossing.seen();
        if seen.contains_key(DONE) {
            return Ok(seen);
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(failed(&format!("it ended ({status}) after {} hosts", seen.len())));
        }
        if begun.elapsed() > Duration::from_secs(600) {
            return Err(failed(&format!("it is not done after ten minutes, at {} hosts", seen.len())));
        }
        sleep(Duration::from_millis(200)).await;
    }
}
