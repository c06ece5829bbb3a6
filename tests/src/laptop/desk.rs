//! The laptop in its container. In: a disk, a folder for what is kept, and whether there is a data partition. Out: what it says of
//! itself. Fails where the image can't be mounted, or the container or its X server does not start.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use tokio::time::sleep;

use super::display::Display;
use crate::{
    at_the_laptop::ACCOUNT,
    container::{
        machine::{GLANCE, Machine, Plan, connection},
        root::{Root, mount},
    },
    programs::tool,
    site::GATEWAY,
};

/// The test's end of the cable, where the Gateway listens. Not a part of 10/8, which is the organisation's and reached by the tunnel alone.
pub const HERE: &str = "192.168.76.1";
/// One of the profile's SaaS hosts.
pub const SAAS: &str = "signature.example";
/// Its address.
pub const SAAS_AT: &str = "192.168.76.3";
/// The most that a step may take on a busy machine. Where the data partition is closed, the sign-in page itself takes fifty seconds: twice
/// D-Bus waits for a systemd-homed that can't start.
pub const MOST: Duration = Duration::from_secs(120);
/// Bytes of the data partition; the file is sparse.
const DATA: u64 = 4 << 30;
/// The driver of an X server without a screen (xserver-xorg-video-dummy), of this host: Debian 12's and 13's servers have one ABI.
const DRIVER: &str = "usr/lib/xorg/modules/drivers/dummy_drv.so";
/// What LightDM says when it asks for something at the sign-in page.
const PROMPT: &str = "Prompt greeter";
/// The server's screen; it takes no virtual terminal and no device.
const SCREEN: &str = r#"
Section "ServerFlags"
    Option "AutoAddDevices" "false"
    Option "AutoAddGPU" "false"
EndSection
Section "Device"
    Identifier "none"
    Driver "dummy"
    VideoRam 16384
EndSection
Section "Monitor"
    Identifier "none"
    HorizSync 5-1000
    VertRefresh 5-200
    Modeline "1280x800" 83.5 1280 1352 1480 1680 800 803 809 831
EndSection
Section "Screen"
    Identifier "none"
    Device "none"
    Monitor "none"
    DefaultDepth 24
    SubSection "Display"
        Modes "1280x800"
    EndSubSection
EndSection
"#;
/// The data partition's mount as systemd makes it of fstab on a device; in a container it makes none. What is on that partition needs it.
const CLOSED: &str = "[Mount]\nWhat=/dev/mapper/data\nWhere=/home\nType=ext4\n";
/// udev would tell the server its keyboard's layout.
const KEYBOARD: &str = "#!/bin/sh\n. /etc/default/keyboard\nexec setxkbmap -layout \"$XKBLAYOUT\" -variant \"$XKBVARIANT\"\n";
/// LightDM takes the seventh virtual terminal for granted, and logind starts no session there, since there is none.
const NO_TERMINAL: &str = "XDG_VTNR DEFAULT=0\n";

/// What the employee tries in the session, and what came of it: no tool in the image is made for tests.
const TRY: &str = r#"
exec > ~/.tried 2>&1
cat ~/kept 2> /dev/null
echo "from the first start" > ~/kept
yes() { "$@" > /dev/null 2>&1 && echo yes || echo no; }
echo "TRIED network=$(yes nmcli connection add type wifi con-name Voyage ifname '*' ssid Voyage connection.permissions user:$USER wifi-sec.key-mgmt wpa-psk wifi-sec.psk 'a long secret')"
echo "TRIED everybodys=$(yes nmcli connection add type ethernet con-name all ifname '*')"
echo "TRIED tunnel=$(yes nmcli connection modify corporate ipv4.dns 192.0.2.1)"
echo "TRIED known=$(nmcli -g NAME connection show | grep -c '^Voyage$')"
echo "TRIED groups=$(id -nG)"
echo "TRIED root=$(yes pkexec true)$(yes sudo -n true)$(yes systemctl stop NetworkManager)"
echo "TRIED printing=$(LC_ALL=C lpstat -r)"
echo "TRIED lang=$LANG"
echo "TRIED image=$(. /usr/lib/os-release; echo $IMAGE_VERSION)"
if [ "$1" = office ]; then
    cd
    echo "Bonjour" > note.txt
    timeout 300 soffice --headless --convert-to pdf note.txt > /dev/null 2>&1
    echo "TRIED office=$(head -c 4 note.pdf)"
    exo-open note.pdf > /dev/null 2>&1
    exo-open "$HOME" > /dev/null 2>&1
    for i in $(seq 120); do pidof evince > /dev/null && pidof Thunar thunar > /dev/null && break; sleep 1; done
    echo "TRIED viewer=$(yes pidof evince)"
    echo "TRIED files=$(yes pidof Thunar thunar)"
