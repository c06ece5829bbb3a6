//! pacparser: the evaluator of Chromium's and others' ancestors, as Debian has it.

use std::{process::Stdio, time::Duration};

use livery_contract::{Fault, Result};
use tokio::{io::AsyncWriteExt as _, process::Command};
use url::Url;

/// URL and host come as lines; the host as browsers hand it over.
const SCRIPT: &str = "
import sys, pacparser
pacparser.init()
pacparser.parse_pac_string(open(sys.argv[1]).read())
for line in sys.stdin:
    url, host = line.split()
    print(pacparser.find_proxy(url, host))
";

/// What it says of each.
///
/// # Errors
/// Where it is absent or fails.
pub async fn ask(pac: &str, urls: &[String]) -> Result<Vec<String>> {
    let failed = |what: &str| Fault::internal(format!("pacparser: {what}")).fix("run scripts/setup");
    let file = tempfile::NamedTempFile::new().map_err(|error| failed("no temporary file").cause(error))?;
    std::fs::write(file.path(), pac).map_err(|error| failed("no temporary file").cause(error))?;
    let mut lines = String::new();
    for text in urls {
        let url: Url = text.parse().map_err(|error: url::ParseError| failed(text).cause(error))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        lines.push_str(&format!("{url} {host}\n"));
    }
    let mut command = Command::new("/usr/bin/python3");
    command
        .args(["-c", SCRIPT])
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed("it does not start").cause(error))?;
    let mut stdin = child.stdin.take().ok_or_else(|| failed("no standard input"))?;
    let write = async move {
        stdin.write_all(lines.as_bytes()).await?;
        stdin.shutdown().await
    };
    let both = async { tokio::join!(write, child.wait_with_output()) };
    let (written, output) =
        tokio::time::timeout(Duration::from_secs(120), both).await.map_err(|_| failed("it took over two minutes"))?;
    let output = output.map_err(|error| failed("waiting for it failed").cause(error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || written.is_err() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(said.lines().map(str::to_owned).collect())
}
