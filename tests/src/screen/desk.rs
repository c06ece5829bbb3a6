//! The container: the terminal's root under its own systemd, with a cable to the test's network. In: a root, and what of it shall be
//! otherwise than on a device. Out: its units asked, its cable pulled. Fails where the host's systemd-nspawn can't start it.

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

use super::root::Root;
use crate::{
    gateway::accounts::Receiver,
    programs::{self, Done},
    site::GATEWAY,
};

/// The test's end of the cable, where the Gateway listens.
pub const HERE: &str = "10.0.0.1";
/// A host that the profile allows as well: of its identity provider.
pub const PROVIDER: &str = "login.assurance.example";
/// A host that it does not allow.
pub const ELSEWHERE: &str = "elsewhere.example";
/// Where a network's own sign-in page is, and what the profile has devices ask whether there is one.
pub const HOTEL: &str = "welcome.hotel.example";
/// See [`HOTEL`].
pub const CHECK: &str = "check.assurance.example";
/// The container's name; the cable's after it.
const NAME: &str = "desk";
const CABLE: &str = "ve-desk";
/// How long it may take to start.
const START: Duration = Duration::from_secs(60);

/// What is otherwise than on a device.
#[derive(Clone, Debug)]
pub struct Options {
    /// The page that a session begins with.
    pub home: String,
    /// Seconds without a person after which a session ends.
    pub idle: u32,
    /// Whether the cable is plugged in.
    pub cable: bool,
    /// Screens.
    pub screens: u32,
    /// What the person's published desktop opens in.
    pub receiver: Receiver,
}

impl Default for Options {
    fn default() -> Self {
        Self { home: format!("https://{GATEWAY}/"), idle: 900, cable: true, screens: 1, receiver: Receiver::Html5 }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Desk {
    /// Its root.
    pub root: Root,
    _container: Child,
    leader: u32,
    log: PathBuf,
}

impl Desk {
    /// Starts it; what the host says of it goes into `folder`.
    ///
    /// # Errors
    /// Where the image can't be mounted, or the container does not start.
    pub async fn start(disk: &Path, folder: &Path, options: &Options) -> Result<Self> {
        let root = Root::mount(disk, &made(folder, "root")?)?;
        furnish(&root, options)?;
        let log = folder.join("container.log");
        let file = File::create(&log).map_err(|error| failed("its log can't be written").cause(error))?;
        let mut command = Command::new("systemd-nspawn");
        command.args([
            "--boot",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
            "--network-veth",
            "--machine",
            NAME,
            "--directory",
        ]);
        command.arg(&root.path).env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").kill_on_drop(true).stdin(Stdio::null());
        let error = file.try_clone().map_err(|error| failed("its log can't be written").cause(error))?;
        command.stdout(file).stderr(error);
        let container = command.spawn().map_err(|error| failed("systemd-nspawn does not start").cause(error))?;
        let pid = container.id().ok_or_else(|| failed("systemd-nspawn is gone"))?;
        let mut desk = Self { root, _container: container, leader: 0, log };
        let before = Instant::now();
        // First the cable: a network that is there from the start is the usual case.
        loop {
            if ip(&["address", "add", &format!("{HERE}/24"), "dev", CABLE]).await.is_ok() {
                break;
            }
            desk.patient(before)?;
            sleep(Duration::from_millis(50)).await;
        }
        desk.cable(options.cable).await?;
        while desk.leader == 0 {
            desk.leader = child_of(pid).unwrap_or_default();
            desk.patient(before)?;
            sleep(Duration::from_millis(50)).await;
        }
        Ok(desk)
    }

    fn patient(&self, since: Instant) -> Result<()> {
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
        ip(&["link", "set", CABLE, if plugged { "up" } else { "down" }]).await
    }

    /// Runs a command in it, as its root, at most half a minute.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub async fn run(&self, script: &str) -> Result<Done> {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.leader.to_string(),
            "--all",
            "--",
            "env",
            "-i",
            "PATH=/usr/bin:/usr/sbin",
            "sh",
            "-c",
            script,
        ]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        programs::run(command, script, Duration::from_secs(30)).await
    }

    /// The same, as the kiosk's user in the screen's environment.
    ///
    /// # Errors
    /// Where it does not end in time, or ends badly.
    pub async fn run_at_the_screen(&self, script: &str) -> Result<Done> {
        let quoted = script.replace('\'', r"'\''");
        let environment = "XDG_RUNTIME_DIR=/run/kiosk WAYLAND_DISPLAY=wayland-1 SWAYSOCK=$(ls -t /run/kiosk/sway-ipc.* | head -1)";
        self.run(&format!("setpriv --reuid kiosk --regid kiosk --clear-groups env {environment} sh -c '{quoted}'")).await?.good()
    }

