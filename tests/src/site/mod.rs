//! One organisation and its factory, as a folder: signing keys, authorities, a profile, a store, the agent's medium. What is built into
//! its store is in `images`.
//!
//! Keys and authorities are made once and kept, so that a second run finds what the first one built. Whoever works on the
//! folder holds its lock: tests run in several processes.

mod images;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use livery_contract::{Fault, Result, roster, roster::Employee};
use nix::fcntl::Flock;

pub use self::images::Allow;
use crate::{
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

/// See the module.
pub struct Site {
    /// The repository.
    pub root: PathBuf,
    /// Where all of it lies.
    pub folder: PathBuf,
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
        let _turn = site.turn("site").await?;
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

    /// Waits until nobody else makes the same here. `livery` itself has those wait that write to the store.
    async fn turn(&self, what: &str) -> Result<Flock<File>> {
        turn::of(&self.folder.join(format!("{what}.turn"))).await
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
