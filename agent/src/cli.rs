//! The command line: flags in, one library call, output and exit code out.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand};
use livery_contract::{Exit, Fault, Reference, Result, inventory::Inventory};
use livery_store::Location;
use serde::Serialize;

use crate::{
    config::{self, Config},
    console::{Console, bytes},
    flow::{
        flash::Stays,
        hand::{self, Order},
        run,
    },
    inventory,
    update::{self, settings},
    verify::compare::{BackupGpt, Comparison},
    work::{stop::Stop, threads::blocking},
};

const EXAMPLES: &str = "\
Examples:
  livery-agent inventory
  livery-agent write terminal@2026.11 --from ./store --trust root.json --disk disk.img
  livery-agent verify terminal@2026.11 --from https://station.example:8443/store/ --ca ca.pem --trust root.json --disk /dev/nvme0n1
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
    json: bool,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
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
struct Which {
    /// The image: NAME@VERSION or NAME@VERSION/ORDER
    #[arg(value_name = "REF")]
    reference: Reference,
    /// The store: a folder, an https:// URL, or s3://BUCKET/PREFIX with credentials, region and endpoint by AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and AWS_ENDPOINT_URL
    #[arg(long, value_name = "DIR|URL")]
    from: Location,
    /// The store's trusted root.json
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// The disk, or a regular file that stands for one; it must exist
    #[arg(long, value_name = "PATH")]
    disk: PathBuf,
    /// PEM file of the only authority to trust for the store's server [default: the system's authorities]
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
}

/// `write`.
#[derive(Debug, Args)]
struct Write {
    /// Which image, from where, on which disk.
    #[command(flatten)]
    which: Which,
    /// Allow a removable or USB disk
    #[arg(long)]
    removable: bool,
    /// Do not add an entry to this machine's boot menu
    #[arg(long)]
    no_boot_entry: bool,
    /// The disk stays in this machine: bind it to this machine's TPM, if there is one
    #[arg(long)]
    bind: bool,
    /// Also write the record to this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// `run`.
#[derive(Debug, Args)]
struct Run {
    /// Configuration file; command-line flags override it [default: /etc/livery/agent.toml if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Settings.
    #[command(flatten)]
    settings: Config,
}

/// `update`.
#[derive(Debug, Args)]
struct Update {
    /// What the image says of itself.
    #[command(flatten)]
    image: OfTheImage,
    /// The store's trusted root.json
    #[arg(long, value_name = "FILE", default_value = settings::TRUST)]
    trust: PathBuf,
}

/// What the image says of itself.
#[derive(Debug, Args)]
struct OfTheImage {
    /// File with the image's name and its store
    #[arg(long, value_name = "FILE", default_value = settings::PLACE)]
    config: PathBuf,
}

/// Does what the command line says, and shows the fault where it fails.
pub async fn main(cli: Cli) -> Exit {
    match command(&cli).await {
        Ok(()) => Exit::Done,
        Err(fault) => {
            eprintln!("{}", fault.render());
            if cli.json {
                let _ = print(&serde_json::json!({ "error": fault.report() }), false);
            }
            fault.exit()
        }
    }
}

async fn command(cli: &Cli) -> Result<()> {
    let stop = Stop::on_signals()?;
    match &cli.command {
        Command::Inventory => {
            let inventory = inventory::read()?;
            if cli.json { print(&inventory, false) } else { say(&describe(&inventory)) }
        }
        Command::Write(write) => {
            let console = Console::new(false, &[]);
            let (trust, which) = (config::file(&write.which.trust)?, &write.which);
            let order = order(which, &trust)?;
            if let Some(path) = &write.record {
                check_folder(path)?;
            }
            let stays = Stays { boot_entry: !write.no_boot_entry, bind: write.bind };
            let record = hand::write(&order, write.removable, stays, &console, &stop).await?;
            console.say(format!(
                "done: {} bytes written, {} read back and compared; {} fetched",
                record.traffic.written, record.traffic.verified, record.traffic.fetched
            ));
            if let Some(path) = &write.record {
                save(path, &record)?;
            }
            print(&record, !cli.json)
        }
        Command::Verify(which) => {
            let console = Console::new(false, &[]);
            let trust = config::file(&which.trust)?;
            let comparison = hand::verify(&order(which, &trust)?, &console, &stop).await?;
            if cli.json { print(&comparison, false) } else { say(&table(&comparison)) }
        }
        Command::Run(flags) => {
            let file = match &flags.config {
                Some(path) => Config::read(path)?,
                None if Path::new(config::DEFAULT).exists() => Config::read(Path::new(config::DEFAULT))?,
                None => Config::default(),
            };
            let config = flags.settings.clone().over(file);
            let console = Console::new(cli.json, &config.consoles);
            run::run(&config.settings()?, &console, &stop).await.map(|_| ())
        }
        Command::Update(Update { image, trust }) => {
            let console = Console::new(false, &[]);
            let outcome = update::run(&image.config, trust, &console, &stop).await?;
            if cli.json { print(&outcome, false) } else { say(&outcome.words()) }
        }
        Command::Bless(image) => {
            let (place, stop) = (image.config.clone(), stop.clone());
            let blessed = blocking(move || update::bless::run(&place, &stop)).await?;
            if cli.json { print(&blessed, false) } else { say(&blessed.words()) }
        }
    }
}

fn order<'a>(which: &'a Which, trust: &'a [u8]) -> Result<Order<'a>> {
    let access = config::access(which.ca.as_deref())?;
    Ok(Order { reference: &which.reference, from: &which.from, trust, access, disk: &which.disk })
}

/// Said before the disk is touched, not after an hour.
fn check_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() { Ok(()) } else { Err(Fault::usage("the folder for the record does not exist").at(folder.display())) }
}

