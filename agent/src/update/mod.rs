//! A newer image onto a device in use, beside the one that runs: `livery-agent update` and `livery-agent bless`.
//!
//! In: what the image says of itself ([`settings`]), a store. Out: an [`Outcome`]. The one that runs is not touched until the newer one
//! was started and is up, so that a fault, a power cut or a bad image costs nothing but another try:
//!
//! ```text
//! newest ── Trusted ──> spare slot filled, read back ──> UKI beside, read back ──> BootNext ──> … started once … ──> up? kept
//!  (TUF)                  Filled (root, hash tree)        EFI\livery\next.efi       firmware                          renamed
//!                                                                                     └─ not up: the one before starts
//! ```
//!
//! | module | step |
//! |---|---|
//! | [`settings`] | what the image says of itself and its store |
//! | [`running`] | which slot the system runs from |
//! | [`slot`] | a partition of the spare slot: filled, read back |
//! | [`esp`] | UKIs in the EFI system partition |
//! | [`bless`] | a newer image that is up is kept |
//!
//! Which UKI starts is decided by the firmware's own variables: `BootNext` names the newer one for one start (UEFI 2.10, section 3.3),
//! and what is kept takes the place that the firmware starts anyway. No boot loader is needed for it. Each UKI finds the root that it was
//! made for by the UUIDs in it, in whichever slot.
//!
//! Fails with exit 3 where the newer image does not fit this device or does not come up on it, 4 where it is not trusted, 5 where the
//! store fails, 6 where disk or firmware do.

pub mod bless;
pub mod esp;
pub mod running;
pub mod settings;
pub mod slot;

use std::{collections::HashMap, fs::Permissions, os::unix::fs::PermissionsExt as _, path::Path};

use livery_contract::{
    Digest, Fault, Reference, Result,
    chunkmap::Content,
    compose::{Composed, Extent},
    manifest::{BootEntry, Manifest, Partition, Role, Uki},
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
    content,
    device::{AlignedBuffer, Device, Mode},
    finish::boot_entry::{self, Entry},
    hand::blocking,
    plan::Piece,
    progress::Progress,
    stop::Stop,
    trust::Trusted,
    write::Work,
};

/// How often a newer image is started before it is given up; until then it may have been somebody who switched the device off.
pub const MOST_TRIES: u32 = 3;
/// What the firmware's menu calls a newer image that is to be started once.
const LABEL: &str = "Livery: newer image";
/// Where the outcome lies for others to read.
const STATE: &str = "/run/livery-update/state.json";

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Outcome {
    /// The store has nothing newer.
    Current {
        /// What runs.
        image: Reference,
    },
    /// A newer image runs, and is not kept yet.
    OnTrial {
        /// What runs.
        image: Reference,
    },
    /// A newer image is there, to be started at the next start.
    Ready {
        /// What runs.
        image: Reference,
        /// What will.
        newer: Reference,
        /// What it cost, UKI included; all zeros where it was there already.
        traffic: Traffic,
    },
}