fi
echo "TRIED end=yes"
"#;

/// The laptop as it was unpacked: its root, and a data partition that lasts from start to start.
#[derive(Debug)]
pub struct Unpacked {
    root: Root,
    data: PathBuf,
    folder: PathBuf,
}

impl Unpacked {
    /// Mounts the image of a disk below `folder`, where pictures and logs will be kept, and makes an empty data partition.
    ///
    /// # Errors
    /// Where they can't be mounted.
    pub async fn from(disk: &Path, folder: &Path) -> Result<Self> {
        let place = |name: &str| folder.join(name);
        for name in ["root", "data"] {
            fs::create_dir_all(place(name)).map_err(|error| failed("a folder can't be made").cause(error))?;
        }
        let root = Root::mount(disk, &place("root"))?;
        furnish(&root)?;
        let file = place("data.img");
        File::create(&file).and_then(|file| file.set_len(DATA)).map_err(|error| failed("no data partition").cause(error))?;
        let path = file.display().to_string();
        tool("mkfs.ext4", &["-q", &path]).await?;
        mount(&["-o", "loop", &path], &place("data"))?;
        // It is the mount that lasts: the file is gone with it.
        fs::remove_file(&file).map_err(|error| failed("no data partition").cause(error))?;
        Ok(Self { root, data: place("data"), folder: folder.to_owned() })
    }

    /// Switches it on, with the cable in or not; without its `data` partition as where the TPM did not open it.
    ///
    /// # Errors
    /// Where it does not start.
    pub async fn start(&self, start: &str, plugged: bool, data: bool) -> Result<Laptop> {
        let mut more = [
            // LightDM's libgcrypt locks memory for passwords.
            "--capability=CAP_IPC_LOCK",
            // As on the device: the root forgets.
            "--volatile=overlay",
            // The firmware's, by which homed knows the account's home again.
            "--uuid=6f1d2b0e-3c54-4c0e-9a86-0d4c2f7a1e33",
            "--set-credential=livery.device:LIVERY_TUNNEL_KEY=GEXJNJQlbXMTkwtXBrlM4U3xnKOGLyJLHTbyDzIn43w=",
        ]
        .map(str::to_owned)
        .to_vec();
        if data {
            more.push(format!("--bind={}:/home", self.data.display()));
        } else {
            self.root.write("etc/systemd/system/home.mount", CLOSED)?;
        }
        let (here, saas) = (format!("{HERE}/24"), format!("{SAAS_AT}/24"));
        let plan = Plan { name: "laptop", here: &[&here, &saas], plugged, more: &more };
        let machine = Machine::start(&self.root.path, self.folder.join(format!("{start}.log")), &plan).await?;
        let begun = Instant::now();
        let display = connect(&machine, &self.folder).await?;
        fs::write(machine.path("/run/try"), TRY).map_err(|error| failed("the script can't be put into it").cause(error))?;
        Ok(Laptop { machine, display, folder: self.folder.clone(), begun, asked: 0, wrong: 0 })
    }
}

