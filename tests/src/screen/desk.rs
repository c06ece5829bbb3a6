//! The terminal in its container, with a headless screen. In: a disk, and what of it shall be otherwise than on a device. Out: its
//! browser asked. Fails where the image can't be mounted, or the container does not start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use livery_contract::{Fault, Result};

use crate::{
    container::{
        machine::{CONNECTION, Machine, Plan, connection, numbers},
        root::Root,
    },
    gateway::accounts::Receiver,
    programs::Done,
    site::{CHECK, GATEWAY},
};

/// The test's end of the cable, where the Gateway listens.
pub const HERE: &str = "10.0.0.1";
/// A host that the profile allows as well: of its identity provider.
pub const PROVIDER: &str = "login.assurance.example";
/// A host that it does not allow.
pub const ELSEWHERE: &str = "elsewhere.example";
/// Where a network's own sign-in page is.
pub const HOTEL: &str = "welcome.hotel.example";

/// What root runs on a terminal for a script to run as the kiosk's user in the screen's environment.
pub fn at_the_screen(script: &str) -> String {
    let quoted = script.replace('\'', r"'\''");
    let environment = "XDG_RUNTIME_DIR=/run/kiosk WAYLAND_DISPLAY=wayland-1 SWAYSOCK=$(ls -t /run/kiosk/sway-ipc.* | head -1)";
    format!("setpriv --reuid kiosk --regid kiosk --clear-groups env {environment} sh -c '{quoted}'")
}

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
    /// The container.
    pub machine: Machine,
}

impl Desk {
    /// Starts it; what the host says of it goes into `folder`.
    ///
    /// # Errors
    /// Where the image can't be mounted, or the container does not start.
    pub async fn start(disk: &Path, folder: &Path, options: &Options) -> Result<Self> {
        let place = folder.join("root");
        fs::create_dir_all(&place).map_err(|error| failed("a folder can't be made").at(place.display()).cause(error))?;
        let root = Root::mount(disk, &place)?;
        furnish(&root, options)?;
        let here = format!("{HERE}/24");
        let plan = Plan { name: "desk", here: &[&here], plugged: options.cable, more: &[] };
        let machine = Machine::start(&root.path, folder.join("container.log"), &plan).await?;
        Ok(Self { root, machine })
    }

    /// Runs a command in it, as the kiosk's user in the screen's environment.
    ///
    /// # Errors
    /// Where it does not end in time, or ends badly.
    pub async fn run_at_the_screen(&self, script: &str) -> Result<Done> {
        self.machine.run(&at_the_screen(script)).await?.good()
    }

    /// What systemd says of the browser's service.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn browser(&self, property: &str) -> Result<String> {
        let done = self.machine.run(&format!("systemctl show --value --property {property} livery-browser")).await?.good()?;
        Ok(done.stdout.trim().to_owned())
    }

    /// Lets the browser's session run out of memory: the kernel kills in it, and nowhere else.
    ///
    /// # Errors
    /// Where the limit can't be set.
    pub async fn exhaust_memory(&self) -> Result<()> {
        const V1: &str = "/sys/fs/cgroup/memory";
        if !Path::new(V1).join("memory.limit_in_bytes").exists() {
            return self.machine.run("systemctl set-property --runtime livery-browser MemoryMax=64M").await?.good().map(drop);
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
            let _ = self.machine.run("systemctl set-property --runtime livery-browser MemoryMax=infinity").await;
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
    root.write_private(CONNECTION, &connection(&format!("10.0.0.2/24,{HERE}")))?;
    // No seat without a screen.
    root.mask("seatd.service")?;
    let desk = serde_json::json!({"home": home, "sign-out": format!("https://{GATEWAY}/cgi/logout"), "client": options.receiver == Receiver::Native});
    root.write("etc/livery/desk.json", &desk.to_string())?;
    // A seat has a keyboard as long as some wtype runs, and programs take seconds to notice a first one: one that sleeps is there from
    // the start, as on a device.
    root.write("etc/livery/sway.d/60-keyboard.conf", "exec wtype -s 2000000 -s 2000000 -k Shift_L\n")?;
    let path = root.path.join("etc/livery/sway.d/50-profile.conf");
    let profile = fs::read_to_string(&path).map_err(|error| failed("sway's configuration can't be read").cause(error))?;
    root.write("etc/livery/sway.d/50-profile.conf", &profile.replace("timeout 900 ", &format!("timeout {idle} ")))
}

fn failed(what: &str) -> Fault {
    Fault::internal(format!("the terminal in its container: {what}"))
}
