//! Whether a test exists, by the name that nextest lists it with: package, then modules and function.

use crate::workspace::{Package, Target, Workspace};

/// Looks a test up.
///
/// # Errors
/// What is wrong with the name, and how to mend it.
pub fn check(workspace: &Workspace, name: &str) -> Result<(), (String, String)> {
    let Some((package, path)) = name.split_once(' ') else {
        return Err((format!("{name:?} is no test's name"), "write package and test: `livery-agent job::tests::name`".to_owned()));
    };
    let Some(found) = workspace.package(package) else {
        return Err((
            format!("there is no package {package}"),
            "write package and test: `livery-agent job::tests::name`".to_owned(),
        ));
    };
    let tests = all(found);
    match tests.iter().find(|test| test.path == path) {
        Some(Named { left_out: false, .. }) => Ok(()),
        Some(_) => Err((
            format!("the test {name} is ignored, or compiled under a condition: it may hold nothing"),
            "let it run always, or name another one".to_owned(),
        )),
        None => Err((format!("there is no test {name}"), moved(workspace, path))),
    }
}

/// Where a test of that name is now.
fn moved(workspace: &Workspace, path: &str) -> String {
    let function = path.rsplit("::").next().unwrap_or(path);
    let mut others = Vec::new();
    for package in &workspace.packages {
        for test in all(package).into_iter().filter(|test| test.path.rsplit("::").next() == Some(function)) {
            others.push(format!("`{} {}`", package.name, test.path));
        }
    }
    if others.is_empty() {
        "name the test that holds the claim now".to_owned()
    } else {
        format!("it may be {} now", others.join(" or "))
    }
}

struct Named {
    path: String,
    left_out: bool,
}

fn all(package: &Package) -> Vec<Named> {
    package.targets.iter().filter(|target| target.tested).flat_map(of_target).collect()
}

/// In an integration test's binary, names begin with its modules, as in a library.
fn of_target(target: &Target) -> Vec<Named> {
    let mut named = Vec::new();
    for module in &target.tree.modules {
        for test in &module.tests {
            let mut path = module.path.clone();
            path.push(test.name.clone());
            named.push(Named { path: path.join("::"), left_out: test.left_out });
        }
    }
    named
}
