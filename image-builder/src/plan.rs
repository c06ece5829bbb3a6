//! A terminal's build as keys, before anything is done: which stages there are, which are in the cache, and why others are not.
//!
//! Each stage's key follows from its own inputs and the keys of the stages before it, so that all of them are known at once. What
//! the last build of the same profile was made from is kept in the cache: that is what "why" compares with.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf};

use livery_contract::{Digest, Fault, Result};
use livery_profile::{Desk, Profile};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    cache::{Cache, Key},
    lock::RootName,
    publish::blobs::write_atomically,
    stages::{
        data,
        disk::derive,
        esp::{self, Contents},
        initrd, inspect, roots,
        system::{self, Marks, Uuids},
        uki,
        workshop::Workshop,
    },
    trust::Trust,
};

/// The namespace of image seeds (RFC 9562, version 5).
const SEEDS: Uuid = Uuid::from_u128(0x6c69_7665_7279_5f69_6d61_6765_5f73_6565);
/// Raised when the same partitions are put together otherwise.
const VERSION: u32 = 3;
/// More changes than this are no answer to "why".
const SHOWN: usize = 6;

/// The keys of a terminal's stages, in the order of the work.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What all UUIDs follow from.
    pub(crate) seed: Uuid,
    /// Those that do not change from one version to the next.
    pub(crate) uuids: Uuids,
    /// The kernel's command line but for the root's hash.
    pub(crate) command_line: Vec<String>,
    /// The tools root.
    pub(crate) tools: Key,
    /// The boot root.
    pub(crate) boot_root: Key,
    /// The device's root.
    pub(crate) root: Key,
    pub(crate) initrd: Key,
    /// The device's root without what it never uses, with drivers and locales.
    pub(crate) tree: Key,
    /// The root file system.
    pub(crate) system: Key,
    /// The UKI.
    pub(crate) uki: Key,
    /// The UKI with its signature.
    pub(crate) signed: Key,
    /// The EFI system partition.
    pub(crate) esp: Key,
    /// What was found in root file system and initrd.
    pub(crate) scan: Key,
    /// What the image is made of.
    pub(crate) sbom: Key,
    /// The whole image.
    pub(crate) image: Key,
}

/// What the image follows from besides its partitions.
#[derive(Serialize)]
struct Inputs<'a> {
    name: &'a str,
    version: Option<&'a str>,
    image: &'a livery_profile::Image,
    locales: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restricted: Vec<String>,
    nobody: Digest,
    recovery: Option<Digest>,
    esp: Digest,
    system: Digest,
    sbom: Digest,
}

impl Plan {
    /// The keys; `nobody` is of the personal layer that is nobody's yet, `trust` who signs, where that is known.
    ///
    /// # Errors
    /// Exit 1 where inputs do not encode.
    pub(crate) fn of(workshop: &Workshop, profile: &Profile, desk: &Desk, nobody: Digest, trust: Option<&Trust>) -> Result<Self> {
        let seed = seed(profile);
        let uuids = Uuids { seed, luks: data::luks_uuid(seed) };
        let [tools, boot_root, root] =
            [RootName::Tools, RootName::Boot, RootName::Device].map(|root| roots::key(workshop, profile, root));
        let (tools, boot_root, root) = (tools?, boot_root?, root?);
        let initrd = initrd::key(profile, boot_root.digest())?;
        let tree = system::tree_key(profile, desk, [boot_root.digest(), root.digest()])?;
        let system = system::key(profile, desk, [tools.digest(), tree.digest()], uuids)?;
        let command_line = command_line(Marks::of(&system, seed));
        let text = uki::command_line(profile, &command_line);
        let anchors = trust.map(|trust| trust.anchors(identity(seed)).digest());
        let uki = uki::key(profile, [initrd.digest(), system.digest(), tools.digest()], &text, anchors)?;
        let signed = uki::signed_key(uki.digest(), trust.map(|trust| trust.secure_boot.digest()))?;
        let esp = esp::key(profile, [signed.digest(), tools.digest()], derive(seed, "esp"), Contents::of(desk))?;
        let scan = inspect::scan_key(workshop, system.digest(), initrd.digest())?;
        let sbom = inspect::sbom_key(workshop, system.digest(), initrd.digest(), [root.digest(), boot_root.digest()])?;
        let inputs = Inputs {
            name: profile.name.as_str(),
            version: profile.version.as_ref().map(|version| version.as_str()),
            image: &profile.image,
            locales: &desk.locale.available,
            restricted: profile.packages.restrictions(),
            nobody,
            recovery: trust.filter(|_| profile.image.data.is_some()).map(|trust| Digest::of(trust.recovery.as_bytes())),
            esp: esp.digest(),
            system: system.digest(),
            sbom: sbom.digest(),
        };
        let image = Key::new("image", VERSION, &inputs)?;
        Ok(Self { seed, uuids, command_line, tools, boot_root, root, initrd, tree, system, uki, signed, esp, scan, sbom, image })
    }

    /// All keys, in the order of the work.
    pub(crate) fn keys(&self) -> [&Key; 12] {
        [
            &self.tools,
            &self.boot_root,
            &self.root,
            &self.initrd,
            &self.tree,
            &self.system,
            &self.scan,
            &self.sbom,
            &self.uki,
            &self.signed,
            &self.esp,
            &self.image,
        ]
    }