/// A laptop that is switched on.
pub struct Laptop {
    /// The container.
    pub machine: Machine,
    /// Its screen and keyboard.
    pub display: Display,
    pub(super) folder: PathBuf,
    begun: Instant,
    /// How often the sign-in page has asked for something.
    asked: usize,
    /// How often homed has said that a password is wrong; it says so more than once of each.
    wrong: usize,
}

impl Laptop {
    /// Waits for what must come.
    ///
    /// # Errors
    /// Where it does not in time; with a picture and the journal.
    pub async fn until(&self, what: &str, is: impl AsyncFn() -> bool) -> Result<()> {
        let since = Instant::now();
        while !is().await {
            if since.elapsed() > MOST {
                return Err(self.failed(what).await);
            }
            sleep(GLANCE).await;
        }
        eprintln!("{:>5.1} s {what}", self.begun.elapsed().as_secs_f64());
        Ok(())
    }

    pub(super) async fn failed(&self, what: &str) -> Fault {
        if let Ok(picture) = self.display.picture() {
            let _ = picture.write(&self.folder.join("failed.png"));
        }
        let lightdm = self.machine.read("/var/log/lightdm/lightdm.log").unwrap_or_default();
        let journal = self.machine.journal().await + String::from_utf8_lossy(&lightdm).as_ref();
        let _ = fs::write(self.folder.join("failed-journal.txt"), journal);
        failed(&format!("not within {} s: {what}", MOST.as_secs())).at(self.folder.join("failed.png").display())
    }

    /// Waits until the sign-in page asks for something more than at the last time.
    ///
    /// # Errors
    /// Where it does not in time.
    pub async fn asks(&self, what: &str) -> Result<()> {
        let asked = self.asked;
        self.until(&format!("asked for {what}"), async || self.prompts() > asked).await
    }

    /// What the sign-in page has asked for until now is answered: a message comes as a question of its own before the one for a password.
    pub(super) fn notes(&mut self) {
        self.asked = self.prompts();
    }

    fn prompts(&self) -> usize {
        let log = self.machine.read("/var/log/lightdm/lightdm.log").unwrap_or_default();
        String::from_utf8_lossy(&log).matches(PROMPT).count()
    }

    /// Waits until homed has refused a password since the last time.
    ///
    /// # Errors
    /// Where it does not in time.
    pub async fn refuses(&self, what: &str) -> Result<()> {
        let wrong = self.wrong;
        self.until(&format!("refused: {what}"), async || self.refusals().await > wrong).await
    }

    /// What was refused until now does not count again: PAM tries an empty password before it asks.
    pub async fn settles(&mut self) {
        self.wrong = self.refusals().await;
    }

    async fn refusals(&self) -> usize {
        let script = "journalctl -q -o cat -u systemd-homed | grep -c 'incorrect or not sufficient'";
        self.machine.run(script).await.ok().and_then(|done| done.stdout.trim().parse().ok()).unwrap_or_default()
    }

    /// What homed says of the employee's home, such as `inactive`; empty where there is no account.
    pub async fn home(&self) -> String {
        let list = self.machine.run("homectl list --no-pager --no-legend").await.map(|done| done.stdout).unwrap_or_default();
        list.split_whitespace().nth(3).unwrap_or_default().to_owned()
    }

    /// Lets the sign-in page come anew in another language, such as `de`.
    ///
    /// # Errors
    /// Where it does not come.
    pub async fn speaks(&mut self, language: &str) -> Result<()> {
        const STARTED: &str = "systemctl is-active -q lightdm && systemctl show -P InvocationID lightdm";
        let before = self.machine.run(STARTED).await?.stdout;
        let restart = "systemctl restart --no-block livery-no-data lightdm";
        self.machine.run(&format!("echo LANG={language}_XX.UTF-8 > /etc/locale.conf; {restart}")).await?.good()?;
        // The one before takes as long to end as whoever was signing in at it.
        let again = async || self.machine.run(STARTED).await.is_ok_and(|done| done.code == Some(0) && done.stdout != before);
        self.until("the sign-in page is started anew", again).await?;
        // LightDM begins a log at each start.
        self.asked = 0;
        self.display = connect(&self.machine, &self.folder).await?;
        self.asks("a name").await
    }

