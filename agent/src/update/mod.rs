//! A newer image onto a device in use, into its spare slot: `livery-agent update` and `livery-agent bless`.
//!
//! In: what the image says of itself ([`settings`]), a store. Out: an [`Outcome`]. The one that runs is not touched until the newer one
//! was started and is up, so that a fault, a power cut or a bad image costs nothing but another try:
//!
//! ```text
//! newest ── Trusted ──> spare slot filled, read back ──> UKI put, read back ──> BootNext ──> … started once … ──> up? committed
//!  (TUF)                  Filled (root, hash tree)        EFI\livery\next.efi       firmware                          renamed
//!                                                                                     └─ not up: the one before starts
//! ```
//!
//! | module | step |
//! |---|---|
//! | [`settings`] | what the image says of itself and its store |
//! | [`running`] | which slot the system runs from |
//! | [`slot`] | a partition of the spare slot: filled, read back |
//! | [`uki`] | the newer UKI's bytes |
//! | [`esp`] | UKIs in the EFI system partition |
//! | [`bless`] | a newer image that is up is committed |
//!
//! Which UKI starts is decided by the firmware's own variables: `BootNext` names the newer one for one start (UEFI 2.10, section 3.3),
//! and what is committed takes the place that the firmware starts anyway. No boot loader is needed for it. Each UKI finds the root that it was
//! made for by the UUIDs in it, in whichever slot.
//!
//! Fails with exit 3 where the newer image does not fit this device or does not come up on it, 4 where it is not trusted, 5 where the
//! store fails, 6 where disk or firmware do.

pub(crate) mod bless;
pub(crate) mod esp;
pub(crate) mod running;
pub(crate) mod settings;
pub(crate) mod slot;
pub(crate) mod uki;

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path};

use livery_contract::{
    Fault, Reference, Result,
    manifest::{BootEntry, Manifest, Partition, Role},
    record::Traffic,
    wire::Phase,
};
use livery_store::{Access, Location, Store};
use serde::Serialize;
use tokio::runtime::Handle;

use self::{
    esp::{Esp, Trial},
    running::Running,
    settings::Settings,
    slot::Filled,
};
use crate::{
    config,
    console::{Console, bytes},
    device::{Device, Mode},
    firmware::{
        boot_entry::{self, Entry},
        variables::EFIVARS,
    },
    image::trust::Trusted,
    work::{Work, progress::Progress, stop::Stop, threads::blocking},
};

/// How often a newer image is started before it is given up; until then it may have been somebody who switched the device off.
pub(crate) const MOST_TRIES: u32 = 3;
/// What the firmware's menu calls a newer image that is to be started once.
const LABEL: &str = "Livery: newer image";
/// Where the outcome lies for others to read.
const STATE: &str = "/run/livery-update/state.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum Outcome {
    /// The store has nothing newer.
    Current { image: Reference },
    /// A newer image runs, and is not committed yet.
    OnTrial { image: Reference },
    /// A newer image is there, to be started at the next start.
    Ready {
        image: Reference,
        newer: Reference,
        /// What it cost, UKI included; all zeros where it was there already.
        traffic: Traffic,
    },
}

impl Outcome {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Current { image } => format!("{image} runs, and the store has nothing newer"),
            Self::OnTrial { image } => {
                format!("{image} is on trial: the device writes nothing newer until it keeps or drops this image")
            }
            Self::Ready { image, newer, traffic } => format!(
                "{newer} is written and verified, and will start at the next start; {image} runs until then ({} fetched, {} already on the disk)",
                bytes(traffic.fetched),
                bytes(traffic.moved + traffic.kept),
            ),
        }
    }
}

/// Looks for a newer image, and gets it.
///
/// # Errors
/// See the module.
pub(crate) async fn run(place: &Path, trust: &Path, console: &Console, stop: &Stop) -> Result<Outcome> {
    let settings = Settings::read(place)?;
    let outcome = get(&settings, trust, console, stop).await?;
    leave_word(&outcome);
    Ok(outcome)
}

async fn get(settings: &Settings, trust: &Path, console: &Console, stop: &Stop) -> Result<Outcome> {
    match look(settings, trust).await? {
        Found::Settled(outcome) => Ok(outcome),
        Found::Newer(newer) => newer.put(settings, console, stop).await,
    }
}

/// What a look at the store has found.
enum Found {
    Settled(Outcome),
    Newer(Newer),
}

/// A newer image that is to be put into the spare slot.
struct Newer {
    store: Store,
    newer: Reference,
    /// How often it was started already, and did not come up.
    tries: u32,
}

