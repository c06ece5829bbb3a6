//! Firefox, asked by Marionette which proxy it would take: its own service evaluates the PAC that its policies name.

use std::{fs, process::Stdio, time::Duration};

use livery_contract::{Fault, Result};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Child,
    time::{sleep, timeout},
};

use super::sandbox;

/// Asks the service that every request goes through. With the system's rights, as Firefox's own tests do.
const ASK: &str = r#"
const [urls, done] = arguments;
const service = Cc["@mozilla.org/network/protocol-proxy-service;1"].getService(Ci.nsIProtocolProxyService);
const text = info => !info || info.type == "direct" ? "DIRECT" : info.type == "http" ? `PROXY ${info.host}:${info.port}` : info.type;
const one = url => new Promise(resolve => {
  const uri = Services.io.newURI(url);
  const channel = Services.io.newChannelFromURI(uri, null, Services.scriptSecurityManager.getSystemPrincipal(), null,
    Ci.nsILoadInfo.SEC_ALLOW_CROSS_ORIGIN_SEC_CONTEXT_IS_NULL, Ci.nsIContentPolicy.TYPE_OTHER);
  service.asyncResolve(channel, 0, {
    onProxyAvailable(request, channel, info, status) { resolve(text(info)); },
    QueryInterface: ChromeUtils.generateQI(["nsIProtocolProxyCallback"]),
  });
});
Promise.all(urls.map(one)).then(done, error => done(String(error)));
"#;

/// A running Firefox; it ends when dropped.
pub struct Firefox {
    _child: Child,
    _folder: tempfile::TempDir,
    stream: TcpStream,
    number: u64,
}

impl Firefox {
    /// Starts one with these policies (`policies.json`).
    ///
    /// # Errors
    /// Where it is absent or does not answer within two minutes.
    pub async fn start(policies: &str) -> Result<Self> {
        let failed = |what: &str| Fault::internal(format!("Firefox: {what}"));
        let folder = tempfile::tempdir().map_err(|error| failed("no temporary folder").cause(error))?;
        let path = |name: &str| folder.path().join(name);
        let port = free_port()?;
        let write = |name: &str, text: &str| fs::write(path(name), text).map_err(|error| failed("its folder").cause(error));
        fs::create_dir(path("home")).map_err(|error| failed("its folder").cause(error))?;
        write("policies.json", policies)?;
        let preferences = format!(
            "user_pref(\"marionette.port\", {port});\nuser_pref(\"network.proxy.allow_hijacking_localhost\", true);\n\
             user_pref(\"app.update.enabled\", false);\nuser_pref(\"datareporting.policy.dataSubmissionEnabled\", false);\n"
        );
        write("home/user.js", &preferences)?;
        let mut command =
            sandbox::with_policies("firefox-esr", "/etc/firefox/policies/policies.json", &path("policies.json"), &path("home"));
        command.args([
            "--headless",
            "--marionette",
            "-remote-allow-system-access",
            "--no-remote",
            "--profile",
            "/home",
            "about:blank",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| failed("it does not start").cause(error))?;
        let connect = async {
            loop {
                if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
                    return Ok(stream);
                }
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(failed(&format!("it ended ({status})")));
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let stream = timeout(Duration::from_secs(120), connect).await.map_err(|_| failed("it does not answer"))??;
        let mut firefox = Self { _child: child, _folder: folder, stream, number: 0 };
        firefox.read().await?;
        firefox.call("WebDriver:NewSession", json!({})).await?;
        firefox.call("WebDriver:SetTimeouts", json!({"script": 120_000})).await?;
        firefox.call("Marionette:SetContext", json!({"value": "chrome"})).await?;
        Ok(firefox)
    }

    /// What it says of each.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn ask(&mut self, urls: &[String]) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for part in urls.chunks(500) {
            let answer = self.call("WebDriver:ExecuteAsyncScript", json!({"script": ASK, "args": [part]})).await?;
            let said = answer["value"].as_array().ok_or_else(|| Fault::internal(format!("Firefox: {answer:.300}")))?;
            all.extend(said.iter().filter_map(|text| text.as_str().map(str::to_owned)));
        }
        Ok(all)
    }

    async fn call(&mut self, command: &str, arguments: Value) -> Result<Value> {
        self.number += 1;
        let text = json!([0, self.number, command, arguments]).to_string();
        let lost = |error: std::io::Error| Fault::internal("Firefox is gone").cause(error);
        self.stream.write_all(format!("{}:{text}", text.len()).as_bytes()).await.map_err(lost)?;
        match self.read().await?.as_array().map(Vec::as_slice) {
            Some([_, _, Value::Null, result]) => Ok(result.clone()),
            other => Err(Fault::internal(format!("Firefox: {command}: {other:?}"))),
        }
    }

    /// `LENGTH:JSON`.
    async fn read(&mut self) -> Result<Value> {
        let lost = |error: std::io::Error| Fault::internal("Firefox is gone").cause(error);
        let message = async {
            let mut length = 0_usize;
            loop {
                match self.stream.read_u8().await.map_err(lost)? {
                    b':' => break,
                    digit @ b'0'..=b'9' if length < 1 << 24 => length = length * 10 + usize::from(digit - b'0'),
                    other => return Err(Fault::internal(format!("Firefox: byte {other} where a length is expected"))),
                }
            }
            let mut bytes = vec![0; length];
            self.stream.read_exact(&mut bytes).await.map_err(lost)?;
            serde_json::from_slice(&bytes).map_err(|error| Fault::internal("Firefox's answer does not parse").cause(error))
        };
        timeout(Duration::from_secs(180), message).await.map_err(|_| Fault::internal("Firefox does not answer"))?
    }
}

/// A port that nobody uses now.
///
/// # Errors
/// Where there is none.
pub fn free_port() -> Result<u16> {
    let none = |error: std::io::Error| Fault::internal("no free port").cause(error);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(none)?;
    listener.local_addr().map(|address| address.port()).map_err(none)
}
