//! How `run` is set up: a file on the medium, and flags over it. One struct for both.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use livery_contract::{Fault, Result, envelope::PublicKey};
use livery_store::Access;
use serde::{Deserialize, Serialize};

use crate::power::After;

pub(crate) const DEFAULT: &str = "/etc/livery/agent.toml";

/// Settings of the unattended flow. The doc comments are the flags' help.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The station's address, such as https://station.factory.example:8443
    #[arg(long, value_name = "URL")]
    pub station: Option<String>,
    /// PEM file of the only authority to trust for the station
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The station's job-signing public key, 64 hexadecimal digits (its job.pub)
    #[arg(long, value_name = "HEX")]
    pub job_key: Option<String>,
    /// The store's trusted root.json
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// What to do when the station has the record [default: stay]
    #[arg(long, value_name = "WHAT")]
    pub after: Option<After>,
    /// What to do after a failure, once --fail-hold is over [default: stay]
    #[arg(long, value_name = "WHAT")]
    pub after_failure: Option<After>,
    /// How long a failure stays on the screen before the program ends [default: forever]
    #[arg(long, value_name = "SECONDS")]
    pub fail_hold: Option<u64>,
    /// How long DONE stays on the screen before the device is switched off [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub done_hold: Option<u64>,
    /// Give up when the station has not answered for this long [default: never]
    #[arg(long, value_name = "SECONDS")]
    pub give_up_after: Option<u64>,
    /// Whether to add an entry to the firmware's boot menu [default: true]
    #[arg(long, value_name = "BOOL")]
    pub boot_entry: Option<bool>,
    /// Whether to bind the disk's content to this device's TPM, if there is one [default: true]
    #[arg(long, value_name = "BOOL")]
    pub bind: Option<bool>,
    /// Folder with db.auth, KEK.auth and PK.auth, for firmware in Secure Boot's setup mode [default: change no keys]
    #[arg(long, value_name = "DIR")]
    pub secure_boot: Option<PathBuf>,
    /// Another console for the messages, such as /dev/ttyS0; may be repeated
    #[arg(long = "console", value_name = "DEVICE")]
    #[serde(default)]
    pub consoles: Vec<PathBuf>,
}

/// Settings that are all there, read and checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub station: String,
    /// Authorities for TLS.
    pub access: Access,
    /// Who signs jobs and receipts.
    pub job_key: PublicKey,
    pub trust: Vec<u8>,
    pub after: After,
    pub after_failure: After,
    /// `None`: for ever.
    pub fail_hold: Option<Duration>,
    /// Before [`after`](Self::after).
    pub done_hold: Duration,
    /// `None`: never.
    pub give_up_after: Option<Duration>,
    pub boot_entry: bool,
    pub bind: bool,
    /// The organisation's Secure Boot variables.
    pub secure_boot: Option<PathBuf>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Exit 2 where it can't be read, or holds what we do not know.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Fault::usage("the configuration cannot be read")
                .at(path.display())
                .cause(error)
                .fix("name another file with --config FILE, or give --station URL and the other flags")
        })?;
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            Fault::usage(error.message().to_owned()).at(format!("{}:{line}", path.display()))
        })
    }

    /// These settings over those of a file.
    #[must_use]
    pub(crate) fn over(self, file: Self) -> Self {
        Self {
            station: self.station.or(file.station),
            ca: self.ca.or(file.ca),
            job_key: self.job_key.or(file.job_key),
            trust: self.trust.or(file.trust),
            after: self.after.or(file.after),
            after_failure: self.after_failure.or(file.after_failure),
            fail_hold: self.fail_hold.or(file.fail_hold),
            done_hold: self.done_hold.or(file.done_hold),
            give_up_after: self.give_up_after.or(file.give_up_after),
            boot_entry: self.boot_entry.or(file.boot_entry),
            bind: self.bind.or(file.bind),
            secure_boot: self.secure_boot.or(file.secure_boot),
            consoles: if self.consoles.is_empty() { file.consoles } else { self.consoles },
        }
    }

    /// Reads the files that it names.
    ///
    /// # Errors
    /// Exit 2 where something is missing or does not parse.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let needed = |what: &str, key: &str, flag: &str| {
            Fault::usage(format!("{what} is not set")).fix(format!("set `{key} = …` in {DEFAULT}, or pass {flag}"))
        };
        let station = self.station.clone().ok_or_else(|| needed("the station's address", "station", "--station URL"))?;
        let job_key = self.job_key.as_ref().ok_or_else(|| needed("the station's job key", "job_key", "--job-key HEX"))?;
        let trust = self.trust.as_ref().ok_or_else(|| needed("the store's trusted root", "trust", "--trust FILE"))?;
        let job_key = job_key.parse().map_err(|fault: Fault| {
            Fault::usage("the job key does not parse").cause(fault).fix("copy it from the station's job.pub")
        })?;
        Ok(Settings {
            station,
            access: access(self.ca.as_deref())?,
            job_key,
            trust: file(trust)?,
            after: self.after.unwrap_or_default(),
            after_failure: self.after_failure.unwrap_or_default(),
            fail_hold: self.fail_hold.map(Duration::from_secs),
            done_hold: Duration::from_secs(self.done_hold.unwrap_or(5)),
            give_up_after: self.give_up_after.map(Duration::from_secs),
            boot_entry: self.boot_entry.unwrap_or(true),
            bind: self.bind.unwrap_or(true),
            secure_boot: self.secure_boot.clone(),
        })
    }
}

/// The authorities of a PEM file; without one, the system's (for a store by hand).
///
/// # Errors
/// Exit 2 where it can't be read.
pub(crate) fn access(ca: Option<&Path>) -> Result<Access> {
    Ok(Access { authorities: ca.map(file).transpose()?.into_iter().collect() })
}

/// A small file that a flag names.
///
/// # Errors
/// Exit 2 where it can't be read, or has more than 1 MiB.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| std::io::Read::read_to_end(&mut std::io::Read::take(file, (1 << 20) + 1), &mut bytes))
        .map_err(|error| {
            Fault::usage("a file named in the configuration or in a flag cannot be read").at(path.display()).cause(error)
        })?;
    if bytes.len() > 1 << 20 {
        return Err(Fault::usage("a file named in the configuration or in a flag is far too large").at(path.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_file_of_the_medium_and_flags_over_it() {
        let text = "station = 'https://a.example'\nca = '/ca'\njob_key = 'aa'\ntrust = '/root.json'\nafter = 'power-off'\n";
        let file: Config = toml::from_str(text).unwrap();
        let flags = Config { station: Some("https://b.example".into()), fail_hold: Some(0), ..Config::default() };
        let both = flags.over(file);
        assert_eq!(both.station.as_deref(), Some("https://b.example"));
        assert_eq!((both.after, both.fail_hold), (Some(After::PowerOff), Some(0)));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, "station = 'x'\nstatoin = 'y'\n").unwrap();
        let fault = Config::read(&path).unwrap_err();
        assert_eq!(fault.exit().code(), 2);
        assert!(fault.render().contains("statoin") && fault.render().contains("agent.toml:2"), "{}", fault.render());
        assert!(Config::default().settings().unwrap_err().render().contains("--station"));
    }
}
