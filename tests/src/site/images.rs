//! What a site builds: images by profiles that it writes, personal ones, the agent's medium. Each is quick where nothing has changed.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use livery_contract::{Digest, Fault, Reference, Result, manifest::Role};
use serde_json::Value;

use super::{CHECK, STATION, Site, broken, copy_dated, text, told, write_if_other};
use crate::{
    citrix_client,
    programs::{self, Program},
    raw_disk,
};

/// Settings of Citrix's client, in those images that have its stand-in.
const CLIENT_SETTINGS: &str = "\"wfclient.ini [Thinwire3.0] InvertCursorEnabled=True\", \
    \"All_Regions.ini [Virtual Channels\\\\Drives] CDMAllowed=False\"";
/// A build from nothing: packages over the network, two systems, compression.
const BUILD: Duration = Duration::from_secs(40 * 60);

/// What a terminal's profile may allow, and ours does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// As it ships.
    Nothing,
    /// Printing, USB sticks, newer images; on a screen of 24 inches with 2560 by 1440 pixels.
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

    /// The same terminal, for disks of any sector size, with a last partition that takes the rest of a larger disk; it takes USB sticks.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn build_for_any_disk(&self) -> Result<Reference> {
        let path = self.folder.join("terminal-any-disk.toml");
        let profile = "# The organisation's terminal, for any disk.\n\
            schema = 1\nextends = \"terminal.toml\"\n\n[image]\nsectors = \"any\"\ngrow = true\n\n\
            [kiosk]\nusb-storage = true\n";
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
            let _turn = self.turn("client").await?;
            self.livery(["store", "allow", &text(&self.store()), "--restricted"], Duration::from_secs(60)).await?;
            citrix_client::make(&client, &own, true, &citrix_client::program()?).await?
        };
        let name = allow.name();
        let path = self.folder.join(format!("{name}.toml"));
        let (packages, kiosk, sections) = match allow {
            Allow::Nothing => ("", "", String::new()),
            // And a printer, which is a program here: CUPS' own for those who write printers' software.
            Allow::All => (
                ", \"cups\", \"avahi-daemon\", \"cups-ipp-utils\"",
                "printing = true\nusb-storage = true\nscale = \"1.25\"\n",
                format!("\n[updates]\nstore = \"https://{STATION}:8443/store/\"\nstore-ca = \"station/ca.pem\"\n"),
            ),
        };
        let settings = format!(
            "[packages]\ninstall = {{ add = [\"grim\", \"wtype\", \"xwayland\"{packages}] }}\n\n\
             [kiosk]\nconnectivity-check = \"http://{CHECK}/\"\n{kiosk}\n\
             [citrix]\ndevice-trust = true\nclient-settings = [{CLIENT_SETTINGS}]\n{sections}\n\
             [[packages.supplied]]\npath = \"client.deb\"\nsha256 = \"{digest}\"\npackage = \"icaclient\"\n\
             version = \"{}\"\nlicence = \"Stand-in EULA\"\naccept-licence = \"I have read and accept Stand-in EULA\"\n",
            citrix_client::VERSION
        );
        let version = match allow {
            Allow::Nothing => String::new(),
            Allow::All => format!("version = \"{}\"\n", self.version(1, ["base", "terminal"], &settings)?),
        };
        let profile = format!(
            "# The organisation's terminal, with what presses keys and takes pictures where there is no screen, and a client.\n\
             schema = 1\nextends = \"terminal.toml\"\nname = \"{name}\"\n{version}\n{settings}"
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

    /// A version of this number that names what an image is made from: profiles of the repository, our programs, and what else is said.
    /// A store takes no other image of the same version.
    ///
    /// # Errors
    /// Where one of them can't be read.
    pub fn version(&self, number: u32, profiles: [&str; 2], more: &str) -> Result<String> {
        let profiles = profiles.map(|name| self.root.join(format!("profiles/{name}.toml")));
        let programs = programs::of_images()?;
        let of = profiles.iter().chain(&programs).map(|path| raw_disk::digest_all(path)).collect::<Result<Vec<_>>>()?;
        let of = of.iter().fold(more.to_owned(), |text, digest| format!("{text}{digest}"));
        Ok(format!("{number}.{:.8}", Digest::of(of.as_bytes()).to_string()))
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
        let name = profile.file_stem().unwrap_or_default().to_string_lossy();
        let _turn = self.turn(&format!("build-{name}")).await?;
        let (store, keys, cache) = (text(&self.store()), text(&self.keys()), text(&self.cache()));
        if self.store().join("metadata/timestamp.json").exists() {
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
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        let _turn = self.turn(&format!("medium-{name}")).await?;
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
}