    /// The stages that are the same whoever signs.
    pub(crate) fn before_keys(&self) -> impl Iterator<Item = &'static str> {
        self.keys().map(Key::stage).into_iter().take_while(|stage| *stage != self.uki.stage())
    }

    /// What would run, and why.
    ///
    /// # Errors
    /// Exit 3 where the cache can't be read.
    pub(crate) fn steps(&self, cache: &Cache, profile: &Profile) -> Result<Vec<Planned>> {
        let last = Last::read(cache, profile)?;
        let step = |key: &Key| {
            let cached = cache.has(key);
            let why = match last.0.get(key.stage()) {
                _ if cached => Vec::new(),
                None => vec!["this machine never made it".to_owned()],
                Some(before) => match why(before, key.inputs()) {
                    changes if changes.is_empty() => {
                        vec!["the cache no longer has it, or Livery now makes it differently".to_owned()]
                    }
                    changes => changes,
                },
            };
            Planned { stage: key.stage(), cached, why }
        };
        Ok(self.keys().map(step).to_vec())
    }

    /// Keeps what this build was made from, for the next one's "why".
    ///
    /// # Errors
    /// Exit 5 where it can't be written.
    pub(crate) fn remember(&self, cache: &Cache, profile: &Profile) -> Result<()> {
        let last = Last(self.keys().map(|key| (key.stage().to_owned(), key.inputs().clone())).into());
        let bytes = serde_json::to_vec(&last).map_err(|error| Fault::internal("a build's inputs do not encode").cause(error))?;
        write_atomically(&Last::path(cache, profile), &bytes)
    }
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Planned {
    pub(crate) stage: &'static str,
    /// Whether its result is in the cache.
    pub(crate) cached: bool,
    /// Why it is not.
    pub(crate) why: Vec<String>,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.cached { "cached" } else { "would run" };
        write!(f, "{:<14} {state}", self.stage)?;
        self.why.iter().try_for_each(|why| write!(f, "\n{:14}   {why}", ""))
    }
}

/// What image seeds follow from: the name, so that an update keeps its UUIDs.
pub(crate) fn seed(profile: &Profile) -> Uuid {
    Uuid::new_v5(&SEEDS, profile.name.as_str().as_bytes())
}

/// GUID of the identity partition.
pub(crate) fn identity(seed: Uuid) -> Uuid {
    derive(seed, "identity")
}

fn command_line(marks: Marks) -> Vec<String> {
    vec![
        "root=/dev/mapper/root ro rootfstype=erofs".to_owned(),
        format!("systemd.verity_root_data=/dev/livery/{}", marks.root),
        format!("systemd.verity_root_hash=/dev/livery/{}", marks.verity),
        "systemd.volatile=overlay systemd.firstboot=no".to_owned(),
        // A kernel or a PID 1 that ends does not stand still: whoever sits there can do nothing but switch it off and on.
        "panic=30 systemd.crash_action=reboot".to_owned(),
    ]
}

/// The inputs of a profile's last build, by stage.
#[derive(Default, Serialize, Deserialize)]
struct Last(BTreeMap<String, Value>);

impl Last {
    fn path(cache: &Cache, profile: &Profile) -> PathBuf {
        // Profiles in several folders may have one name.
        let path = fs::canonicalize(&profile.path).unwrap_or_else(|_| profile.path.clone());
        cache.folder().join("last").join(Digest::of(path.as_os_str().as_encoded_bytes()).short())
    }

    fn read(cache: &Cache, profile: &Profile) -> Result<Self> {
        let path = Self::path(cache, profile);
        match fs::read(&path) {
            // What an earlier Livery kept may look otherwise: then nothing is known.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Fault::refused("the cache can't be read").at(path.display()).cause(error)),
        }
    }
}

/// Which inputs differ: `desk.locale.keyboard: "fr" -> "be"`.
fn why(before: &Value, now: &Value) -> Vec<String> {
    let mut changes = Vec::new();
    differences("", before, now, &mut changes);
    let more = changes.len().saturating_sub(SHOWN);
    changes.truncate(SHOWN);
    if more > 0 {
        changes.push(format!("and {more} more"));
    }
    changes
}

fn differences(path: &str, before: &Value, now: &Value, into: &mut Vec<String>) {
    match (before, now) {
        (before, now) if before == now => {}
        (Value::Object(one), Value::Object(other)) => {
            let null = Value::Null;
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                differences(&path, one.get(name).unwrap_or(&null), other.get(name).unwrap_or(&null), into);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            into.extend(other.iter().filter(|item| !one.contains(item)).map(|item| format!("{path}: + {}", short(item))));
            into.extend(one.iter().filter(|item| !other.contains(item)).map(|item| format!("{path}: - {}", short(item))));
        }
        (Value::Null, now) => into.push(format!("{path}: + {}", short(now))),
        (before, Value::Null) => into.push(format!("{path}: - {}", short(before))),
        (before, now) => into.push(format!("{path}: {} -> {}", short(before), short(now))),
    }
}

/// A value for a person; digests by their first digits.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.parse::<Digest>().map_or_else(|_| format!("{text:.80}"), |digest| digest.short()),
        other => other.to_string().chars().take(80).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_by_path() {
        let before = json!({"desk": {"keyboard": "fr", "hosts": ["a", "b"]}, "root": Digest::of(b"1"), "packages": {"cage": Digest::of(b"1")}});
        let now = json!({"desk": {"keyboard": "be", "hosts": ["b", "c"]}, "root": Digest::of(b"1"), "packages": {"cage": Digest::of(b"1"), "hello": Digest::of(b"3")}});
        assert_eq!(
            why(&before, &now),
            [
                "desk.hosts: + c",
                "desk.hosts: - a",
                "desk.keyboard: fr -> be",
                &format!("packages.hello: + {}", Digest::of(b"3").short())
            ]
        );
        assert!(why(&now, &now).is_empty());
        let many = Value::Array((0..20).map(Value::from).collect());
        assert_eq!(why(&json!([]), &many).last().unwrap(), "and 14 more");
    }
}