impl Outcome {
    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Current { image } => format!("{image} runs, and the store has nothing newer"),
            Self::OnTrial { image } => format!("{image} runs for the first time: until it is kept nothing newer is written"),
            Self::Ready { image, newer, traffic } => format!(
                "{newer} is there and read back, and starts at the next start; {image} runs until then ({} fetched, {} were on the disk)",
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
pub async fn run(place: &Path, trust: &Path, console: &Console, stop: &Stop) -> Result<Outcome> {
    let settings = Settings::read(place)?;
    let outcome = get(&settings, trust, console, stop).await?;
    leave_word(&outcome);
    Ok(outcome)
}

async fn get(settings: &Settings, trust: &Path, console: &Console, stop: &Stop) -> Result<Outcome> {
    let (image, esp, efivars) = (settings.image.clone(), Esp::mounted(), Path::new(crate::finish::EFIVARS));
    let trial = esp.trial()?;
    if trial.as_ref().is_some_and(|trial| trial.image == image) {
        return Ok(Outcome::OnTrial { image });
    }
    let location: Location = settings.store.parse()?;
    let access: Access = config::access(Some(&settings.authorities))?;
    let store = Store::open(&location, &config::file(trust)?, access).await?;
    let references = store.references();
    let Some(newer) = newest(references.iter().map(|(reference, _)| reference), &image) else {
        return Ok(Outcome::Current { image });
    };
    let tries = trial.as_ref().filter(|trial| trial.image == newer).map_or(0, |trial| trial.tries);
    let entry = entry(settings)?;
    if tries > 0 && boot_entry::is_next(efivars, &entry)? {
        return Ok(Outcome::Ready { image, newer, traffic: Traffic::default() });
    }
    if tries >= MOST_TRIES {
        return Err(Fault::refused(format!("{newer} was started {MOST_TRIES} times and did not come up; {image} runs on"))
            .at(&settings.store)
            .fix(
                "look into the journal of a device that has it (livery-bless.service), and publish a newer version that comes up",
            ));
    }
    if tries > 0 {
        console.say(format!(
            "{newer} was started and did not come up; it is written and started again, {} of {MOST_TRIES}",
            tries + 1
        ));
    }
    let trusted = Trusted::of(store.clone(), &newer, None).await?;
    let running = Running::read(Path::new("/"), settings)?;
    fits(trusted.manifest(), &running)?;
    // Where the store still has what runs here, its map says where on this disk which chunk lies.
    let old = match references.iter().any(|(reference, _)| *reference == image) {
        true => Some(Trusted::of(store, &image, None).await?),
        false => None,
    };
    // Nothing may start while it is written over.
    boot_entry::start_none(efivars, &entry)?;
    let work = Work { handle: Handle::current(), progress: Progress::default(), stop: stop.clone() };
    work.progress.enter(Phase::Trust, 0);
    console.say(format!("getting {newer} beside {image}"));
    let watch = console.watch(&work.progress);
    let beside = esp.clone();
    let result = blocking(move || {
        let (filled, mut traffic) = fill(&trusted, old.as_ref(), &running, &work)?;
        let uki = uki(&trusted, old.as_ref(), &beside, &work, &mut traffic)?;
        beside.put(&uki, &filled)?;
        Ok(traffic)
    });
    let traffic = result.await;
    drop(watch);
    let traffic = traffic?;
    // First the note, then the firmware: a start that nobody noted would never be given up.
    esp.note(&Trial { image: newer.clone(), tries: tries + 1 })?;
    boot_entry::start_next(efivars, &entry)?;
    Ok(Outcome::Ready { image, newer, traffic })
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
            .fix("build it with the same `image.slot-size` as what runs here, or write this device again at the line")
    };
    if manifest.uki.is_none() || manifest.root_hash.is_none() {
        return Err(no("the newer image has no place where its UKI is: it is none that a device in use can take".into()));
    }
    for (role, device) in [(Role::Root, &running.spare.root), (Role::RootVerity, &running.spare.verity)] {
        let needs = partition(manifest, role)?.filled();
        let has = Device::open(device, Mode::Read)?.size();
        if needs > has {
            return Err(no(format!(
                "the newer image's {} has {}, and this device's slot {}",
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

/// The UKI's bytes, as they were signed. Most of them are a kernel and an initrd that the one in use has too.
fn uki(trusted: &Trusted, old: Option<&Trusted>, esp: &Esp, work: &Work, traffic: &mut Traffic) -> Result<Vec<u8>> {
    let uki = trusted.manifest().uki.ok_or_else(|| Fault::internal("an image without a UKI passed its check"))?;
    let of_it = |extent: &&Extent| extent.offset < uki.offset + uki.length && uki.offset < extent.offset + extent.length;
    let here = match old.and_then(|old| Some((old.composed(), old.manifest().uki?))) {
        Some((composed, in_use)) => here(trusted.composed().extents.iter().filter(of_it), composed, in_use, &esp.kept(&in_use)?),
        None => Vec::new(),
    };
    for extent in trusted.composed().extents.iter().filter(of_it) {
        let Content::Data { frame, .. } = extent.content else { continue };
        match here.iter().any(|(piece, _)| piece.places.contains(&extent.offset)) {
            true => traffic.moved += extent.length,
            false => traffic.fetched += u64::from(frame.length),
        }
    }
    let bytes = content::range(trusted, &here, uki.offset, uki.length, &work.handle, &work.stop)?;
    traffic.written += uki.length;
    traffic.verified += uki.length;
    if Digest::of(&bytes) != uki.digest {
        return Err(Fault::untrusted("the image contradicts itself: its UKI is not the one that its manifest names")
            .at(trusted.manifest().reference())
            .fix("build the image again: the one in the store was made wrongly"));
    }
    Ok(bytes)
}

/// The chunks of a newer UKI that the one in use has, whose bytes these are: by what its own image says of them, and by their digests.
fn here<'a>(
    wanted: impl Iterator<Item = &'a Extent>,
    composed: &Composed,
    in_use: Uki,
    bytes: &[u8],
) -> Vec<(Piece, AlignedBuffer)> {
    let in_file = |offset: u64| usize::try_from(offset.checked_sub(in_use.offset)?).ok();
    let known: HashMap<Digest, &[u8]> = composed
        .extents
        .iter()
        .filter_map(|extent| {
            let Content::Data { digest, .. } = extent.content else { return None };
            let bytes = bytes.get(in_file(extent.offset)?..in_file(extent.offset + extent.length)?)?;
            Some((digest, bytes))
        })
        .collect();
    wanted
        .filter_map(|extent| {
            let Content::Data { digest, frame } = extent.content else { return None };
            let bytes = known.get(&digest).filter(|bytes| Digest::of(bytes) == digest)?;
            let mut buffer = AlignedBuffer::new(bytes.len());
            buffer[..bytes.len()].copy_from_slice(bytes);
            Some((Piece { frame, length: extent.length, digest, places: vec![extent.offset] }, buffer))
        })
        .collect()
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
        tracing::debug!(%error, "no word is left at {STATE}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
}
