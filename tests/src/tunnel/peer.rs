//! The concentrator of an organisation: wireguard-go, which needs no kernel module, and the network behind it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use super::{
    ground::{INTRANET, RESOLVER, TUNNEL, asked},
    word::Word,
};
use crate::programs::{run, tool};

/// A pair of WireGuard keys, Base64.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The private one's file.
    pub private: PathBuf,
    /// The public one.
    pub public: String,
}

/// The organisation's keys in this folder, made once.
///
/// # Errors
/// Where `wg` fails.
pub async fn keys(folder: &Path) -> Result<Keys> {
    let private = folder.join("tunnel.key");
    if !private.exists() {
        let broken = |error| Fault::refused("the key can't be kept").cause(error).at(private.display());
        fs::write(&private, tool("wg", &["genkey"]).await?).map_err(broken)?;
    }
    let file = fs::File::open(&private).map_err(|error| Fault::refused("the key is gone").cause(error))?;
    let mut command = Command::new("wg");
    command.arg("pubkey").stdin(Stdio::from(file)).kill_on_drop(true);
    let public = run(command, "wg pubkey", Duration::from_secs(30)).await?.good()?.stdout.trim().to_owned();
    Ok(Keys { private, public })
}

/// A running concentrator; it ends when dropped.
pub struct Peer {
    wireguard: Child,
    resolver: Child,
    log: PathBuf,
    _intranet: Word,
}

impl Peer {
    /// Starts it for one device.
    ///
    /// # Errors
    /// Where a program does not start.
    pub async fn start(keys: &Keys, device: &str, address: &str, folder: &Path) -> Result<Self> {
        let failed = |error| Fault::refused("the concentrator does not start").cause(error).fix("run scripts/setup");
        // Its control socket lies in a folder of its own: an ordinary user may not write to the host's.
        let script = format!(
            "set -e\nmount -t tmpfs tmpfs /run\nmkdir -p /run/wireguard\nWG_PROCESS_FOREGROUND=1 wireguard-go -f {TUNNEL} &\n\
             for i in $(seq 100); do [ -S /run/wireguard/{TUNNEL}.sock ] && break; sleep 0.1; done\n\
             wg set {TUNNEL} listen-port 51820 private-key \"$1\" peer \"$2\" allowed-ips \"$3\"\n\
             ip address add 10.0.0.1/32 dev {TUNNEL}\nip address add {RESOLVER}/32 dev {TUNNEL}\nip address add {INTRANET}/32 dev {TUNNEL}\n\
             ip link set {TUNNEL} up\nip route add \"$3\" dev {TUNNEL}\nwait\n"
        );
        let log = fs::File::create(folder.join("wireguard.log")).map_err(failed)?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", &script, "sh"])
            .args([keys.private.as_os_str(), device.as_ref(), address.as_ref()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        let wireguard = command.spawn().map_err(failed)?;
        let begun = Instant::now();
        while tool("ip", &["-o", "route", "show", address]).await?.trim().is_empty() {
            if begun.elapsed() > Duration::from_secs(20) {
                let said = fs::read_to_string(folder.join("wireguard.log")).unwrap_or_default();
                return Err(Fault::refused(format!("the concentrator does not come up: {said}")));
            }
            sleep(Duration::from_millis(50)).await;
        }
        let log = folder.join("resolver.log");
        let stderr = fs::OpenOptions::new().create(true).append(true).open(&log).map_err(failed)?;
        let resolver = Command::new("dnsmasq")
            .args(["--no-daemon", "--log-facility=-", "--log-queries=extra", "--no-hosts", "--no-resolv", "--bind-interfaces"])
            .args([&format!("--listen-address={RESOLVER}"), &format!("--address=/corp.assurance.example/{INTRANET}")])
            .args(["--conf-file=/dev/null", "--except-interface=lo"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let intranet =
            Word::start(format!("{INTRANET}:80").parse().map_err(|_| Fault::internal("an address"))?, "intranet").await?;
        Ok(Self { wireguard, resolver, log, _intranet: intranet })
    }

    /// The names that the organisation's DNS was asked for, by all that ran in this folder.
    ///
    /// # Errors
    /// Where its log can't be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let said = fs::read_to_string(&self.log).map_err(|error| Fault::internal("the resolver's log is gone").cause(error))?;
        Ok(asked(&said))
    }

    /// Ends it: the tunnel's other end is gone.
    ///
    /// # Errors
    /// Where it does not end.
    pub async fn stop(mut self) -> Result<()> {
        let failed = |error| Fault::internal("the concentrator does not end").cause(error);
        self.resolver.kill().await.map_err(failed)?;
        self.wireguard.kill().await.map_err(failed)?;
        let begun = Instant::now();
        while tool("ip", &["-o", "link", "show", "dev", TUNNEL]).await.is_ok() {
            if begun.elapsed() > Duration::from_secs(20) {
                return Err(Fault::internal("the tunnel's interface stays"));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