    /// Whether a program runs.
    pub async fn runs_program(&self, name: &str) -> bool {
        self.machine.run(&format!("pidof {name}")).await.is_ok_and(|done| done.code == Some(0))
    }

    /// Whether the session is locked; nothing where the locker does not answer.
    pub async fn locked(&self) -> Option<bool> {
        let script = format!(
            "timeout 5 runuser -u {ACCOUNT} -- env DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/60001/bus LANG=C xfce4-screensaver-command --query"
        );
        let said = self.machine.run(&script).await.ok()?.stdout;
        if said.contains("is active") { Some(true) } else { said.contains("is inactive").then_some(false) }
    }

    /// Waits until it has ended by itself, as when somebody restarts it.
    ///
    /// # Errors
    /// Where it goes on.
    pub async fn ended(self) -> Result<()> {
        self.machine.ended(MOST).await
    }
}

/// The X server's display, once that is there.
async fn connect(machine: &Machine, folder: &Path) -> Result<Display> {
    let begun = Instant::now();
    loop {
        match Display::connect(&machine.path("/tmp/.X11-unix/X0"), &machine.path("/run/lightdm/root/:0")) {
            Ok(display) => return Ok(display),
            Err(_) if begun.elapsed() < MOST => sleep(GLANCE).await,
            Err(fault) => {
                let journal = folder.join("failed-journal.txt");
                let _ = fs::write(&journal, machine.journal().await);
                return Err(fault.at(journal.display()));
            }
        }
    }
}

/// What the container has and a device has not, and the other way round.
fn furnish(root: &Root) -> Result<()> {
    root.write("etc/hosts", &format!("127.0.0.1 localhost\n{HERE} {GATEWAY}\n{SAAS_AT} {SAAS}\n"))?;
    // Of what is mounted from disks: the data partition is there already, or not at all.
    let fstab = root.path.join("etc/fstab");
    let lines = fs::read_to_string(&fstab).map_err(|error| failed("its fstab can't be read").cause(error))?;
    let lines: String = lines.lines().filter(|line| !line.starts_with("/dev/")).map(|line| format!("{line}\n")).collect();
    root.write("etc/fstab", &lines)?;
    root.write("etc/crypttab", "")?;
    let driver = Path::new("/").join(DRIVER);
    let to = root.path.join(DRIVER);
    let copied = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(&driver, &to));
    copied.map_err(|error| failed("xserver-xorg-video-dummy is missing").at(driver.display()).cause(error).fix("scripts/setup"))?;
    root.write("etc/X11/xorg.conf.d/50-screen.conf", SCREEN)?;
    root.write_program("usr/lib/livery-tests/keyboard", KEYBOARD)?;
    root.write(
        "etc/lightdm/lightdm.conf.d/90-container.conf",
        "[LightDM]\nlogind-check-graphical=false\n[Seat:*]\ndisplay-setup-script=/usr/lib/livery-tests/keyboard\n",
    )?;
    let environment = root.path.join("etc/security/pam_env.conf");
    let before = fs::read_to_string(environment).unwrap_or_default();
    root.write("etc/security/pam_env.conf", &(before + NO_TERMINAL))?;
    let cable = connection(&format!("192.168.76.2/24,{HERE}"));
    // Not among those that the employee keeps, over which the data partition is mounted.
    root.write_private("usr/lib/NetworkManager/system-connections/cable.nmconnection", &cable)
}

fn failed(what: &str) -> Fault {
    Fault::internal(format!("the laptop in its container: {what}"))
}
