//! Files of one crate that import each other in a circle, so that none of them can be read, tested or moved without the others.
//!
//! An arrow goes from a file to the one that defines what it names: by `use`, or by a path in its code. A parent that only declares its
//! modules and passes their names on (`pub use`) makes none. Tests make none. A parent may use its modules as they use it, since a
//! folder's first file and its parts are read together; what counts is a circle that does not need the parent.

use std::path::Path;

use crate::{
    Finding,
    graph::{self, Arrows, Places},
    names::Place,
    tree::{Import, Tree},
    workspace::{Kind, Workspace},
};

/// Looks at libraries and programs; at all packages where none is named.
///
/// # Errors
/// Where a package is named that is not there.
pub fn find(workspace: &Workspace, packages: &[String]) -> Result<Vec<Finding>, Finding> {
    if let Some(unknown) = packages.iter().find(|name| workspace.package(name).is_none()) {
        return Err(Finding::new("Cargo.toml", 0, format!("no package has the name {unknown}"), "name a member of the workspace"));
    }
    let mut findings = Vec::new();
    for package in &workspace.packages {
        if !packages.is_empty() && !packages.contains(&package.name) {
            continue;
        }
        for target in package.targets.iter().filter(|target| target.kind == Kind::Product) {
            // Files that a package compiles from another one's folder are told there.
            findings
                .extend(of_target(&package.name, &target.tree).into_iter().filter(|found| found.file.starts_with(&package.folder)));
        }
    }
    findings.sort();
    Ok(findings)
}

fn of_target(package: &str, tree: &Tree) -> Vec<Finding> {
    let arrows = arrows(tree);
    let describe = |circle: Vec<&Path>| {
        let mut files: Vec<String> = circle.iter().map(|file| file.display().to_string()).collect();
        files.push(files[0].clone());
        let mut details = Vec::new();
        for (at, from) in circle.iter().enumerate() {
            let to = circle[(at + 1) % circle.len()];
            if let Some((line, text)) = arrows.get(from).and_then(|arrows| arrows.get(to)) {
                details.push(format!("{}:{line} names {text}, which is in {}", from.display(), to.display()));
            }
        }
        let line = arrows.get(circle[0]).and_then(|to| to.get(circle[1 % circle.len()])).map_or(0, |(line, _)| *line);
        let mut finding = Finding::new(
            circle[0],
            line,
            format!("{package}: these files import each other in a circle: {}", files.join(" -> ")),
            "move what two of them need into a file of its own that imports neither, or pass it as an argument",
        );
        finding.details = details;
        finding
    };
    graph::circles(&arrows, &places(tree)).into_iter().map(describe).collect()
}

/// Which module a file is: of those in it, the outermost.
fn places(tree: &Tree) -> Places<'_> {
    let mut places = Places::new();
    for module in &tree.modules {
        places.entry(module.file.as_path()).or_insert(module.path.as_slice());
    }
    places
}

/// Who names what of whom, tests left out.
fn arrows(tree: &Tree) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    let mut add = |from: usize, to: usize, line: usize, path: &[String]| {
        let (from, to) = (tree.modules[from].file.as_path(), tree.modules[to].file.as_path());
        if from != to {
            let written = (line, format!("`{}`", path.join("::")));
            let first = arrows.entry(from).or_default().entry(to).or_insert_with(|| written.clone());
            if written.0 < first.0 {
                *first = written;
            }
        }
    };
    for (at, module) in tree.modules.iter().enumerate().filter(|(_, module)| !module.test) {
        for import in module.imports.iter().filter(|import| !import.test) {
            if let Some(place) = tree.resolve_import(at, import)
                && !passes_on(tree, at, import, place)
                && !is_prefix(tree, at, import, place)
            {
                add(at, place.module(), import.line, &import.path);
            }
        }
        for mention in module.mentions.iter().filter(|mention| !mention.test) {
            // A word of its own that names a module is another thing of that name: a variable, a field.
            match tree.resolve(at, &mention.path) {
                Some(Place::Module(_)) if mention.path.len() == 1 => {}
                Some(place) => add(at, place.module(), mention.line, &mention.path),
                None => {}
            }
        }
    }
    arrows
}

/// `pub use child::Name`: others get the name here. Where the code here uses it too, its paths make the arrow.
fn passes_on(tree: &Tree, at: usize, import: &Import, place: Place) -> bool {
    let mut module = place.module();
    while module != 0 && module != at {
        module = tree.modules[module].parent;
    }
    import.public && module == at && place.module() != at
}

/// `use crate::bind`, for `bind::seal()` further down: what is named there counts, which may be in one of its files.
fn is_prefix(tree: &Tree, at: usize, import: &Import, place: Place) -> bool {
    matches!(place, Place::Module(_))
        && tree.modules[at].mentions.iter().any(|mention| mention.path.len() > 1 && mention.path.first() == import.name.as_ref())
}
