//! The lockfile: TOML beside the profile, `terminal.lock` for `terminal.toml`. Made by `livery lock`, read by builds, kept
//! in version control with the profile.
//!
//! ```toml
//! schema = 1
//!
//! [debian]
//! suite = "trixie"
//! architecture = "amd64"
//! components = ["main"]
//!
//! [[root]]
//! name = "device"
//! recommends = false
//! packages = ["cage", "firefox-esr"]
//! added = ["nano"]
//!
//! [[package]]
//! name = "cage"
//! version = "0.2.0-2"
//! architecture = "amd64"
//! size = 37396
//! sha256 = "…"
//! origin = "trixie/main"
//! path = "pool/main/c/cage/cage_0.2.0-2_amd64.deb"
//! roots = ["device"]
//! ```
//!
//! The origin is a suite and a component, not a host: an organisation that moves its mirror keeps its locks.

use std::collections::BTreeSet;

use livery_contract::{Digest, Fault, Result};
use serde::{Deserialize, Serialize};

/// The version of this format.
pub(crate) const SCHEMA: u32 = 1;
/// The most bytes of one package: no Debian package comes near.
const MAX_PACKAGE: u64 = 4 << 30;
/// What stands at a lockfile's top.
const HEADER: &str = "# Written by `livery lock`: exactly the packages that a build takes. Do not edit it;\n\
                      # `livery lock --update` shows what is newer.\n\n";

/// Exactly which packages a build takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// Which Debian they come from.
    pub(crate) debian: Release,
    /// What was asked for.
    #[serde(rename = "root")]
    pub(crate) roots: Vec<Request>,
    /// What that comes to, in order of name.
    #[serde(rename = "package")]
    pub(crate) packages: Vec<Package>,
}

/// A Debian release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    /// Such as `trixie`.
    pub(crate) suite: String,
    /// Such as `amd64`.
    pub(crate) architecture: String,
    /// Parts of the archive.
    pub(crate) components: Vec<String>,
}

/// A root that packages are installed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RootName {
    /// What the stages run.
    Tools,
    /// What kernel and initrd are made from.
    Boot,
    /// The device's, or the agent's.
    Device,
}

impl RootName {
    pub(crate) const ALL: [Self; 3] = [Self::Tools, Self::Boot, Self::Device];

    /// As the lockfile writes it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Boot => "boot",
            Self::Device => "device",
        }
    }

    /// What asks for its packages.
    pub(crate) const fn asked_by(self) -> &'static str {
        match self {
            Self::Tools => "Livery itself",
            Self::Boot => "`packages.boot`",
            Self::Device => "`packages.install`",
        }
    }
}

/// What one root is asked to have, before apt adds what that needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The root.
    pub(crate) name: RootName,
    /// Whether recommended packages come too.
    pub(crate) recommends: bool,
    /// Package names, sorted.
    pub(crate) packages: Vec<String>,
    /// Those of the root's packages, needed ones too, that are installed after all others: see [`super::added`]. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) added: Vec<String>,
}

/// One .deb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    /// Its name (Debian Policy 5.6.7).
    pub(crate) name: String,
    /// Its version (Debian Policy 5.6.12).
    pub(crate) version: String,
    /// Its architecture, or `all`.
    pub(crate) architecture: String,
    /// Bytes of the .deb.
    pub(crate) size: u64,
    /// Digest of the .deb.
    pub(crate) sha256: Digest,
    /// Whether IT supplies it: then it has neither origin nor path, and its .deb lies in no store.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) supplied: bool,
    /// Suite and component that it was found in: `trixie-security/main`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) origin: String,
    /// Where the .deb lies below the archive's top.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
    /// The roots that it is installed into.
    pub(crate) roots: Vec<RootName>,
}

impl Package {
    /// The .deb's own file name.
    pub(crate) fn file_name(&self) -> String {
        if self.supplied {
            // As Debian's archive names them: without the epoch.
            let version = self.version.split_once(':').map_or(self.version.as_str(), |(_, version)| version);
            return format!("{}_{version}_{}.deb", self.name, self.architecture);
        }
        self.path.rsplit('/').next().unwrap_or(&self.path).to_owned()
    }

