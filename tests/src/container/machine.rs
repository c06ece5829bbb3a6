//! The container: a root under its own systemd, with a cable to the test's network. In: a root, and what of the start shall be otherwise.
//! Out: its units asked, its cable pulled, its files read. Fails where the host's systemd-nspawn can't start it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::programs::{self, Done};

/// The image's end of the cable.
pub const CABLE: &str = "host0";
/// Where an image has connections of its own.
pub const CONNECTION: &str = "etc/NetworkManager/system-connections/cable.nmconnection";
/// How long it may take to start.
const START: Duration = Duration::from_secs(60);
/// Between two looks at what must come.
pub const GLANCE: Duration = Duration::from_millis(50);

/// How it is started.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Its name; at most 12 letters, since the cable is called after it.
    pub name: &'a str,
    /// Addresses of the test's end of the cable, with the prefix's length.
    pub here: &'a [&'a str],
    /// Whether the cable is plugged in from the start.
    pub plugged: bool,
    /// What else systemd-nspawn is told.
    pub more: &'a [String],
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    container: Child,
    leader: u32,
    log: PathBuf,
    cable: String,
}

impl Machine {
    /// Starts it; what the host says of it goes into `log`.
    ///
    /// # Errors
    /// Where the container does not start.
    pub async fn start(root: &Path, log: PathBuf, plan: &Plan<'_>) -> Result<Self> {
        let file = File::create(&log).map_err(|error| failed("its log can't be written").cause(error))?;
        let mut command = Command::new("systemd-nspawn");
        command.args(["--boot", "--register=no", "--keep-unit", "--console=pipe", "--network-veth", "--machine", plan.name]);
        command.args(plan.more).arg("--directory").arg(root);
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").kill_on_drop(true).stdin(Stdio::null());
        let error = file.try_clone().map_err(|error| failed("its log can't be written").cause(error))?;
        command.stdout(file).stderr(error);
        let container = command.spawn().map_err(|error| failed("systemd-nspawn does not start").cause(error))?;
        let pid = container.id().ok_or_else(|| failed("systemd-nspawn is gone"))?;
        let mut machine = Self { container, leader: 0, log, cable: format!("ve-{}", plan.name) };
        let before = Instant::now();
        // First the cable: a network that is there from the start is the usual case.
        for address in plan.here {
            while ip(&["address", "add", address, "dev", &machine.cable]).await.is_err() {
                machine.patient(before).await?;
            }
        }
        machine.cable(plan.plugged).await?;
        while machine.leader == 0 {
            machine.leader = child_of(pid).unwrap_or_default();
            machine.patient(before).await?;
        }
        Ok(machine)
    }

    async fn patient(&self, since: Instant) -> Result<()> {
        // One step of a loop that asks.
        sleep(GLANCE).await;
        if since.elapsed() < START {
            return Ok(());
        }
        Err(failed(&format!("it does not start: {}", fs::read_to_string(&self.log).unwrap_or_default())))
    }

    /// Plugs the cable in or pulls it.
    ///
    /// # Errors
    /// Where it is gone.
    pub async fn cable(&self, plugged: bool) -> Result<()> {
        ip(&["link", "set", &self.cable, if plugged { "up" } else { "down" }]).await
    }

    /// Runs a command in it, as its root, at most half a minute.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub async fn run(&self, script: &str) -> Result<Done> {
        let mut command = Command::new("nsenter");
        let leader = self.leader.to_string();
        command.args(["--target", &leader, "--all", "--", "env", "-i", "PATH=/usr/bin:/usr/sbin", "sh", "-c", script]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        programs::run(command, script, Duration::from_secs(30)).await
    }

    /// Its sockets that listen, with the programs that have them (ss(8), which is here, and not in every image).
    ///
    /// # Errors
    /// Where it is gone.
    pub async fn listening(&self) -> Result<String> {
        let leader = self.leader.to_string();
        let ss = ["ss", "--no-header", "--listening", "--tcp", "--udp", "--processes"];
        programs::tool("nsenter", &[&["--target", &leader, "--net", "--"][..], &ss].concat()).await
    }

    /// A newer image is ready, as `livery-agent update` leaves it there, which `agent::update` and `desk::sign_in` read on devices.
    ///
    /// # Errors
    /// Where it is gone.
    pub async fn has_a_newer_image(&self, newer: &str) -> Result<()> {
        let state = format!(r#"{{"state":"ready","newer":"{newer}"}}"#);
        let script = format!("mkdir -p /run/livery-update; echo '{state}' > /run/livery-update/state.json");
        self.run(&script).await?.good().map(drop)
    }

    /// A file in it, as this process reaches it.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.leader))
    }

    /// A file's content, as its root sees it.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        fs::read(self.path(path)).map_err(|error| failed("a file in it can't be read").at(path).cause(error))
    }

    /// The journal so far.
    pub async fn journal(&self) -> String {
        self.run("journalctl --no-pager --output short-precise").await.map(|done| done.stdout).unwrap_or_default()
    }

    /// Waits until it has ended by itself, as when somebody restarts it.
    ///
    /// # Errors
    /// Where it does not in so long.
    pub async fn ended(mut self, most: Duration) -> Result<()> {
        match timeout(most, self.container.wait()).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(failed(&format!("it goes on after {} s", most.as_secs())).at(self.log.display())),
        }
    }
}

/// The connection of NetworkManager's for a cable without a DHCP server: this address and gateway, such as `10.0.0.2/24,10.0.0.1`.
pub fn connection(address: &str) -> String {
    format!(
        "[connection]\nid=cable\ntype=ethernet\ninterface-name={CABLE}\n\n[ipv4]\nmethod=manual\naddress1={address}\n\n\
         [ipv6]\nmethod=ignore\n"
    )
}

async fn ip(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(arguments);
    programs::run(command, "ip", Duration::from_secs(10)).await?.good().map(drop)
}

/// All processes of this namespace.
pub fn numbers() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The first child of a process.
fn child_of(parent: u32) -> Option<u32> {
    numbers().find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    })
}

fn failed(what: &str) -> Fault {
    Fault::internal(format!("a device in its container: {what}"))
}