async fn look(settings: &Settings, trust: &Path) -> Result<Found> {
    let image = settings.image.clone();
    let trial = Esp::mounted().trial()?;
    if trial.as_ref().is_some_and(|trial| trial.image == image) {
        return Ok(Found::Settled(Outcome::OnTrial { image }));
    }
    let location: Location = settings.store.parse()?;
    let access: Access = config::access(Some(&settings.authorities))?;
    let store = Store::open(&location, &config::file(trust)?, access).await?;
    let Some(newer) = newest(store.references().iter().map(|(reference, _)| reference), &image) else {
        return Ok(Found::Settled(Outcome::Current { image }));
    };
    let tries = trial.filter(|trial| trial.image == newer).map_or(0, |trial| trial.tries);
    if tries > 0 && boot_entry::is_next(EFIVARS.as_ref(), &entry(settings)?)? {
        return Ok(Found::Settled(Outcome::Ready { image, newer, traffic: Traffic::default() }));
    }
    if tries >= MOST_TRIES {
        return Err(Fault::refused(format!("{newer} was started {MOST_TRIES} times and did not come up; {image} keeps running"))
            .at(&settings.store)
            .fix("check the journal of such a device (livery-bless.service), and publish a newer version that comes up"));
    }
    Ok(Found::Newer(Newer { store, newer, tries }))
}

impl Newer {
    /// Fills the spare slot, puts the UKI next to the one in use, and has the firmware start it next.
    async fn put(self, settings: &Settings, console: &Console, stop: &Stop) -> Result<Outcome> {
        let Self { store, newer, tries } = self;
        let (image, entry) = (settings.image.clone(), entry(settings)?);
        if tries > 0 {
            console.say(format!(
                "{newer} was started and did not come up; writing and starting it again, {} of {MOST_TRIES}",
                tries + 1
            ));
        }
        let trusted = Trusted::of(store.clone(), &newer, None).await?;
        let running = Running::read(Path::new("/"), settings)?;
        fits(trusted.manifest(), &running)?;
        // Where the store still has what runs here, its map says where on this disk which chunk lies.
        let old = match store.references().iter().any(|(reference, _)| *reference == image) {
            true => Some(Trusted::of(store, &image, None).await?),
            false => None,
        };
        // Nothing may start while it is written over.
        boot_entry::start_none(EFIVARS.as_ref(), &entry)?;
        let work = Work { handle: Handle::current(), progress: Progress::default(), stop: stop.clone() };
        work.progress.enter(Phase::Trust, 0);
        console.say(format!("getting {newer} beside {image}"));
        let watch = console.watch(&work.progress);
        let result = blocking(move || {
            let esp = Esp::mounted();
            let (filled, mut traffic) = fill(&trusted, old.as_ref(), &running, &work)?;
            let uki = uki::fetch(&trusted, old.as_ref(), &esp, &work, &mut traffic)?;
            esp.put(&uki, &filled)?;
            Ok(traffic)
        });
        let traffic = result.await;
        drop(watch);
        let traffic = traffic?;
        // First the note, then the firmware: a start that nobody noted would never be given up.
        Esp::mounted().note(&Trial { image: newer.clone(), tries: tries + 1 })?;
        boot_entry::start_next(EFIVARS.as_ref(), &entry)?;
        Ok(Outcome::Ready { image, newer, traffic })
    }
}

/// The newest master of this name that is newer than what runs.
fn newest<'a>(references: impl Iterator<Item = &'a Reference>, running: &Reference) -> Option<Reference> {
    references
        .filter(|one| one.is_newer_master_than(running))
        .reduce(|best, one| if one.version.is_newer_than(&best.version) { one } else { best })
        .cloned()
}

/// Whether the newer image can go into this device's spare slot.
fn fits(manifest: &Manifest, running: &Running) -> Result<()> {
    let no = |what: String| {
        Fault::refused(what)
            .at(manifest.reference())
            .fix("build it with the same `image.slot-size` as the running image, or write this device again at the line")
    };
    if manifest.uki.is_none() || manifest.root_hash.is_none() {
        return Err(no("the newer image does not say where its UKI is, so a device in use cannot install it".into()));
    }
    for (role, device) in [(Role::Root, &running.spare.root), (Role::RootVerity, &running.spare.verity)] {
        let needs = partition(manifest, role)?.filled();
        let has = Device::open(device, Mode::Read)?.size();
        if needs > has {
            return Err(no(format!(
                "the newer image's {} has {}, but this device's slot has {}",
                role.as_str(),
                bytes(needs),
                bytes(has)
            )));
        }
    }
    Ok(())
}