    /// Where it comes from, for people.
    pub(crate) fn source(&self) -> &str {
        if self.supplied { "supplied" } else { &self.origin }
    }

    /// Whether it comes from the security archive, which may have a mirror of its own.
    pub(crate) fn is_security(&self) -> bool {
        self.origin.split('/').next().is_some_and(|suite| suite.ends_with("-security"))
    }

    fn check(&self) -> Result<(), &'static str> {
        if !is_name(&self.name) {
            return Err("this is not a package name");
        }
        let version = |byte: u8| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte);
        if self.version.is_empty() || self.version.len() > 200 || !self.version.bytes().all(version) {
            return Err("this is not a version");
        }
        if !is_word(&self.architecture) {
            return Err("this is not an architecture");
        }
        if self.size == 0 || self.size > MAX_PACKAGE {
            return Err("this is not a package size");
        }
        if self.supplied {
            if !(self.origin.is_empty() && self.path.is_empty()) {
                return Err("it is supplied, but has an origin");
            }
            return self.check_roots();
        }
        if self.origin.split('/').count() < 2 || !self.origin.split('/').all(is_word) {
            return Err("the origin is not suite/component");
        }
        // It becomes part of a URL and, its end, a file's name.
        let part = |part: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+-~_".contains(&byte);
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed)
        };
        if self.path.len() > 1000 || !self.path.ends_with(".deb") || !self.path.split('/').all(part) {
            return Err("the path does not lie below an archive's root");
        }
        self.check_roots()
    }

    fn check_roots(&self) -> Result<(), &'static str> {
        let sorted = self.roots.windows(2).all(|pair| pair[0] < pair[1]);
        if self.roots.is_empty() || !sorted { Err("the roots are not in order") } else { Ok(()) }
    }
}

/// A package's name (Debian Policy 5.6.7).
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    (2..=200).contains(&text.len()) && text.as_bytes()[0].is_ascii_alphanumeric() && text.bytes().all(allowed)
}

/// Suite, component, architecture.
fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=100).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed)
}

