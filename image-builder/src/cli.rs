//! The commands of `livery`, their flags and what they print.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use livery_contract::{Digest, Exit, Fault, Name, Reference, Result, Version};
use livery_store::{Access, Location, Store};
use serde::Serialize;

use crate::{
    build::{self, SiteOptions},
    codes,
    diff::{self, text::Text},
    image::{export, import, master::Published, personalise, show},
    lock::{command as lock, supply::Terms},
    personal,
    plan::Planned,
    profile,
    progress::{Progress, bytes},
    publish::{keys, repository::Publisher, restricted},
    rootless,
    route::command as route,
    saas::update as saas,
    sbom,
    secure_boot::keygen,
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
pub struct Cli {
    /// Machine-readable output: one object, or one event a line, on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Where a store is and whom to believe.
#[derive(Debug, clap::Args)]
struct StoreArgs {
    /// The store: a folder, an https:// URL, or s3://BUCKET/PREFIX with credentials by the AWS_... variables.
    #[arg(long)]
    store: Location,
    /// The public root that `livery keygen` made; by default the folder's own, which is fit for looking, not for trusting.
    #[arg(long)]
    trust: Option<PathBuf>,
    /// Certificate (PEM) of the authority that vouches for the store's server.
    #[arg(long)]
    ca: Vec<PathBuf>,
}

/// Where stages keep their results.
#[derive(Debug, clap::Args)]
struct CacheArgs {
    /// Folder for the results of stages; by default `livery` in the user's cache folder.
    #[arg(long, env = "LIVERY_CACHE")]
    cache: Option<PathBuf>,
}

/// What stages work with.
#[derive(Debug, clap::Args)]
struct BuildArgs {
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    terms: Terms,
}

impl BuildArgs {
    fn setup(self, progress: &Progress) -> Setup {
        Setup { cache: self.cache.cache, terms: self.terms, progress: progress.clone() }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
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
        kind: profile::Starter,
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
enum SaasCommand {
    /// Show what a newer list of a service would change; take it with --accept.
    Update(saas::Options),
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Let a store hold what is kept out of others.
    Allow {
        /// The store's folder; made where it is not there.
        store: PathBuf,
        /// Images with software that may not be passed on to everybody: only those whom its licence covers may read the store.
        #[arg(long, required = true)]
        restricted: bool,
    },
}

/// The program: parses flags, runs, reports, gives the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("LIVERY_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .init();
    if matches!(cli.command, Command::Build { .. } | Command::Medium { .. })
        && let Err(fault) = rootless::enter()
    {
        return report(&fault, cli.json);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Fault::internal("no runtime can be started").cause(error), cli.json),
    };
    let json = cli.json;
    let result = runtime.block_on(async {
        tokio::select! {
            result = run(cli) => result,
            _ = tokio::signal::ctrl_c() => Err(Fault::refused("interrupted; the store is as it was").fix("run the same command again")),
        }
    });
    // Work on other threads that an interrupt left behind must not hold the exit.
    runtime.shutdown_background();
    match result {
        Ok(()) => Exit::Done.into(),
        Err(fault) => report(&fault, json),
    }
}

fn report(fault: &Fault, json: bool) -> ExitCode {
    if json {
        println!("{}", serde_json::json!({"error": fault.report()}));
    }
    eprintln!("{}", fault.render());
    fault.exit().into()
}

/// Work that waits for other programs, off the thread that listens for an interrupt.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Fault::internal("a command stopped").cause(error))?
}

/// Prints for a person or for a machine.
fn say(json: bool, machine: &impl Serialize, person: impl FnOnce() -> String) -> Result<()> {
    let text = if json {
        serde_json::to_string(machine).map_err(|error| Fault::internal("the answer does not encode").cause(error))?
    } else {
        person()
    };
    // A closed pipe (`livery list | head`) is no fault of ours.
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    Ok(())
}

async fn run(cli: Cli) -> Result<()> {
    let json = cli.json;
    let progress = Progress::new(json);
    match cli.command {
        Command::Keygen { out } => {
            let made = keys::generate(&out).await?;
            let (root, firmware) = (out.join("root.json"), out.join(keygen::PUBLIC));
            say(json, &serde_json::json!({"root": root, "secure_boot": firmware}), || {
                let store = format!(
                    "keys in {}; give {} to all who shall trust what they sign, keep root.pem in a safe\n",
                    out.display(),
                    root.display()
                );
                let secure_boot = format!(
                    "Secure Boot: give devices' firmware what is in {}, keep secure-boot-PK.key and secure-boot-KEK.key in a safe",
                    firmware.display()
                );
                let devices = format!(
                    "personal layers are signed with {}, recovery keys encrypted to {}; keep recovery.key in a safe",
                    personal::keys::IDENTITY_KEY,
                    personal::keys::RECOVERY_PUBLIC,
                );
                let said = [(made.store, store.trim_end()), (made.secure_boot, &secure_boot), (made.devices, &devices)];
                said.iter().filter(|(made, _)| *made).map(|(_, text)| *text).collect::<Vec<_>>().join("\n")
            })
        }
        Command::Check { profiles } => profile::check(&profiles).map_err(|diagnostics| diagnostics.print(json)),
        Command::Explain { profile, key } => {
            let explained = profile::explain(&profile, key.as_deref())?;
            if let Some(note) = explained.note(&profile) {
                eprintln!("{note}");
            }
            say(json, &explained.to_json(), || explained.to_string())
        }
        Command::New { kind, file, extends } => {
            let started = profile::start(kind, &file, extends.as_deref())?;
            say(json, &started, || started.to_string())
        }
        Command::Route { profile, show: Some(part), .. } => {
            let text = route::show(&profile, part, json)?;
            say(json, &serde_json::json!({"text": text}), || text.clone())
        }
        Command::Route { profile, urls, .. } if urls.is_empty() => {
            let table = route::table(&profile, json)?;
            say(json, &table, || table.to_string())
        }
        Command::Route { profile, urls, .. } => {
            let routed = route::route(&profile, &urls, json)?;
            say(json, &serde_json::json!({"routes": routed}), || {
                routed.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            })
        }
        Command::Saas { command: SaasCommand::Update(options) } => {
            let updated = saas::update(&options).await?;
            say(json, &updated, || updated.to_string())
        }
        Command::Schema => say(json, &profile::schema(), || format!("{:#}", profile::schema())),
        Command::Lock { options, cache } => {
            let asked = move || lock::lock(&options, &Setup::cache_at(cache.cache)?, &progress, json);
            let locked = aside(asked).await?;
            say(json, &serde_json::json!({"locked": locked}), || {
                locked.iter().map(lock::Locked::text).collect::<Vec<_>>().join("\n")
            })
        }
        Command::Build { profile, store, keys, with } => {
            let published = build::build(&profile, &store, &keys, &with.setup(&progress), json).await?;
            progress.summary();
            published_line(&published, json)
        }
        Command::Plan { profile, keys, with } => {
            let setup = with.setup(&progress);
            let steps = aside(move || build::plan(&profile, keys.as_deref(), &setup, json)).await?;
            say(json, &serde_json::json!({"stages": steps}), || steps.iter().map(Planned::to_string).collect::<Vec<_>>().join("\n"))
        }
        Command::Medium { profile, store, keys, out, station, station_ca, job_key, agent, with } => {
            if let Some(store) = &store {
                // A medium that does not trust the store it is meant for would fail at the line, not here.
                Publisher::open(store, &keys).await?;
            }
            let options = SiteOptions { station, station_ca, job_key, agent };
            let medium = build::medium(&profile, store.as_deref(), &keys, &out, options, with.setup(&progress), json).await?;
            progress.summary();
            say(json, &medium, || {
                [&medium.uki, &medium.usb, &medium.kernel, &medium.initrd].map(|path| path.display().to_string()).join("\n")
            })
        }
        Command::Import { raw, profile, name, version, grow, any_sectors, store, keys } => {
            let flags = import::Flags { name, version, grow, any_sectors };
            let (names, choices) = import::choices(profile.as_deref(), flags, json)?;
            let published = import::import(&raw, names, choices, &store, &keys, &progress).await?;
            published_line(&published, json)
        }
        Command::Personalise { reference, roster, store, keys } => {
            let made = personalise::personalise(&reference, &roster, &store, &keys, &progress).await?;
            say(json, &serde_json::json!({"images": made}), || {
                made.iter().map(|one| one.image.to_string()).collect::<Vec<_>>().join("\n")
            })
        }
        Command::Codes { roster, out } => {
            let (path, bar) = (out.clone(), progress.clone());
            let drawn = aside(move || codes::draw(&roster, &path, &bar)).await?;
            say(json, &drawn, || match drawn.drawn {
                0 => "all employees have a code".into(),
                count => format!("{}: {count} codes; their hashes are in the roster", out.display()),
            })
        }
        Command::Recover { record, keys } => {
            let recovered = personal::recover::recover(&keys, &record)?;
            say(json, &recovered, || recovered.key.clone())
        }
        Command::Refresh { store, keys } => {
            let publisher = Publisher::open(&store, &keys).await?;
            if publisher.current().is_none() {
                return Err(Fault::refused("there is no store here").at(store.display()).fix("build or import an image first"));
            }
            publisher.commit().await?;
            say(json, &serde_json::json!({"refreshed": store}), || format!("{} is signed afresh", store.display()))
        }
        Command::Store { command: StoreCommand::Allow { store, restricted: _ } } => {
            restricted::allow(&store)?;
            say(json, &serde_json::json!({"allowed": "restricted", "store": store}), || {
                format!("{} may hold images with restricted software", store.display())
            })
        }
        Command::List { store } => {
            let listed = show::list(&open(&store).await?);
            say(json, &serde_json::json!({"images": listed}), || {
                if listed.is_empty() {
                    return "the store has no images".into();
                }
                listed
                    .iter()
                    .map(|one| format!("{:<48} {}", one.image.to_string(), one.manifest.short()))
                    .collect::<Vec<_>>()
                    .join("\n")
            })
        }
        Command::Inspect { reference, store } => {
            let inspected = show::inspect(&open(&store).await?, &reference).await?;
            say(json, &inspected, || inspected.to_string())
        }
        Command::Sbom { reference, store } => {
            let sbom = sbom::fetch(&open(&store).await?, &reference).await?;
            // It is JSON already, and byte for byte what was signed. A closed pipe is no fault of ours.
            let _ = std::io::stdout().write_all(&sbom);
            Ok(())
        }
        Command::Diff { before, now, all, store } => {
            let difference = diff::diff(&open(&store).await?, [&before, &now]).await?;
            say(json, &difference, || Text { difference: &difference, all }.to_string())
        }
        Command::Export { reference, file, format, store } => {
            export::export(&open(&store).await?, &reference, format, &file, &progress).await?;
            say(json, &serde_json::json!({"file": file}), || file.display().to_string())
        }
    }
}

/// What publishing cost, and the reference as the last line.
fn published_line(published: &Published, json: bool) -> Result<()> {
    if !json {
        let packed = &published.packed;
        eprintln!("{} data, {} new, {} stored", bytes(packed.data), bytes(packed.fresh), bytes(packed.stored));
    }
    let digest = Digest::of(&published.manifest.to_bytes());
    let answer = serde_json::json!({"image": published.reference, "manifest": digest, "fresh": published.fresh});
    say(json, &answer, || published.reference.to_string())
}

/// Opens a store to read. Without --trust, a folder's own root is believed: good for looking at what one has made.
async fn open(args: &StoreArgs) -> Result<Store> {
    let root = match (&args.trust, &args.store) {
        (Some(path), _) => path.clone(),
        (None, Location::Folder(folder)) => folder.join("metadata/root.json"),
        (None, Location::Web(_) | Location::Objects(_)) => {
            return Err(Fault::usage("a store behind a URL or in an object store needs --trust")
                .fix("give the root.json that its owner gave you"));
        }
    };
    let root_json = read(&root, "the trusted root")?;
    let authorities = args.ca.iter().map(|path| read(path, "an authority's certificate")).collect::<Result<_>>()?;
    Store::open(&args.store, &root_json, Access { authorities }).await
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Fault::usage(format!("{what} can't be read")).at(path.display()).cause(error))
}
