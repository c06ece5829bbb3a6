//! apt's answers as a lock.

use std::collections::{BTreeMap, BTreeSet};

use livery_contract::{Digest, Fault, Result};
use livery_profile::Debian;

use super::{
    added::added,
    apt::{Apt, Listed},
    archive,
    debs::Debs,
    file::{Lock, Package, Release, Request, RootName, SCHEMA},
};

/// Asks apt what the requests come to now, with just those files of the packages that IT supplies. With `keep`, the versions of that
/// lock stay wherever they are still to be had: on a mirror or among `debs`.
///
/// # Errors
/// Exit 3 where apt can't satisfy a request, 5 where no mirror can be reached.
pub(crate) fn resolve(
    debian: &Debian,
    requests: &[Request],
    supplied: &[Package],
    keep: Option<&Lock>,
    debs: &Debs,
    scratch: tempfile::TempDir,
) -> Result<Lock> {
    let archive = scratch.path().join("archive");
    let apt = Apt::new(scratch, debian)?;
    // What was supplied then is not what is supplied now.
    let earlier = keep.iter().flat_map(|lock| &lock.packages).filter(|package| !package.supplied);
    let known: Vec<&Package> = earlier.chain(supplied).collect();
    if !known.is_empty() {
        let here: Vec<&Package> = known.iter().copied().filter(|package| debs.find(package).is_some()).collect();
        archive::make(&archive, &here, debs, &Release::from(debian))?;
        apt.prefer(&archive, &known)?;
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
        let before = known.iter().find(|package| package.sha256 == digest);
        packages.push(match (listed.get(&digest), before) {
            (_, Some(before)) if before.supplied => (*before).clone(),
            (Some(listed), _) => package(digest, listed, roots)?,
            // No mirror has it any more.
            (None, Some(before)) => Package { roots, ..(*before).clone() },
            (None, None) => return Err(Fault::internal("apt chose a package that is in no index")),
        });
    }
    if let Some(lost) = supplied.iter().find(|supplied| !packages.iter().any(|package| package.sha256 == supplied.sha256)) {
        return Err(Fault::refused(format!("apt would install another {} than the supplied {}", lost.name, lost.version))
            .fix("check whether another package requires another version of it, or the mirror has the same version"));
    }
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(pair) = packages.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(Fault::refused(format!(
            "two roots need {} in different versions, {} and {}",
            pair[0].name, pair[0].version, pair[1].version
        ))
        .fix("livery lock --update"));
    }
    let mut roots = requests.to_vec();
    for root in &mut roots {
        root.added = keep.map(|before| added(before, &packages, root.name)).unwrap_or_default();
    }
    let lock = Lock { schema: SCHEMA, debian: Release::from(debian), roots, packages };
    // What an index says is not ours: it becomes paths and names.
    lock.check().map_err(|problem| Fault::source(format!("a mirror's index can't be locked: {problem}")))?;
    Ok(lock)
}

fn package(sha256: Digest, listed: &Listed, roots: Vec<RootName>) -> Result<Package> {
    let field = |name: &str| {
        let odd = || Fault::source(format!("an index has no {name} of a package")).at(sha256);
        listed.fields.get(name).cloned().ok_or_else(odd)
    };
    let size = field("Size")?;
    Ok(Package {
        name: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture")?,
        size: size.parse().map_err(|error| Fault::source(format!("{size:.40} is not a size")).at(sha256).cause(error))?,
        sha256,
        supplied: false,
        origin: listed.origin.clone(),
        path: field("Filename")?,
        roots,
    })
}
