//! Packages, as the images' SBOMs list them.

use std::collections::BTreeMap;

use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};

/// Name to version.
pub(crate) type List = BTreeMap<String, String>;

/// A package that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PackageChange {
    pub(crate) name: String,
    /// Its version before; `None` where it was added.
    pub(crate) before: Option<String>,
    /// Its version now; `None` where it was removed.
    pub(crate) now: Option<String>,
}

/// What is read of a document.
#[derive(Deserialize)]
struct Document {
    packages: Vec<Element>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Element {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(default)]
    version_info: String,
}

/// The binary packages of an SBOM that Livery wrote.
///
/// # Errors
/// Exit 4 where it is none.
pub(crate) fn read(sbom: &[u8]) -> Result<List> {
    let document: Document =
        serde_json::from_slice(sbom).map_err(|error| Fault::untrusted("an image's SBOM does not parse").cause(error))?;
    let packages = document.packages.into_iter().filter(|package| package.id.starts_with("SPDXRef-deb-"));
    Ok(packages.map(|package| (package.name, package.version_info)).collect())
}

/// What differs, in order of name.
pub(crate) fn compare(before: &List, now: &List) -> Vec<PackageChange> {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let change =
        |name: &String| PackageChange { name: name.clone(), before: before.get(name).cloned(), now: now.get(name).cloned() };
    names.into_iter().map(change).filter(|change| change.before != change.now).collect()
}
