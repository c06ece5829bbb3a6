//! apt's answers as a lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use livery_contract::{Digest, Fault, Result};

use super::{
    apt::{Apt, Listed},
    archive,
    debs::Debs,
    file::{Lock, Package, Release, Request, RootName, SCHEMA},
};
use crate::profile::Debian;

/// Asks apt what the requests come to now. With `keep`, the versions of that lock stay wherever they are still to be had: on a
/// mirror or among `debs`.
///
/// # Errors
/// Exit 3 where apt can't satisfy a request, 5 where no mirror can be reached.
pub fn resolve(debian: &Debian, requests: &[Request], keep: Option<(&Lock, &Debs)>, scratch: tempfile::TempDir) -> Result<Lock> {
    let kept = scratch.path().join("kept");
    let apt = Apt::new(scratch, debian)?;
    if let Some((lock, debs)) = keep {
        keep_versions(&apt, lock, debs, &kept)?;
    }
    apt.update()?;
    let mut roots: BTreeMap<Digest, BTreeSet<RootName>> = BTreeMap::new();
    for request in requests {
        for digest in apt.resolve(request)? {
            roots.entry(digest).or_default().insert(request.name);
        }
    }
    let listed = apt.listed(&roots.keys().copied().collect::<Vec<_>>())?;
    let mut packages = Vec::with_capacity(roots.len());
    for (digest, roots) in roots {
        let roots = roots.into_iter().collect();
        let before = keep.and_then(|(lock, _)| lock.packages.iter().find(|package| package.sha256 == digest));
        packages.push(match (listed.get(&digest), before) {
            (Some(listed), _) => package(digest, listed, roots)?,
            // No mirror has it any more.
            (None, Some(before)) => Package { roots, ..before.clone() },
            (None, None) => return Err(Fault::internal("apt chose a package that no index has")),
        });
    }
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(pair) = packages.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(Fault::refused(format!(
            "two roots need {} in two versions, {} and {}",
            pair[0].name, pair[0].version, pair[1].version
        ))
        .fix("livery lock --update"));
    }
    let lock = Lock { schema: SCHEMA, debian: Release::from(debian), roots: requests.to_vec(), packages };
    // What an index says is not ours: it becomes paths and names.
    lock.check().map_err(|problem| Fault::source(format!("a mirror's index can't be locked: {problem}")))?;
    Ok(lock)
}

fn keep_versions(apt: &Apt, lock: &Lock, debs: &Debs, folder: &Path) -> Result<()> {
    let here: Vec<&Package> = lock.packages.iter().filter(|package| debs.find(package).is_some()).collect();
    archive::make(folder, &here, debs, &lock.debian)?;
    apt.prefer(folder, &lock.packages)
}

fn package(sha256: Digest, listed: &Listed, roots: Vec<RootName>) -> Result<Package> {
    let field = |name: &str| {
        let odd = || Fault::source(format!("an index lacks the {name} of a package")).at(sha256);
        listed.fields.get(name).cloned().ok_or_else(odd)
    };
    let size = field("Size")?;
    Ok(Package {
        name: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture")?,
        size: size.parse().map_err(|error| Fault::source(format!("{size:.40} is no size")).at(sha256).cause(error))?,
        sha256,
        origin: listed.origin.clone(),
        path: field("Filename")?,
        roots,
    })
}
