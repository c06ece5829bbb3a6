//! One organisation and its factory, as a folder: signing keys, authorities, a profile, a store, the agent's medium.
//!
//! Keys and authorities are made once and kept, so that a second run finds what the first one built. Whoever works on the
//! folder holds its lock: tests run in several processes.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use livery_contract::{Fault, Reference, Result, manifest::Role, roster, roster::Employee};
use nix::fcntl::Flock;
use serde_json::Value;

use crate::{
    citrix_client,
    gateway::pki,
    programs::{Done, Program},
    turn,
};

/// What devices call the station.
pub const STATION: &str = "station.factory.example";
/// What devices call the Gateway; the profile says so.
pub const GATEWAY: &str = "gateway.assurance.example";
/// The time server of its devices; the profile says so.
pub const TIME: &str = "time.assurance.example";
/// What the profile has devices ask whether a network has a sign-in page of its own.
pub const CHECK: &str = "check.assurance.example";
/// Settings of Citrix's client, in those images that have its stand-in.
const CLIENT_SETTINGS: &str = "\"wfclient.ini [Thinwire3.0] InvertCursorEnabled=True\", \
    \"All_Regions.ini [Virtual Channels\\\\Drives] CDMAllowed=False\"";
/// A build from nothing: packages over the network, two systems, compression.
const BUILD: Duration = Duration::from_secs(40 * 60);

/// See the module.
pub struct Site {
    /// The repository.
    pub root: PathBuf,
    /// Where all of it lies.
    pub folder: PathBuf,
}

/// What a terminal's profile may allow, and ours does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// As it ships.
    Nothing,
    /// Printing, USB sticks; on a screen of 24 inches with 2560 by 1440 pixels.
    All,
}

impl Allow {
    /// What images with it are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "terminal-on-a-virtual-screen",
            Self::All => "open-terminal-on-a-virtual-screen",
        }
    }
}

