//! The flags, as clap reads them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use livery_contract::Reference;
use livery_store::Location;

use crate::{config::Config, update::settings};

const EXAMPLES: &str = "\
Examples:
  livery-agent inventory
  livery-agent write terminal@2026.11 --from ./store --trust root.json --disk disk.img
  livery-agent verify terminal@2026.11 --from https://station.example:8443/store/ --ca ca.pem \\
      --trust root.json --disk /dev/nvme0n1
  livery-agent write terminal@2026.11 --from s3://images/livery --trust root.json --disk /dev/sda
  livery-agent run --config /etc/livery/agent.toml
  livery-agent update --json

Exit codes: 0 done (write: and verified), 1 a fault of this program, 2 wrong usage,
3 refused, nothing was changed, 4 not trusted, 5 source failed, 6 device failed. Interrupted: 3 before the first byte is written, 6 afterwards.";

/// Writes an image to this device's disk, reads all of it back, and proves the result.
#[derive(Debug, Parser)]
#[command(name = "livery-agent", version, after_help = EXAMPLES)]
pub struct Cli {
    /// JSON on standard output: one object, or for `run` one event per line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what this device is: system, disks, network interfaces
    Inventory,
    /// Write an image to a disk or file, read it back, print the record (JSON)
    Write(Write),
    /// Read a disk or file back and compare it with an image; changes nothing
    Verify(Which),
    /// The unattended flow: enrol with the station, do its job, report
    Run(Run),
    /// On a device in use: download a newer image to the other slot; the next start boots it once on trial
    Update(Update),
    /// On a device in use: keep the newer image that is on trial, if it came up healthy
    Bless(OfTheImage),
}

/// Which image, from where, on which disk.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The image: NAME@VERSION or NAME@VERSION/ORDER
    #[arg(value_name = "REF")]
    pub reference: Reference,
    /// The store: a folder, an https:// URL, or s3://BUCKET/PREFIX with credentials, region and endpoint by AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and AWS_ENDPOINT_URL
    #[arg(long, value_name = "DIR|URL")]
    pub from: Location,
    /// The store's trusted root.json
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,
    /// The disk, or a regular file that stands for one; it must exist
    #[arg(long, value_name = "PATH")]
    pub disk: PathBuf,
    /// PEM file of the only authority to trust for the store's server [default: the system's authorities]
    #[arg(long, value_name = "PEM")]
    pub ca: Option<PathBuf>,
}

/// `write`.
#[derive(Debug, Args)]
pub(super) struct Write {
    /// Which image, from where, on which disk.
    #[command(flatten)]
    pub which: Which,
    /// Allow a removable or USB disk
    #[arg(long)]
    pub removable: bool,
    /// Do not add an entry to this machine's boot menu
    #[arg(long)]
    pub no_boot_entry: bool,
    /// The disk stays in this machine: bind it to this machine's TPM, if there is one
    #[arg(long)]
    pub bind: bool,
    /// Also write the record to this file
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// `run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Configuration file; command-line flags override it [default: /etc/livery/agent.toml if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings.
    #[command(flatten)]
    pub settings: Config,
}

/// `update`.
#[derive(Debug, Args)]
pub(super) struct Update {
    /// What the image says of itself.
    #[command(flatten)]
    pub image: OfTheImage,
    /// The store's trusted root.json
    #[arg(long, value_name = "FILE", default_value = settings::TRUST)]
    pub trust: PathBuf,
}

/// What the image says of itself.
#[derive(Debug, Args)]
pub(super) struct OfTheImage {
    /// File with the image's name and its store
    #[arg(long, value_name = "FILE", default_value = settings::PLACE)]
    pub config: PathBuf,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["livery-agent", "run", "--station", "https://a.example", "--after", "power-off"]).unwrap();
        assert!(matches!(
            cli.command,
            Command::Run(Run { settings: Config { after: Some(crate::power::After::PowerOff), .. }, .. })
        ));
        assert_eq!(Cli::try_parse_from(["livery-agent", "write"]).unwrap_err().exit_code(), 2);
    }
}
