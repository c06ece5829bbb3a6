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

Exit codes: 0 done; 2 wrong usage; 3 refused, nothing touched; 4 not trusted; 5 the source failed; 6 the device failed.";

/// Builds, signs and keeps the images that devices are made with.
#[derive(Debug, Parser)]
#[command(name = "livery", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Machine-readable output: one object, or one event a line, on standard output.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Where a store is and whom to believe.
#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// The store: a folder, an https:// URL, or s3://BUCKET/PREFIX with credentials by the AWS_... variables.
    #[arg(long)]
    pub(super) store: Location,
    /// The public root that `livery keygen` made; by default the folder's own, which is fit for looking, not for trusting.
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
        /// The folder to make them in.
        #[arg(long)]
        out: PathBuf,
    },
    /// Check profiles: no output and exit code 0, or what is wrong, where, and how to mend it.
    Check {
        /// Profiles (TOML).
        #[arg(required = true)]
        profiles: Vec<PathBuf>,
    },
    /// Show what a setting is in a profile, and each place that had a say; without KEY, all settings in a line each.
    Explain {
        /// The profile (TOML); it may be abstract, and may have errors elsewhere.
        profile: PathBuf,
        /// A setting such as citrix.store-url, or a section such as citrix.
        key: Option<String>,
    },
    /// Write a commented starter for a profile, with every setting of its kind; it never overwrites a file.
    New {
        /// What for: terminal, laptop, agent, or base, which the others extend.
        kind: livery_profile::Starter,
        /// The file to make.
        file: PathBuf,
        /// A profile to build on; its path starts from here.
        #[arg(long)]
        extends: Option<PathBuf>,
    },
    /// Say which way a laptop's traffic goes, and why: direct, by the tunnel, by the proxy, or nowhere.
    Route {
        /// The laptop's profile (TOML).
        profile: PathBuf,
        /// URLs, or hosts alone; `-` reads them from standard input, a line each; without any, the whole table is shown.
        urls: Vec<String>,
        /// Print what is made of the table for the device.
        #[arg(long, value_enum, conflicts_with = "urls")]
        show: Option<route::Part>,
    },
    /// Endpoint lists of services that laptops reach directly.
    Saas {
        #[command(subcommand)]
        command: SaasCommand,
    },
    /// Print the JSON Schema of profiles, for editors: keep it as livery.schema.json beside them.
    Schema,
    /// Write down exactly which packages builds take, in PROFILE's name with .lock; versions that are locked stay where they are.
    Lock {
        #[command(flatten)]
        options: lock::Options,
        #[command(flatten)]
        cache: CacheArgs,
    },
    /// Build a master image from a profile; the last line printed is its reference.
    Build {
        /// The profile (TOML).
        profile: PathBuf,
        /// The store's folder; made where it is not there.
        #[arg(long)]
        store: PathBuf,
        /// The folder that `livery keygen` made.
        #[arg(long)]
        keys: PathBuf,
        #[command(flatten)]
        with: BuildArgs,
    },
    /// List the stages of a build: which would run now, and why.
    Plan {
        /// The profile (TOML).
        profile: PathBuf,
        /// The folder that `livery keygen` made. Without it the stages up to the signature are listed.
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
        /// The store that the agent will be given; its folder must belong to the keys.
        #[arg(long)]
        store: Option<PathBuf>,
        /// The folder that `livery keygen` made: its root.json is what the agent will trust.
        #[arg(long)]
        keys: PathBuf,
        /// The folder for the medium's files.
        #[arg(long)]
        out: PathBuf,
        /// The station's URL, where the profile does not say it.
        #[arg(long)]
        station: Option<String>,
        /// Certificate (PEM) of the authority of the station's server, where the profile does not say it.
        #[arg(long)]
        station_ca: Option<PathBuf>,
        /// File with the station's job-signing public key, where the profile does not say it.
        #[arg(long)]
        job_key: Option<PathBuf>,
        /// The livery-agent program to put in; by default the one beside this program.
        #[arg(long)]
        agent: Option<PathBuf>,
        #[command(flatten)]
        with: BuildArgs,
    },
    /// Take an existing raw disk image as a master; the last line printed is its reference.
    Import {
        /// The raw disk image.
        raw: PathBuf,
        /// A profile (TOML) of kind "import": how to take it, and where its personal layer goes.
        #[arg(long)]
        profile: Option<PathBuf>,
        /// The master's name; goes before the profile's.
        #[arg(long, required_unless_present = "profile")]
        name: Option<Name>,
        /// The master's version; goes before the profile's.
        #[arg(long, required_unless_present = "profile")]
        version: Option<Version>,
        /// Let the last partition grow to the disk's end.
        #[arg(long)]
        grow: bool,
        /// Let the agent convert partition table and FAT for disks of 4096-byte sectors. Without it those are refused.
        #[arg(long)]
        any_sectors: bool,
        /// The store's folder; made where it is not there.
        #[arg(long)]
        store: PathBuf,
        /// The folder that `livery keygen` made.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Draw a one-time code for each employee of a roster who has none: what a laptop's first sign-in asks for.
    ///
    /// The codes are written once, to a file that only you can read; the roster gets their hashes. Send each employee the code by another
    /// way than the laptop.
    Codes {
        /// The roster: CSV, or TOML with [[employee]] tables.
        roster: PathBuf,
        /// The file for the codes (CSV); it must not be there.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make one personal image a row of a roster, over a master; prints their references.
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
    /// Read the recovery key of a device's data partition, from the record that the station has of it.
    Recover {
        /// The record: what the station answers at /api/v1/records/ORDER, as a file.
        record: PathBuf,
        /// The folder with recovery.key.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Sign a store's newest state afresh, before its signatures expire (30 days after they were made).
    Refresh {
        /// The store's folder.
        #[arg(long)]
        store: PathBuf,
        /// The folder that `livery keygen` made.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Say what a store may hold.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// List the images in a store.
    List {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Show what an image is made of.
    Inspect {
        /// NAME@VERSION, or NAME@VERSION/ORDER.
        reference: Reference,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Print an image's SBOM (SPDX 2.3, JSON): each package with version, digest, source and licence, each file of no package.
    ///
    /// It was signed with the image, and is checked by its digest.
    #[command(after_help = "Example:\n  livery sbom terminal@2026.11 --store store > terminal.spdx.json")]
    Sbom {
        /// NAME@VERSION, or NAME@VERSION/ORDER, which has its master's.
        reference: Reference,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Say what differs between two images: packages, settings, files, partitions, sizes; which file, and why.
    ///
    /// Ends with 0 where it could compare them, whether they differ or not: `same` in --json says which.
    #[command(after_help = "Examples:\n  livery diff terminal@2026.10 terminal@2026.11 --store store\n  \
        livery diff terminal@1/ORD-1 terminal@1/ORD-2 --store store --json | jq .same")]
    Diff {
        /// The image before.
        before: Reference,
        /// The image now.
        now: Reference,
        /// Show each package, file and line, however many there are.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Write an image to a disk image file, every chunk checked.
    Export {
        /// NAME@VERSION, or NAME@VERSION/ORDER.
        reference: Reference,
        /// The file to make.
        file: PathBuf,
        /// Of what kind.
        #[arg(long, value_enum, default_value_t = export::Format::Raw)]
        format: export::Format,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SaasCommand {
    /// Show what a newer list of a service would change; take it with --accept.
    Update(saas::Options),
}

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Let a store hold what is kept out of others.
    Allow {
        /// The store's folder; made where it is not there.
        store: PathBuf,
        /// Images with software that may not be passed on to everybody: only those whom its licence covers may read the store.
        #[arg(long, required = true)]
        restricted: bool,
    },
}
