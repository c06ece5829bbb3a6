//! The commands of `livery`, and their flags.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use livery_contract::{Name, Reference, Version};
use livery_store::Location;

use crate::{
    image::export,
    lock::{command as lock, supply::Terms},
    progress::Progress,
    route::command as route,
    saas::update as saas,
    stages::workshop::Setup,
};

const EXAMPLES: &str = "\
Examples:
  livery keygen --out keys
  livery new terminal our-terminal.toml --extends profiles/base.toml
  livery check profiles/*.toml
  livery explain profiles/terminal.toml citrix.store-url
  livery schema > profiles/livery.schema.json
  livery route profiles/laptop.toml https://teams.microsoft.com/ intranet.corp.assurance.example
  livery saas update profiles/saas/microsoft365.toml
  livery lock profiles/terminal.toml --store store
  livery lock --update profiles/terminal.toml
  livery build profiles/terminal.toml --store store --keys keys
  livery import windows.raw --profile profiles/windows.toml --store store --keys keys
  livery codes roster.csv --out codes.csv
  livery personalise terminal@2026.11 --roster roster.csv --store store --keys keys
  livery list --store store
  livery store allow store --restricted
  livery export terminal@2026.11/ORD-1001 --store store --format qcow2 device.qcow2
  livery recover record.json --keys safe
  livery sbom terminal@2026.11 --store store > terminal.spdx.json
  livery diff terminal@2026.10 terminal@2026.11 --store store
  livery inspect terminal@2026.11 --store s3://images/livery --trust root.json

Exit codes: 0 done; 1 a fault of this program; 2 wrong usage; 3 refused, nothing was changed; 4 not trusted; 5 the source failed; 6 the device failed.";

/// Builds, signs and keeps the images that devices are made with.
#[derive(Debug, Parser)]
#[command(name = "livery", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Machine-readable output on standard output: one object, or one event per line.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Where a store is and which keys to trust.
#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// The store: a folder, an https:// URL, or s3://BUCKET/PREFIX with credentials from the AWS_... variables.
    #[arg(long)]
    pub(super) store: Location,
    /// The root.json that `livery keygen` made; by default the store's own, which is enough to inspect a store, not to verify it.
    #[arg(long)]
    pub(super) trust: Option<PathBuf>,
    /// Certificate (PEM) of the authority that vouches for the store's server.
    #[arg(long)]
    pub(super) ca: Vec<PathBuf>,
}

/// Where stages keep their results.
#[derive(Debug, clap::Args)]
pub(super) struct CacheArgs {
    /// Folder for the results of stages; by default `livery` in the user's cache folder.
    #[arg(long, env = "LIVERY_CACHE")]
    pub(super) cache: Option<PathBuf>,
}

/// What stages work with.
#[derive(Debug, clap::Args)]
pub(super) struct BuildArgs {
    #[command(flatten)]
    pub(super) cache: CacheArgs,
    #[command(flatten)]
    pub(super) terms: Terms,
}

impl BuildArgs {
    pub(super) fn setup(self, progress: &Progress) -> Setup {
        Setup { cache: self.cache.cache, terms: self.terms, progress: progress.clone() }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the private keys that sign a store, and root.json, the public root that others trust.
    Keygen {
        /// The folder for the new keys.
        #[arg(long)]
        out: PathBuf,
    },
    /// Check profiles: prints nothing and returns 0, or reports what is wrong, where, and how to fix it.
    Check {
        /// Profiles (TOML).
        #[arg(required = true)]
        profiles: Vec<PathBuf>,
    },
    /// Show a setting's value in a profile and every place that sets it; without KEY, one line per setting.
    Explain {
        /// The profile (TOML); it may be abstract, and may have errors elsewhere.
        profile: PathBuf,
        /// A setting such as citrix.store-url, or a section such as citrix.
        key: Option<String>,
    },
    /// Write a commented starter profile with every setting of its kind; never overwrites a file.
    New {
        /// The kind: terminal, laptop, agent, or base, which the others extend.
        kind: livery_profile::Starter,
        /// The file to create.
        file: PathBuf,
        /// A profile to extend; its path starts from the current folder.
        #[arg(long)]
        extends: Option<PathBuf>,
    },
    /// Show which way a laptop's traffic goes, and why: direct, through the tunnel, through the proxy, or blocked.
    Route {
        /// The laptop's profile (TOML).
        profile: PathBuf,
        /// URLs or hosts; `-` reads them from standard input, one per line; without any, prints the whole table.
        urls: Vec<String>,
        /// Print one part of the device's configuration that is generated from the table.
        #[arg(long, value_enum, conflicts_with = "urls")]
        show: Option<route::Part>,
    },
    /// Manage the endpoint lists of services that laptops reach directly.
    Saas {
        #[command(subcommand)]
        command: SaasCommand,
    },
    /// Print the JSON Schema of profiles, for editors: save it as livery.schema.json in the profiles' folder.
    Schema,
    /// Write the lockfile (PROFILE's name with .lock): the exact packages for builds; locked versions stay unchanged.
    Lock {
        #[command(flatten)]
        options: lock::Options,
        #[command(flatten)]
        cache: CacheArgs,
    },
    /// Build a master image from a profile; the last output line is its reference.
    Build {
        /// The profile (TOML).
        profile: PathBuf,
        /// The store's folder; created if it does not exist.
        #[arg(long)]
        store: PathBuf,
        /// The folder that `livery keygen` made.
        #[arg(long)]
        keys: PathBuf,
        #[command(flatten)]
        with: BuildArgs,
    },
    /// List the stages of a build: which ones would run now, and why. Without a lockfile, it asks the mirrors first.
    Plan {
        /// The profile (TOML).
        profile: PathBuf,
        /// The folder that `livery keygen` made. Without it, only the stages before signing are listed.
        #[arg(long)]
        keys: Option<PathBuf>,
        #[command(flatten)]
        with: BuildArgs,
    },
    /// Make the agent's boot medium: UKI, USB image, kernel and initrd for network boot.
    Medium {
        /// The agent's profile (TOML).
        #[arg(long)]
        profile: PathBuf,
        /// The store with the locked packages of the profile.
        #[arg(long)]
        store: Option<PathBuf>,
        /// The folder that `livery keygen` made; the agent will trust its root.json.
        #[arg(long)]
        keys: PathBuf,
        /// The folder for the medium's files.
        #[arg(long)]
        out: PathBuf,
        /// The station's URL, if the profile does not set it.
        #[arg(long)]
        station: Option<String>,
        /// Certificate (PEM) of the authority of the station's server, if the profile does not set it.
        #[arg(long)]
        station_ca: Option<PathBuf>,
        /// File with the station's job-signing public key, if the profile does not set it.
        #[arg(long)]
        job_key: Option<PathBuf>,
        /// The livery-agent program to include; by default the one in this program's folder.
        #[arg(long)]
        agent: Option<PathBuf>,
        #[command(flatten)]
        with: BuildArgs,
    },
    /// Import a raw disk image as a master; the last output line is its reference.
    Import {
        /// The raw disk image.
        raw: PathBuf,
        /// A profile (TOML) of kind "import": how to import the image, and where its personal layer goes.
        #[arg(long)]
        profile: Option<PathBuf>,
        /// The master's name; overrides the profile's.
        #[arg(long, required_unless_present = "profile")]
        name: Option<Name>,
        /// The master's version; overrides the profile's.
        #[arg(long, required_unless_present = "profile")]
        version: Option<Version>,
        /// Let the last partition grow to the disk's end.
        #[arg(long)]
        grow: bool,
        /// Let the agent convert partition table and FAT for disks with 4096-byte sectors. Without it, the agent refuses such disks.
        #[arg(long)]
        any_sectors: bool,
        /// The store's folder; created if it does not exist.
        #[arg(long)]
        store: PathBuf,
        /// The folder that `livery keygen` made.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Draw one-time codes for a laptop's first sign-in, one for each employee in a roster who has none.
    ///
    /// Writes the codes once, to a file that only you can read; the roster gets their hashes. Send each employee the code
    /// separately from the laptop.
    Codes {
        /// The roster: CSV, or TOML with [[employee]] tables.
        roster: PathBuf,
        /// The file for the codes (CSV); it must not exist yet.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make a personal image for each row of a roster, from a master; prints their references.
    Personalise {
        /// The master: NAME@VERSION.
        reference: Reference,
        /// The roster: CSV, or TOML with [[employee]] tables.
        #[arg(long)]
        roster: PathBuf,
        /// The store's folder.
        #[arg(long)]
        store: PathBuf,
        /// The folder that `livery keygen` made.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Decrypt the recovery key of a device's data partition, from the device's record.
    Recover {
        /// The record: the station's answer at /api/v1/records/ORDER, saved as a file.
        record: PathBuf,
        /// The folder with recovery.key.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Sign a store's newest state again, before its signatures expire after 30 days.
    Refresh {
        /// The store's folder.
        #[arg(long)]
        store: PathBuf,
        /// The folder that `livery keygen` made.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Set what a store may hold.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// List the images in a store.
    List {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Show an image's manifest: partitions, sizes, content.
    Inspect {
        /// NAME@VERSION, or NAME@VERSION/ORDER.
        reference: Reference,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Print an image's SBOM (SPDX 2.3, JSON): each package with version, digest, source and licence; each file outside of packages.
    ///
    /// The image's signature covers it; its digest is checked.
    #[command(after_help = "Example:\n  livery sbom terminal@2026.11 --store store > terminal.spdx.json")]
    Sbom {
        /// NAME@VERSION, or NAME@VERSION/ORDER, which has its master's SBOM.
        reference: Reference,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Show what differs between two images: packages, settings, files, partitions, sizes.
    ///
    /// Returns 0 whether the images differ or not; `same` in --json tells which.
    #[command(after_help = "Examples:\n  livery diff terminal@2026.10 terminal@2026.11 --store store\n  \
        livery diff terminal@1/ORD-1 terminal@1/ORD-2 --store store --json | jq .same")]
    Diff {
        /// The old image.
        before: Reference,
        /// The new image.
        now: Reference,
        /// Show every package, file and line, however many there are.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Write an image to a disk image file; checks every chunk.
    Export {
        /// NAME@VERSION, or NAME@VERSION/ORDER.
        reference: Reference,
        /// The file to create.
        file: PathBuf,
        /// The format of the file.
        #[arg(long, value_enum, default_value_t = export::Format::Raw)]
        format: export::Format,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SaasCommand {
    /// Show what a newer list of a service would change; --accept takes it.
    Update(saas::Options),
}

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Let a store hold images with restricted software.
    Allow {
        /// The store's folder; created if it does not exist.
        store: PathBuf,
        /// Images with software that may not be redistributed. Only people whom its licence covers may read the store.
        #[arg(long, required = true)]
        restricted: bool,
    },
}
