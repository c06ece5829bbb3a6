//! What each command does, and what it prints for a person or for a machine.

use std::{io::Write as _, path::Path};

use livery_contract::{Digest, Fault, Result};
use livery_store::{Access, Location, Store};
use serde::Serialize;

use super::flags::{Cli, Command, SaasCommand, StoreArgs, StoreCommand};
use crate::{
    build, codes,
    image::{export, import, master::Published, personalise, show},
    inspect::{
        diff::{self, text::Text},
        sbom,
    },
    lock::command as lock,
    medium::{self, SiteOptions},
    personal,
    plan::Planned,
    profiles,
    progress::{Progress, bytes},
    publish::{keys, repository::Publisher, restricted},
    route::command as route,
    saas::update as saas,
    secure_boot::keygen,
    stages::workshop::Setup,
};

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

pub(super) async fn run(cli: Cli) -> Result<()> {
    let json = cli.json;
    let progress = Progress::new(json);
    match cli.command {
        Command::Keygen { out } => {
            let made = keys::generate(&out).await?;
            let (root, firmware) = (out.join("root.json"), out.join(keygen::PUBLIC));
            say(json, &serde_json::json!({"root": root, "secure_boot": firmware}), || {
                let store = format!(
                    "keys in {}; give {} to everyone who must trust these keys, keep root.pem in a safe\n",
                    out.display(),
                    root.display()
                );
                let secure_boot = format!(
                    "Secure Boot: enrol the files in {} in the devices' firmware, keep secure-boot-PK.key and secure-boot-KEK.key in a safe",
                    firmware.display()
                );
                let devices = format!(
                    "{} signs personal layers, {} encrypts recovery keys; keep recovery.key in a safe",
                    personal::keys::IDENTITY_KEY,
                    personal::keys::RECOVERY_PUBLIC,
                );
                let said = [(made.store, store.trim_end()), (made.secure_boot, &secure_boot), (made.devices, &devices)];
                said.iter().filter(|(made, _)| *made).map(|(_, text)| *text).collect::<Vec<_>>().join("\n")
            })
        }
        Command::Check { profiles } => profiles::check(&profiles, json),
        Command::Explain { profile, key } => {
            let explained = livery_profile::explain(&profile, key.as_deref())?;
            if let Some(note) = explained.note(&profile) {
                eprintln!("{note}");
            }
            say(json, &explained.to_json(), || explained.to_string())
        }
        Command::New { kind, file, extends } => {
            let started = livery_profile::start(kind, &file, extends.as_deref())?;
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
        Command::Schema => say(json, &livery_profile::schema(), || format!("{:#}", livery_profile::schema())),
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
            let setup = with.setup(&progress);
            let medium = aside(move || medium::make(&profile, store.as_deref(), &keys, &out, &options, &setup, json)).await?;
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
                return Err(no_store(&store));
            }
            publisher.commit().await?;
            say(json, &serde_json::json!({"refreshed": store}), || format!("{} is signed again", store.display()))
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
    let root_json = match (&args.trust, &args.store) {
        (None, Location::Folder(folder)) if !root.exists() => return Err(no_store(folder)),
        _ => read(&root, "the trusted root")?,
    };
    let authorities = args.ca.iter().map(|path| read(path, "an authority's certificate")).collect::<Result<_>>()?;
    Store::open(&args.store, &root_json, Access { authorities }).await
}

/// A folder without one.
fn no_store(folder: &Path) -> Fault {
    Fault::source("there is no store here")
        .at(folder.display())
        .fix("name the folder of a store, or build or import an image first")
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Fault::usage(format!("{what} can't be read")).at(path.display()).cause(error))
}