    /// A file's content, as its root sees it.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let full = PathBuf::from(format!("/proc/{}/root{path}", self.leader));
        fs::read(&full).map_err(|error| failed("a file in it can't be read").at(path).cause(error))
    }

    /// What systemd says of the browser's service.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn browser(&self, property: &str) -> Result<String> {
        let done = self.run(&format!("systemctl show --value --property {property} livery-browser")).await?.good()?;
        Ok(done.stdout.trim().to_owned())
    }

    /// The journal so far.
    pub async fn journal(&self) -> String {
        self.run("journalctl --no-pager --output short-precise").await.map(|done| done.stdout).unwrap_or_default()
    }

    /// Lets the browser's session run out of memory: the kernel kills in it, and nowhere else.
    ///
    /// # Errors
    /// Where the limit can't be set.
    pub async fn exhaust_memory(&self) -> Result<()> {
        const V1: &str = "/sys/fs/cgroup/memory";
        if !Path::new(V1).join("memory.limit_in_bytes").exists() {
            return self.run("systemctl set-property --runtime livery-browser MemoryMax=64M").await?.good().map(drop);
        }
        // A host whose memory is controlled the old way: systemd can't limit it, so the test does as systemd would.
        let group = Path::new(V1).join(format!("livery-{}", std::process::id()));
        let write =
            |path: PathBuf, text: &str| fs::write(&path, text).map_err(|error| failed("a cgroup can't be set").cause(error));
        fs::create_dir_all(&group).map_err(|error| failed("a cgroup can't be made").cause(error))?;
        write(group.join("memory.move_charge_at_immigrate"), "1").ok();
        for pid in self.browsers() {
            write(group.join("cgroup.procs"), &pid.to_string()).ok();
        }
        // What it has already does not count in the new group: what it takes from now on does.
        write(group.join("memory.limit_in_bytes"), &(4_u64 << 20).to_string())
    }

    /// Takes that limit away again.
    pub async fn relieve_memory(&self) {
        let group = PathBuf::from(format!("/sys/fs/cgroup/memory/livery-{}", std::process::id()));
        if group.exists() {
            let _ = fs::write(group.join("memory.limit_in_bytes"), "-1");
            let _ = fs::remove_dir(group);
        } else {
            let _ = self.run("systemctl set-property --runtime livery-browser MemoryMax=infinity").await;
        }
    }

    /// The browser's processes, by this namespace's numbers.
    pub fn browsers(&self) -> Vec<u32> {
        let mine = |pid: &u32| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.starts_with(b"firefox-esr\0") || command.starts_with(b"/usr/lib/firefox-esr/firefox-esr")
        };
        numbers().filter(mine).collect()
    }
}

/// What the container has and a device has not.
fn furnish(root: &Root, options: &Options) -> Result<()> {
    let Options { home, idle, screens, .. } = options;
    root.write("etc/hosts", &format!("127.0.0.1 localhost\n{HERE} {GATEWAY} {PROVIDER} {ELSEWHERE} {HOTEL} {CHECK}\n"))?;
    // What the initrd would have laid over /etc.
    root.write("etc/livery/keyboard.env", "XKB_DEFAULT_LAYOUT=fr\nXKB_DEFAULT_VARIANT=oss\n")?;
    root.write("etc/livery/identity.json", "{}\n")?;
    root.write(
        "etc/systemd/system/livery-kiosk.service.d/headless.conf",
        &format!(
            "[Service]\nEnvironment=WLR_BACKENDS=headless WLR_HEADLESS_OUTPUTS={screens} WLR_LIBINPUT_NO_DEVICES=1 LIBSEAT_BACKEND=noop\nReadWritePaths=/tmp\n"
        ),
    )?;
    let connection = "[connection]\nid=cable\ntype=ethernet\ninterface-name=host0\n\n[ipv4]\nmethod=manual\n\
        address1=10.0.0.2/24,10.0.0.1\n\n[ipv6]\nmethod=ignore\n";
    let path = "etc/NetworkManager/system-connections/cable.nmconnection";
    root.write(path, connection)?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(root.path.join(path), private).map_err(|error| failed("a file's mode can't be set").cause(error))?;
    // No seat without a screen.
    let mask = root.path.join("etc/systemd/system/seatd.service");
    std::os::unix::fs::symlink("/dev/null", mask).map_err(|error| failed("a unit can't be masked").cause(error))?;
    let desk = serde_json::json!({"home": home, "sign-out": format!("https://{GATEWAY}/cgi/logout"), "client": options.receiver == Receiver::Native});
    root.write("etc/livery/desk.json", &desk.to_string())?;
    // A seat has a keyboard as long as some wtype runs, and programs take seconds to notice a first one: one that sleeps is there from
    // the start, as on a device.
    root.write("etc/livery/sway.d/60-keyboard.conf", "exec wtype -s 2000000 -s 2000000 -k Shift_L\n")?;
    let path = root.path.join("etc/livery/sway.d/50-profile.conf");
    let profile = fs::read_to_string(&path).map_err(|error| failed("sway's configuration can't be read").cause(error))?;
    root.write("etc/livery/sway.d/50-profile.conf", &profile.replace("timeout 900 ", &format!("timeout {idle} ")))
}

async fn ip(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(arguments);
    programs::run(command, "ip", Duration::from_secs(10)).await?.good().map(drop)
}

fn numbers() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The first child of a process.
fn child_of(parent: u32) -> Option<u32> {
    numbers().find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    })
}

fn made(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::create_dir_all(&path).map_err(|error| failed("a folder can't be made").at(path.display()).cause(error))?;
    Ok(path)
}

fn failed(what: &str) -> Fault {
    Fault::internal(format!("the terminal in its container: {what}"))
}
