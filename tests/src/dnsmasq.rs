//! dnsmasq, the DHCP, DNS and TFTP server of a factory's network, with the configuration that the guide gives.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use tokio::{
    process::{Child, Command},
    time::sleep,
};

/// A running one; it is killed when dropped.
#[derive(Debug)]
pub struct Dnsmasq {
    log: PathBuf,
    _child: Child,
}

impl Dnsmasq {
    /// Starts it with this configuration; its log, `dnsmasq.log`, and its leases are in `folder`.
    ///
    /// # Errors
    /// Where it is not installed, or refuses the configuration.
    pub async fn start(configuration: &str, folder: &Path) -> Result<Self> {
        let broken = |error| Fault::refused("dnsmasq's folder can't be written").cause(error).at(folder.display());
        let at = |name: &str| folder.join(name);
        fs::write(at("dnsmasq.conf"), configuration).map_err(broken)?;
        let log = at("dnsmasq.log");
        let stderr = File::create(&log).map_err(broken)?;
        let mut child = Command::new("dnsmasq")
            // In the foreground, and as the user that it is: in a user namespace there is no other to change to.
            .args(["--no-daemon", "--log-facility=-", "--log-dhcp"])
            .arg(format!("--conf-file={}", at("dnsmasq.conf").display()))
            .arg(format!("--dhcp-leasefile={}", at("dnsmasq.leases").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Fault::refused("dnsmasq does not start").cause(error).fix("run scripts/setup"))?;
        let begun = Instant::now();
        loop {
            let said = fs::read_to_string(&log).map_err(broken)?;
            if said.contains("DHCP, IP range") {
                return Ok(Self { log, _child: child });
            }
            if !matches!(child.try_wait(), Ok(None)) || begun.elapsed() > Duration::from_secs(20) {
                return Err(Fault::refused(format!("dnsmasq does not serve: {}", said.trim())).at(log.display()));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it has said so far.
    ///
    /// # Errors
    /// Where its log can't be read.
    pub fn said(&self) -> Result<String> {
        fs::read_to_string(&self.log).map_err(|error| Fault::internal("dnsmasq's log is gone").cause(error).at(self.log.display()))
    }
}
