//! The claims of the README, the guides and the threat model, each with the tests that hold it: `docs/claims.md`.
//!
//! A section for each document, named after it, has a table with a row for each claim. The last column but one names the tests, as
//! `package module::function`; the last one names the tier in which all of them have run. In the section of the threat model, a row
//! begins with the words of the row that it answers.

mod page;
mod tests;
mod tiers;

use std::path::Path;

use crate::{Finding, workspace::Workspace};
use page::{Row, Table};
use tiers::{TIERS, Tiers};

/// Where the claims are, from the workspace's folder.
pub const CLAIMS: &str = "docs/claims.md";
/// Where the threat model is.
pub const THREATS: &str = "docs/threat-model.md";
/// The section for what no test shows; its rows have a document, a claim and a reason.
const UNSHOWN: &str = "Not shown by a test";

/// Compares the claims with the tests that there are, and the threat model with the claims.
///
/// # Errors
/// Where one of the two pages, or what says which tests run when, cannot be read.
pub fn find(workspace: &Workspace) -> Result<Vec<Finding>, Finding> {
    let tiers = Tiers::read(&workspace.root)?;
    let mut findings = Vec::new();
    let tables = page::read(&workspace.root, CLAIMS, &mut findings)?;
    for table in &tables {
        findings.extend(
            table.section.is_empty().then(|| at(CLAIMS, table.line, "a table outside of a section", "put it below a heading")),
        );
        if table.section == UNSHOWN {
            unshown(workspace, table, &mut findings);
        } else {
            document(workspace, &tiers, table, &mut findings);
        }
    }
    let model = page::read(&workspace.root, THREATS, &mut findings)?;
    threats(&model, &tables, &mut findings);
    findings.sort();
    Ok(findings)
}

fn at(page: &str, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding::new(page, line, what, fix)
}

/// One document's claims: each has tests, all of them exist, and it is known when they run.
fn document(workspace: &Workspace, tiers: &Tiers, table: &Table, findings: &mut Vec<Finding>) {
    is_there(workspace, &table.section, table.line, findings);
    for row in &table.rows {
        let Some(Cells { tests, tier, .. }) = cells(row) else {
            findings.push(at(
                CLAIMS,
                row.line,
                "a claim's row needs claim, tests and tier",
                "write: | claim | `package module::test` | tier |",
            ));
            continue;
        };
        let named = page::code(tests);
        if named.is_empty() {
            let fix =
                format!("name one as `package module::function`; if there is none yet, write one, or say in \"{UNSHOWN}\" why not");
            findings.push(at(CLAIMS, row.line, "the claim has no test", fix));
        }
        if tests.split('`').step_by(2).any(|text| !text.replace("<br>", "").trim_matches([' ', ',']).is_empty()) {
            let what = "something between the names of the row's tests is none";
            findings.push(at(CLAIMS, row.line, what, "put each test's name between backquotes: `package module::function`"));
        }
        let mut first = Some(0);
        for name in named {
            findings.extend(tests::check(workspace, name).err().map(|(what, fix)| at(CLAIMS, row.line, what, fix)));
            let path = name.split_once(' ').map_or(name, |(_, path)| path);
            first = first.zip(tiers.of(path)).map(|(one, other)| one.max(other));
        }
        let first = first.map_or("none", |first| TIERS[first]);
        if !TIERS.contains(&tier) {
            findings.push(at(
                CLAIMS,
                row.line,
                format!("the tier {tier:?} is unknown"),
                format!("it is one of: {}", TIERS.join(", ")),
            ));
        } else if tier != first {
            let what = format!("the tier is {tier}, but the first in which all of the row's tests run is {first}");
            findings.push(at(CLAIMS, row.line, what, format!("write {first}; or name tests that run in {tier}")));
        }
    }
}

/// What no test shows has a document, a claim and a reason.
fn unshown(workspace: &Workspace, table: &Table, findings: &mut Vec<Finding>) {
    for row in &table.rows {
        match row.cells.as_slice() {
            [document, claim, why] if !claim.is_empty() && !why.is_empty() => is_there(workspace, document, row.line, findings),
            _ => {
                findings.push(at(CLAIMS, row.line, "what no test shows needs a document, a claim and a reason", "write all three"))
            }
        }
    }
}

fn is_there(workspace: &Workspace, document: &str, line: usize, findings: &mut Vec<Finding>) {
    if !workspace.root.join(document).is_file() {
        let fix = "a section is named after its document, from the repository's folder: docs/it-guide.md";
        findings.push(at(CLAIMS, line, format!("there is no document {document:?}"), fix));
    }
}

/// Each row of the threat model is answered by a claim that holds before a change goes in, and no claim answers a row that is gone.
fn threats(model: &[Table], claims: &[Table], findings: &mut Vec<Finding>) {
    let threats: Vec<&Row> = model.iter().flat_map(|table| &table.rows).collect();
    let answers: Vec<&Row> = claims.iter().filter(|table| table.section == THREATS).flat_map(|table| &table.rows).collect();
    for (number, threat) in threats.iter().enumerate() {
        let who = threat.first();
        if threats[..number].iter().any(|other| other.first() == who) {
            findings.push(at(
                THREATS,
                threat.line,
                format!("two rows begin with {who:?}"),
                "tell them apart by their first column",
            ));
        }
        let mut tiers =
            answers.iter().filter(|row| row.first() == who).filter_map(|row| cells(row)).map(|cells| cells.tier).peekable();
        if tiers.peek().is_none() {
            let fix = format!("add a row to the section {THREATS} of {CLAIMS} that begins so, with the test that holds it");
            findings.push(at(THREATS, threat.line, format!("no claim answers this row: {who:?}"), fix));
        } else if !tiers.any(|tier| TIERS[..2].contains(&tier)) {
            let fix = format!("name a test of the tier {} in its row of {CLAIMS}", TIERS[1]);
            findings.push(at(THREATS, threat.line, format!("no test before a change goes in holds this row: {who:?}"), fix));
        }
    }
    for answer in answers {
        if !threats.iter().any(|threat| threat.first() == answer.first()) {
            let what = format!("the threat model has no row that begins with {:?}", answer.first());
            findings.push(at(
                CLAIMS,
                answer.line,
                what,
                format!("begin with the words of a row of {THREATS}, as they are there now"),
            ));
        }
    }
    if threats.is_empty() {
        findings.push(at(THREATS, 0, "the threat model has no rows", "its table has one for each threat"));
    }
}

/// The columns of a claim that are looked at.
struct Cells<'a> {
    tests: &'a str,
    tier: &'a str,
}

fn cells(row: &Row) -> Option<Cells<'_>> {
    match row.cells.as_slice() {
        [claim, .., tests, tier] if !claim.is_empty() => Some(Cells { tests, tier }),
        _ => None,
    }
}

/// Reads a page of the workspace.
fn text(root: &Path, page: &str) -> Result<String, Finding> {
    std::fs::read_to_string(root.join(page))
        .map_err(|error| at(page, 0, format!("cannot be read: {error}"), "write it; docs/README.md says what it is for"))
}