impl Lock {
    /// From a lockfile's text.
    ///
    /// # Errors
    /// Exit 3 where it is not a lockfile.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let fix = "write it again: livery lock PROFILE";
        let lock: Self = toml::from_str(text).map_err(|error| Fault::refused("this is not a lockfile").cause(error).fix(fix))?;
        lock.check().map_err(|problem| Fault::refused(format!("this is not a lockfile: {problem}")).fix(fix))?;
        Ok(lock)
    }

    /// As a lockfile's text: the same lock, the same bytes.
    ///
    /// # Errors
    /// Exit 1 where it does not encode.
    pub(crate) fn encode(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(|error| Fault::internal("a lock does not encode").cause(error))?;
        Ok(format!("{HEADER}{text}"))
    }

    /// The packages of one root.
    pub(crate) fn of(&self, root: RootName) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(move |package| package.roots.contains(&root))
    }

    /// Names of the packages of one root that are installed after its others.
    pub(crate) fn added(&self, root: RootName) -> impl Iterator<Item = &str> {
        self.roots.iter().filter(move |request| request.name == root).flat_map(|request| request.added.iter().map(String::as_str))
    }

    /// Whether this lock is for what is asked now.
    ///
    /// # Errors
    /// Exit 3 with what is asked for and not locked, or locked and no longer asked for.
    pub(crate) fn fits(&self, debian: &Release, requests: &[Request], supplied: &[Package]) -> Result<()> {
        let mut differences = Vec::new();
        if self.debian != *debian {
            differences.push("suite, architecture or components have changed".to_owned());
        }
        for request in requests {
            let locked = self.roots.iter().find(|root| root.name == request.name);
            let names = |request: &Request| request.packages.iter().cloned().collect::<BTreeSet<_>>();
            let (before, now) = (locked.map(names).unwrap_or_default(), names(request));
            let by = request.name.asked_by();
            differences.extend(now.difference(&before).map(|name| format!("{name} is in {by} but not locked")));
            differences.extend(before.difference(&now).map(|name| format!("{name} is locked but no longer in {by}")));
            if locked.is_some_and(|locked| locked.recommends != request.recommends) {
                differences.push("`packages.recommends` has changed".to_owned());
            }
        }
        let before = || self.packages.iter().filter(|package| package.supplied);
        for now in supplied {
            match before().find(|before| before.name == now.name) {
                Some(before) if before.sha256 == now.sha256 => {}
                Some(before) => differences.push(format!(
                    "{} is supplied as {} ({}), but locked as {} ({})",
                    now.name,
                    now.version,
                    now.sha256.short(),
                    before.version,
                    before.sha256.short()
                )),
                None => differences.push(format!("{} is supplied, but not locked as supplied", now.name)),
            }
        }
        differences.extend(
            before()
                .filter(|before| !supplied.iter().any(|now| now.name == before.name))
                .map(|before| format!("{} is locked as supplied, but no longer supplied", before.name)),
        );
        if differences.is_empty() {
            return Ok(());
        }
        Err(Fault::refused(format!("the lockfile does not fit the profile: {}", differences.join("; ")))
            .fix("livery lock PROFILE updates it and keeps every version that it can; --update looks for newer ones"))
    }

    /// Whether all of it is what a lockfile may say.
    ///
    /// # Errors
    /// In words: what is not.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("schema {} is unknown; this release only knows {SCHEMA}", self.schema));
        }
        let words = self.debian.components.iter().chain([&self.debian.suite, &self.debian.architecture]);
        if let Some(bad) = words.into_iter().find(|word| !is_word(word)) {
            return Err(format!("{bad:.80?} is not a part of an archive"));
        }
        for root in &self.roots {
            if let Some(bad) = root.packages.iter().find(|name| !is_name(name)) {
                return Err(format!("{bad:.80?} is not a package name"));
            }
        }
        if !self.roots.windows(2).all(|pair| pair[0].name < pair[1].name) {
            return Err("a root appears twice or is out of order".to_owned());
        }
        for package in &self.packages {
            package.check().map_err(|problem| format!("package {:.80}: {problem}", package.name))?;
        }
        for root in &self.roots {
            let packages: BTreeSet<&str> = self.of(root.name).map(|package| package.name.as_str()).collect();
            if !root.added.windows(2).all(|pair| pair[0] < pair[1]) {
                return Err(format!("what was added to root {} appears twice or is out of order", root.name.as_str()));
            }
            if let Some(other) = root.added.iter().find(|name| !packages.contains(name.as_str())) {
                return Err(format!("{other:.80?} was added to root {}, but is not a package of it", root.name.as_str()));
            }
        }
        // One name, one version: the roots are made from the same packages.
        match self.packages.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            Some(pair) => Err(format!("package {:.80} appears twice or is out of order", pair[1].name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub(in crate::lock) fn package(name: &str, version: &str, roots: &[RootName]) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            architecture: "amd64".into(),
            size: 10,
            sha256: Digest::of(format!("{name} {version}").as_bytes()),
            supplied: false,
            origin: "trixie/main".into(),
            path: format!("pool/main/{name}_{}_amd64.deb", version.replace(':', "")),
            roots: roots.to_vec(),
        }
    }

    pub(in crate::lock) fn lock(packages: Vec<Package>) -> Lock {
        Lock {
            schema: SCHEMA,
            debian: Release { suite: "trixie".into(), architecture: "amd64".into(), components: vec!["main".into()] },
            roots: vec![Request { name: RootName::Device, recommends: false, packages: vec!["cage".into()], added: Vec::new() }],
            packages,
        }
    }

    #[test]
    fn the_text_says_it_all() {
        let lock = lock(vec![package("cage", "1:0.2.0-2", &[RootName::Device]), package("libc6", "2.41", &RootName::ALL)]);
        let text = lock.encode().unwrap();
        assert_eq!(Lock::parse(&text).unwrap(), lock);
        assert_eq!(Lock::parse(&text).unwrap().encode().unwrap(), text);
        assert!(text.starts_with("# Written by `livery lock`"));
    }

    #[test]
    fn what_is_odd_is_refused() {
        let good = lock(vec![package("cage", "0.2.0-2", &[RootName::Device]), package("libc6", "2.41", &RootName::ALL)]);
        let mut cases: Vec<(&str, Lock)> = Vec::new();
        let mut change = |what, edit: &dyn Fn(&mut Lock)| {
            let mut lock = good.clone();
            edit(&mut lock);
            cases.push((what, lock));
        };
        change("schema 2", &|lock| lock.schema = 2);
        change("not a package name", &|lock| lock.packages[0].name = "Ca ge".into());
        change("not a version", &|lock| lock.packages[0].version = "1;rm".into());
        change("below an archive's root", &|lock| lock.packages[0].path = "../../etc/x.deb".into());
        change("below an archive's root", &|lock| lock.packages[0].path = "pool//x.deb".into());
        change("below an archive's root", &|lock| lock.packages[0].path = "/pool/x.deb".into());
        change("not suite/component", &|lock| lock.packages[0].origin = "trixie".into());
        change("size", &|lock| lock.packages[0].size = 0);
        change("roots are not in order", &|lock| lock.packages[1].roots = vec![RootName::Device, RootName::Tools]);
        change("twice or is out of order", &|lock| lock.packages[1].name = "cage".into());
        change("twice or is out of order", &|lock| lock.packages.reverse());
        change("is not a package of it", &|lock| lock.roots[0].added = vec!["hello".into()]);
        change("twice or is out of order", &|lock| lock.roots[0].added = vec!["libc6".into(), "cage".into()]);
        for (wanted, lock) in cases {
            let fault = Lock::parse(&lock.encode().unwrap()).unwrap_err();
            assert_eq!(fault.exit().code(), 3);
            assert!(fault.to_string().contains(wanted), "{fault} lacks {wanted}");
        }
        let text = good.encode().unwrap().replace("size = 10", "size = 10\nextra = 1");
        assert!(Lock::parse(&text).unwrap_err().to_string().contains("extra"));
    }

    #[test]
    fn a_changed_profile_is_told_what_differs() {
        let lock = lock(vec![package("cage", "0.2.0-2", &[RootName::Device])]);
        let debian = lock.debian.clone();
        let asked = |packages: &[&str]| {
            [Request {
                name: RootName::Device,
                recommends: false,
                packages: packages.iter().map(|&name| name.into()).collect(),
                added: Vec::new(),
            }]
        };
        lock.fits(&debian, &asked(&["cage"]), &[]).unwrap();
        let fault = lock.fits(&debian, &asked(&["seatd"]), &[]).unwrap_err().to_string();
        assert!(fault.contains("seatd is in `packages.install` but not locked"), "{fault}");
        assert!(fault.contains("cage is locked but no longer in"), "{fault}");
    }

    #[test]
    fn what_is_supplied_has_no_origin_and_must_be_the_same_file() {
        let mut client = package("icaclient", "1:24.11", &[RootName::Device]);
        (client.supplied, client.origin, client.path) = (true, String::new(), String::new());
        assert_eq!((client.file_name().as_str(), client.source()), ("icaclient_24.11_amd64.deb", "supplied"));
        let lock = lock(vec![client.clone()]);
        let text = lock.encode().unwrap();
        assert!(text.contains("supplied = true") && !text.contains("origin") && !text.contains("path"), "{text}");
        assert_eq!(Lock::parse(&text).unwrap(), lock);
        let fault = Lock::parse(&text.replace("supplied = true", "supplied = true\norigin = \"trixie/main\"")).unwrap_err();
        assert!(fault.to_string().contains("supplied, but has an origin"), "{fault}");
        assert!(Lock::parse(&text.replace("supplied = true\n", "")).is_err(), "neither supplied nor from an archive");

        let fits = |supplied: &[Package]| lock.fits(&lock.debian, &lock.roots, supplied).map_err(|fault| fault.to_string());
        fits(std::slice::from_ref(&client)).unwrap();
        assert!(fits(&[]).unwrap_err().contains("icaclient is locked as supplied, but no longer supplied"));
        client.sha256 = Digest::of(b"another");
        assert!(fits(&[client]).unwrap_err().contains("icaclient is supplied as 1:24.11"), "another file");
    }
}
