//! The packages of a workspace, and of those beside it such as `fuzz/`, with the module tree of each target.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{Finding, tree::Tree};

/// What a target is for, as far as the checks ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A library or a program.
    Product,
    /// An integration test or a benchmark.
    Test,
    /// A build script or an example.
    Other,
}

/// One crate that cargo compiles.
#[derive(Debug)]
pub struct Target {
    /// Its name, as cargo lists it.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Whether a run of the workspace's tests runs its tests: it is in the workspace, has not `test = false`, and needs no feature.
    pub tested: bool,
    /// Its modules.
    pub tree: Tree,
}

/// One package.
#[derive(Debug)]
pub struct Package {
    /// Its name, such as `livery-agent`.
    pub name: String,
    /// Its folder, relative to the workspace's.
    pub folder: PathBuf,
    /// Its targets, in cargo's order.
    pub targets: Vec<Target>,
}

/// All packages below a folder.
#[derive(Debug)]
pub struct Workspace {
    /// The folder, absolute.
    pub root: PathBuf,
    /// The packages, by name.
    pub packages: Vec<Package>,
    /// All `.rs` files, relative to the folder, in order; without what cargo built.
    pub sources: Vec<PathBuf>,
}

impl Workspace {
    /// Reads the manifests, the module trees and the list of sources.
    ///
    /// # Errors
    /// Where cargo refuses a manifest, or a file does not parse.
    pub fn read(root: &Path) -> Result<Self, Finding> {
        let unreadable =
            |error| Finding::new(root, 0, format!("cannot be read: {error}"), "name the workspace's folder: --root DIR");
        let root = root.canonicalize().map_err(unreadable)?;
        let mut manifests = Vec::new();
        let mut sources = Vec::new();
        walk(&root, &root, &mut manifests, &mut sources)?;
        let mut packages = BTreeMap::new();
        for manifest in manifests {
            let folder = manifest.parent().unwrap_or(Path::new("")).to_path_buf();
            // The first manifest names all members of its workspace; those that it does not name are asked for themselves.
            if packages.values().any(|package: &Package| package.folder == folder) {
                continue;
            }
            let member = manifest == Path::new("Cargo.toml");
            for package in ask_cargo(&root, &manifest, member)? {
                packages.entry(package.name.clone()).or_insert(package);
            }
        }
        Ok(Self { root, packages: packages.into_values().collect(), sources })
    }

    /// The package of that name.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

/// Manifests and sources below a folder, in order; hidden folders, what cargo built and what runs left behind are left out.
fn walk(root: &Path, folder: &Path, manifests: &mut Vec<PathBuf>, sources: &mut Vec<PathBuf>) -> Result<(), Finding> {
    let unreadable = |error| Finding::new(folder, 0, format!("cannot be read: {error}"), "make it readable");
    let mut entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(unreadable)?;
    // Files before folders: a workspace's manifest before those of its members.
    entries.sort_by_key(|entry| (entry.path().is_dir(), entry.path()));
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        // Hidden ones are an editor's or git's.
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let relative = path.strip_prefix(root).unwrap_or(&path);
        if path.is_dir() {
            let made = relative == Path::new("target") || relative == Path::new("out") || path.join("CACHEDIR.TAG").exists();
            if !made && !path.is_symlink() {
                walk(root, &path, manifests, sources)?;
            }
        } else if name == "Cargo.toml" {
            manifests.push(relative.to_path_buf());
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(relative.to_path_buf());
        }
    }
    Ok(())
}

fn ask_cargo(root: &Path, manifest: &Path, member: bool) -> Result<Vec<Package>, Finding> {
    let refused = |why: String| Finding::new(manifest, 0, format!("cargo does not take it: {why}"), "mend the manifest");
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root.join(manifest))
        .output()
        .map_err(|error| refused(error.to_string()))?;
    if !output.status.success() {
        return Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| refused(error.to_string()))?;
    let mut packages = Vec::new();
    for package in array(&metadata["packages"]) {
        let below = |path: &Value| {
            let path = Path::new(path.as_str().unwrap_or_default());
            path.strip_prefix(root).unwrap_or(path).to_path_buf()
        };
        let mut targets = Vec::new();
        for target in array(&package["targets"]) {
            let kind = match target["kind"][0].as_str() {
                Some("test" | "bench") => Kind::Test,
                Some("custom-build" | "example") => Kind::Other,
                _ => Kind::Product,
            };
            let tree = Tree::read(root, &below(&target["src_path"]))?;
            let tested = member && target["test"] == true && array(&target["required-features"]).is_empty();
            targets.push(Target { name: target["name"].as_str().unwrap_or_default().to_owned(), kind, tested, tree });
        }
        packages.push(Package {
            name: package["name"].as_str().unwrap_or_default().to_owned(),
            folder: below(&package["manifest_path"]).parent().unwrap_or(Path::new("")).to_path_buf(),
            targets,
        });
    }
    Ok(packages)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