fn partition(manifest: &Manifest, role: Role) -> Result<&Partition> {
    manifest.partition(role).ok_or_else(|| Fault::refused(format!("the image has no {}", role.as_str())).at(manifest.reference()))
}

/// Root and hash tree into the spare slot.
fn fill(trusted: &Trusted, old: Option<&Trusted>, running: &Running, work: &Work) -> Result<([Filled; 2], Traffic)> {
    let mut traffic = Traffic::default();
    let mut one = |role: Role, spare: &Path, used_now: &Path| {
        let range = |trusted: &Trusted| {
            let partition = partition(trusted.manifest(), role)?;
            trusted.part(partition.offset, partition.filled())
        };
        let from = match old {
            Some(old) => Some((Device::open(used_now, Mode::Read)?, range(old)?)),
            None => None,
        };
        let part = range(trusted)?;
        let sections = slot::sections(trusted, partition(trusted.manifest(), role)?);
        let from = from.as_ref().map(|(device, part)| (device, part.composed()));
        slot::fill(&part, &sections, &Device::open(spare, Mode::Write)?, from, work, &mut traffic)
    };
    let verity = one(Role::RootVerity, &running.spare.verity, &running.used.verity)?;
    let root = one(Role::Root, &running.spare.root, &running.used.root)?;
    Ok(([root, verity], traffic))
}

/// The firmware's entry for a newer image.
fn entry(settings: &Settings) -> Result<Entry> {
    let (partition, sector) = running::esp(Path::new("/"), settings.esp)?;
    let boot = BootEntry { label: LABEL.into(), partition: partition.number, loader: esp::NEXT.into() };
    Ok(Entry::new(&boot, &partition, sector))
}

/// For the desk, which tells the person. That it can't be left is no reason to fail.
fn leave_word(outcome: &Outcome) {
    let Ok(text) = serde_json::to_string(outcome) else { return };
    let left = std::fs::write(STATE, text + "\n").and_then(|()| std::fs::set_permissions(STATE, Permissions::from_mode(0o644)));
    if let Err(error) = left {
        tracing::debug!(%error, "no note can be left at {STATE}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{running::Nodes, *};
    use livery_contract::{Digest, manifest::Uki};

    #[test]
    fn the_newest_of_the_same_name_and_nobodys_own() {
        let reference = |text: &str| text.parse::<Reference>().unwrap();
        let all: Vec<Reference> =
            ["laptop@2026.9", "laptop@2026.11", "laptop@2026.10", "laptop@2027/ORD-1", "terminal@2028"].map(reference).into();
        let newest = |running: &str| newest(all.iter(), &reference(running)).map(|found| found.to_string());
        assert_eq!(newest("laptop@2026.9").as_deref(), Some("laptop@2026.11"));
        assert_eq!(newest("laptop@2026.11"), None, "never an older one");
        assert_eq!(newest("laptop@2026.12"), None);
    }

    #[test]
    fn an_image_that_does_not_fit_the_spare_slot_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let slot = |mib: u64| {
            let path = folder.path().join(mib.to_string());
            std::fs::File::create(&path).unwrap().set_len(mib << 20).unwrap();
            path
        };
        let spare = Nodes { root: slot(2), verity: slot(1) };
        let running = Running { used: spare.clone(), spare };
        let guid = uuid::Uuid::from_u128(7);
        let root = serde_json::json!([{"number": 1, "role": "root", "offset": 1 << 20, "length": 2 << 20,
            "type_guid": guid, "guid": guid, "label": "root"}]);
        let mut manifest = crate::image::sample::manifest(8 << 20, &root);
        let verity = Partition { role: Role::RootVerity, length: 1 << 20, ..manifest.partitions[0].clone() };
        manifest.partitions.push(verity);
        let refused = |manifest: &Manifest, why: &str| {
            let fault = fits(manifest, &running).unwrap_err();
            assert!(fault.exit().code() == 3 && fault.render().contains(why), "{}", fault.render());
        };
        refused(&manifest, "where its UKI is");
        manifest.root_hash = Some(Digest::of(b""));
        manifest.uki = Some(Uki { offset: 512, length: 1000, digest: Digest::of(b"") });
        fits(&manifest, &running).unwrap();
        manifest.partitions[0].length += 4096;
        refused(&manifest, "root has ");
        // What it uses counts, not what it has room for.
        manifest.partitions[0].used = Some(2 << 20);
        fits(&manifest, &running).unwrap();
        manifest.partitions[1].length += 4096;
        refused(&manifest, "root-verity has ");
    }
}