/// In whole or not at all.
fn save(path: &Path, record: &impl Serialize) -> Result<()> {
    let fail = |error: std::io::Error| {
        Fault::internal("the disk is written and verified, but its record could not be saved").at(path.display()).cause(error)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    serde_json::to_writer_pretty(&mut file, record).map_err(|error| fail(error.into()))?;
    file.write_all(b"\n").and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

fn print(value: &impl Serialize, pretty: bool) -> Result<()> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    say(&text.map_err(|error| Fault::internal("output is plain data").cause(error))?)
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(|error| Fault::internal("standard output is closed").cause(error))
}

fn table(comparison: &Comparison) -> String {
    let mut lines = vec![format!("{:12} {:>14} {:>14}  SHA-256 as read back", "section", "offset", "bytes")];
    for section in &comparison.sections {
        lines.push(format!("{:12} {:>14} {:>14}  {}", section.name, section.offset, section.length, section.sha256));
    }
    for change in &comparison.changed_after {
        lines.push(format!("{:12} {:>14} {:>14}  {} ({})", "changed", change.offset, change.length, change.sha256, change.reason));
    }
    lines.push(match comparison.backup_gpt {
        BackupGpt::Moved => "the disk holds the image; its backup GPT was moved to the disk's end, as the finish step does".into(),
        BackupGpt::AsInImage => {
            "the disk holds the image, but its backup GPT is not at the disk's end: the finish step did not run".into()
        }
        BackupGpt::InPlace => "the disk holds the image".into(),
    });
    lines.join("\n")
}

fn describe(inventory: &Inventory) -> String {
    let or = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let system = &inventory.system;
    let mut lines = vec![
        format!(
            "system    {} {}, serial {}, UUID {}",
            or(&system.manufacturer),
            or(&system.product),
            or(&system.serial),
            or(&system.uuid)
        ),
        format!(
            "firmware  {}, Secure Boot {}",
            if inventory.firmware.uefi { "UEFI" } else { "not UEFI" },
            match inventory.firmware.secure_boot {
                Some(true) => "on",
                Some(false) => "off",
                None => "unknown",
            }
        ),
    ];
    for disk in &inventory.disks {
        let free = if disk.held_by.is_empty() { "free".into() } else { disk.held_by.join("; ") };
        lines.push(format!(
            "disk      {} {:?} {}, model {}, serial {}, sectors {}/{}{}{}: {free}",
            disk.path,
            disk.transport,
            bytes(disk.size),
            disk.model.as_deref().unwrap_or("unknown"),
            disk.serial.as_deref().unwrap_or("unknown"),
            disk.logical_sector,
            disk.physical_sector,
            if disk.removable { ", removable" } else { "" },
            if disk.read_only { ", read-only" } else { "" },
        ));
    }
    for nic in &inventory.nics {
        let usb = if nic.usb { ", USB" } else { "" };
        lines.push(format!("network   {} {} ({}{usb})", nic.name, nic.mac, nic.driver.as_deref().unwrap_or("no driver")));
    }
    lines.join("\n")
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

    #[test]
    fn a_record_is_saved_in_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        save(&path, &serde_json::json!({ "a": 1 })).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"a\": 1\n}\n");
        assert_eq!(check_folder(&folder.path().join("none/record.json")).unwrap_err().exit().code(), 2);
    }
}