impl Site {
    /// The one that demo and tests share: `out/site`.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub async fn shared() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().map_err(|error| Fault::refused("the repository is gone").cause(error).at(root.display()))?;
        let folder = root.join("out/site");
        Self::at(root, folder).await
    }

    /// In this folder; keys, authorities and profile are made where absent.
    ///
    /// # Errors
    /// Where the folder can't be written or a program fails.
    pub async fn at(root: PathBuf, folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).map_err(|error| broken(&folder, error))?;
        let site = Self { root, folder };
        let _lock = site.lock().await?;
        // A folder from before there were all of these keys is given those that it lacks.
        if ["root.json", "secure-boot.pem", "identity.pem"].iter().any(|name| !site.keys().join(name).exists()) {
            site.livery(["keygen", "--out", &text(&site.keys())], Duration::from_secs(60)).await?;
        }
        if !site.station_keys().join("job.pub").exists() {
            let arguments = ["keygen", "--out", &text(&site.station_keys()), "--host", STATION, "localhost", "127.0.0.1"];
            Program::Station.run(arguments).await?.good()?;
        }
        pki::identity(&site.authority(), "Assurance", &[GATEWAY.into()])?;
        let profile = format!(
            "# The organisation's terminal, with this site's own authority in place of the example.\n\
             schema = 1\nextends = \"{}\"\n\n[trust]\nauthorities = [\"ca/ca.pem\"]\n\n\
             [time]\nservers = [\"{TIME}\"]\n\n{}",
            text(&site.root.join("profiles/terminal.toml")),
            told()
        );
        write_if_other(&site.profile(), &profile)?;
        Ok(site)
    }

    /// Keys that sign the store.
    pub fn keys(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// The public root that agent and station trust.
    pub fn trust(&self) -> PathBuf {
        self.keys().join("root.json")
    }

    /// The station's keys.
    pub fn station_keys(&self) -> PathBuf {
        self.folder.join("station")
    }

    /// The organisation's certificate authority.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca")
    }

    /// The terminal's profile.
    pub fn profile(&self) -> PathBuf {
        self.folder.join("terminal.toml")
    }

    /// The sample roster.
    pub fn roster(&self) -> PathBuf {
        self.root.join("profiles/sample-roster.csv")
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// The stick with the agent on it.
    pub fn stick(&self) -> PathBuf {
        self.folder.join("medium/agent-usb.img")
    }

    /// The employees of the sample roster.
    ///
    /// # Errors
    /// Where it can't be read or has errors.
    pub fn employees(&self) -> Result<Vec<Employee>> {
        let path = self.roster();
        roster::read(&path, File::open(&path)).map(|(_, employees)| employees)
    }

    /// `livery check` on the profile: silent.
    ///
    /// # Errors
    /// Where it says anything.
    pub async fn check(&self) -> Result<()> {
        let done = self.livery(["check", &text(&self.profile())], Duration::from_secs(60)).await?;
        match (done.stdout + done.stderr.as_str()).trim() {
            "" => Ok(()),
            said => Err(Fault::refused(format!("a good profile is not accepted silently: {said}")).at(self.profile().display())),
        }
    }

    /// `livery build`: the master's reference. Quick where nothing has changed.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn build(&self) -> Result<Reference> {
        self.build_from(&self.profile()).await
    }

    /// The same terminal, for disks of any sector size, with a last partition that takes the rest of a larger disk.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn build_for_any_disk(&self) -> Result<Reference> {
        let path = self.folder.join("terminal-any-disk.toml");
        let profile = "# The organisation's terminal, for any disk.\n\
            schema = 1\nextends = \"terminal.toml\"\n\n[image]\nsectors = \"any\"\ngrow = true\n";
        write_if_other(&path, profile)?;
        self.build_from(&path).await
    }

    /// The same terminal with an encrypted data partition.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn build_with_data(&self) -> Result<Reference> {
        let path = self.folder.join("terminal-with-data.toml");
        let profile = "# The organisation's terminal, with a data partition of the device's own.\n\
            schema = 1\nextends = \"terminal.toml\"\nname = \"terminal-with-data\"\n\n[image]\ndata = \"/srv\"\n";
        write_if_other(&path, profile)?;
        self.build_from(&path).await
    }

    /// The organisation's laptop, which trusts this tunnel's key (Base64), by a profile of this name, with further settings in it: first those of the top, then sections.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn build_laptop_with(&self, name: &str, tunnel_key: &str, settings: &str) -> Result<Reference> {
        let path = self.folder.join(format!("{name}.toml"));
        let profile = format!(
            "# The organisation's laptop, with this site's own authority and concentrator.\n\
             schema = 1\nextends = \"{}\"\n{settings}\n[trust]\nauthorities = [\"ca/ca.pem\"]\n\n[tunnel]\npublic-key = \"{tunnel_key}\"\n\n{}",
            text(&self.root.join("profiles/laptop.toml")),
            told()
        );
        write_if_other(&path, &profile)?;
        self.build_from(&path).await
    }

    /// The same terminal with what presses keys and takes pictures where there is no screen, and with a stand-in for Citrix's client,
    /// for which the site's store is marked; with all that a profile can [`Allow`] besides, or nothing.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn build_for_a_virtual_screen(&self, allow: Allow) -> Result<Reference> {
        let authority = self.root.join("profiles/ca/assurance-root.pem");
        let own = fs::read_to_string(&authority).map_err(|error| broken(&authority, error))?;
        let client = self.client();
        let digest = {
            let _lock = self.lock().await?;
            self.livery(["store", "allow", &text(&self.store()), "--restricted"], Duration::from_secs(60)).await?;
            citrix_client::make(&client, &own, true, &citrix_client::program()?).await?
        };
        let name = allow.name();
        let path = self.folder.join(format!("{name}.toml"));
        let (packages, kiosk) = match allow {
            Allow::Nothing => ("", ""),
            // And a printer, which is a program here: CUPS' own for those who write printers' software.
            Allow::All => {
                (", \"cups\", \"avahi-daemon\", \"cups-ipp-utils\"", "printing = true\nusb-storage = true\nscale = \"1.25\"\n")
            }
        };
        let profile = format!(
            "# The organisation's terminal, with what presses keys and takes pictures where there is no screen, and a client.\n\
             schema = 1\nextends = \"terminal.toml\"\nname = \"{name}\"\n\n\
             [packages]\ninstall = {{ add = [\"grim\", \"wtype\", \"xwayland\"{packages}] }}\n\n\
             [kiosk]\nconnectivity-check = \"http://{CHECK}/\"\n{kiosk}\n\
             [citrix]\ndevice-trust = true\nclient-settings = [{CLIENT_SETTINGS}]\n\n\
             [[packages.supplied]]\npath = \"client.deb\"\nsha256 = \"{digest}\"\npackage = \"icaclient\"\n\
             version = \"{}\"\nlicence = \"Stand-in EULA\"\naccept-licence = \"I have read and accept Stand-in EULA\"\n",
            citrix_client::VERSION
        );
        write_if_other(&path, &profile)?;
        let lock = path.with_extension("lock");
        if !lock.exists() {
            // What it has more than the terminal is added to the terminal's root, which is made already.
            self.build().await?;
            // Older than its profile, so that the rest is added.
            copy_dated(&self.profile().with_extension("lock"), &lock, SystemTime::UNIX_EPOCH)?;
        }
        self.build_from(&path).await
    }

    /// The client's .deb of those images.
    pub fn client(&self) -> PathBuf {
        self.folder.join("client.deb")
    }

    /// An image of a profile that a test writes, at this path in the site's folder.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn build_with(&self, path: &Path, profile: &str) -> Result<Reference> {
        write_if_other(path, profile)?;
        self.build_from(path).await
    }

    /// `livery refresh`: signatures that have not run out.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn refresh(&self) -> Result<()> {
        let (store, keys) = (text(&self.store()), text(&self.keys()));
        self.livery(["refresh", "--store", &store, "--keys", &keys], Duration::from_secs(60)).await.map(drop)
    }

    async fn build_from(&self, profile: &Path) -> Result<Reference> {
        let _lock = self.lock().await?;
        let (store, keys, cache) = (text(&self.store()), text(&self.keys()), text(&self.cache()));
        if self.store().join("metadata").exists() {
            // They may have since the last time.
            self.refresh().await?;
        }
        self.lock_packages(profile).await?;
        let arguments = ["build", &text(profile), "--locked", "--store", &store, "--keys", &keys, "--cache", &cache];
        let done = self.livery(arguments, BUILD).await?;
        done.stdout.lines().last().unwrap_or_default().parse()
    }

    /// `livery lock`, with the .debs into the store, where that was not done since the profiles or the program changed.
    async fn lock_packages(&self, profile: &Path) -> Result<()> {
        let lockfile = profile.with_extension("lock");
        let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
        let sources = ["base", "terminal", "laptop"].map(|name| self.root.join(format!("profiles/{name}.toml")));
        let sources = sources.into_iter().chain([self.profile(), profile.to_owned(), Program::Livery.path()?]);
        let newest = sources.map(|path| modified(&path).map_err(|error| broken(&path, error))).collect::<Result<Vec<_>>>()?;
        if modified(&lockfile).is_ok_and(|locked| newest.iter().all(|source| *source < locked)) {
            return Ok(());
        }
        let (store, cache) = (text(&self.store()), text(&self.cache()));
        self.livery(["lock", &text(profile), "--store", &store, "--cache", &cache], BUILD).await?;
        // Where nothing differed it was not written.
        let touch = File::options().append(true).open(&lockfile).and_then(|file| file.set_modified(SystemTime::now()));
        touch.map_err(|error| broken(&lockfile, error))
    }

    /// Where a partition of an image lies, and how long it is, in bytes.
    ///
    /// # Errors
    /// Where the image is not in the store, or has no such partition.
    pub async fn place(&self, image: &Reference, role: Role) -> Result<(u64, u64)> {
        let (image, store) = (image.to_string(), text(&self.store()));
        let shown: Value = Program::Livery.run(["inspect", &image, "--store", &store, "--json"]).await?.good()?.json()?;
        let partitions = shown["manifest"]["partitions"].as_array().into_iter().flatten();
        let partition = partitions.into_iter().find(|partition| partition["role"] == role.as_str());
        let place = |key: &str| {
            partition
                .and_then(|partition| partition[key].as_u64())
                .ok_or_else(|| Fault::internal(format!("{image} has no {} partition", role.as_str())))
        };
        Ok((place("offset")?, place("length")?))
    }

    /// `livery personalise`: one reference for each employee of `roster`.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn personalise(&self, master: &Reference, roster: &Path) -> Result<Vec<Reference>> {
        let _lock = self.lock().await?;
        let (store, keys) = (text(&self.store()), text(&self.keys()));
        let master = master.to_string();
        let arguments = ["personalise", &master, "--roster", &text(roster), "--store", &store, "--keys", &keys];
        self.livery(arguments, Duration::from_secs(300)).await?.stdout.lines().map(str::parse).collect()
    }

    /// `livery medium`: the stick of [`stick`](Self::stick).
    ///
    /// # Errors
    /// Where it fails.
    pub async fn medium(&self) -> Result<()> {
        self.medium_by(&self.keys(), &self.folder.join("medium")).await
    }

    /// The same with other keys, into another folder.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn medium_by(&self, keys: &Path, out: &Path) -> Result<()> {
        let _lock = self.lock().await?;
        let profile = text(&self.root.join("profiles/agent.toml"));
        let (keys, out, cache) = (text(keys), text(out), text(&self.cache()));
        let station = format!("https://{STATION}:8443");
        let (ca, key) = (text(&self.station_keys().join("ca.pem")), text(&self.station_keys().join("job.pub")));
        let arguments = [
            "medium",
            "--profile",
            &profile,
            "--keys",
            &keys,
            "--out",
            &out,
            "--cache",
            &cache,
            "--station",
            &station,
            "--station-ca",
            &ca,
            "--job-key",
            &key,
        ];
        self.livery(arguments, BUILD).await.map(drop)
    }

    /// What stages have made, by the digest of what they were made from; `LIVERY_STAGES` names another folder (scripts/lib.sh).
    pub fn cache(&self) -> PathBuf {
        std::env::var_os("LIVERY_STAGES").map_or_else(|| self.root.join("target/livery-cache"), PathBuf::from)
    }

    /// Runs `livery`, its progress on this program's standard error.
    async fn livery<const N: usize>(&self, arguments: [&str; N], most: Duration) -> Result<Done> {
        let mut command = Program::Livery.command(arguments)?;
        command.stderr(std::process::Stdio::inherit());
        crate::programs::run(command, "livery", most).await?.good()
    }

    /// Waits until nobody else works here.
    async fn lock(&self) -> Result<Flock<File>> {
        turn::of(&self.folder.join("lock")).await
    }
}

/// Whom this organisation's devices tell what took effect.
fn told() -> String {
    format!("[confirm]\nstation = \"https://{STATION}:8443\"\nstation-ca = \"station/ca.pem\"\n")
}

/// Copies a lockfile; whether a profile is newer than its lock goes by the file's time.
///
/// # Errors
/// Where it can't be read or written.
pub fn copy_dated(from: &Path, to: &Path, at: SystemTime) -> Result<()> {
    let copied = fs::copy(from, to).and_then(|_| File::options().append(true).open(to)?.set_modified(at));
    copied.map_err(|error| broken(to, error))
}

/// A file that stays as it was keeps its time too.
fn write_if_other(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|now| now == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| broken(path, error))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::refused("the site's folder can't be used").cause(error).at(path.display())
}
