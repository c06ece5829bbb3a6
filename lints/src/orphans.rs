//! Rust files that no target of cargo's and no `mod` reaches: nobody compiles them, so nobody notices when they rot.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{Finding, workspace::Workspace};

/// Looks at all `.rs` files below the workspace's folder.
pub fn find(workspace: &Workspace) -> Vec<Finding> {
    let compiled: BTreeSet<&Path> =
        workspace.packages.iter().flat_map(|package| &package.targets).flat_map(|target| target.tree.files()).collect();
    let orphans = workspace.sources.iter().filter(|file| !compiled.contains(file.as_path()));
    let tell = |file: &PathBuf| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = if stem == "mod" { file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy() } else { stem };
        Finding::new(file, 0, "nothing compiles this file", format!("declare it where it belongs (`mod {name};`), or delete it"))
    };
    orphans.map(tell).collect()
}
