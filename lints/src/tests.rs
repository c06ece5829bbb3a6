//! Small workspaces in which one thing is wrong: it is found, and the finding says where, what, and how to mend it.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::{Finding, circles, claims, orphans, sleeps, workspace::Workspace};

const MANIFEST: &str = "[package]\nname = \"livery-room\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";

const PROFILES: &str = "[profile.quick]\ndefault-filter = \"not test(/qemu_|^desk::|variant_/)\"\n\n\
    [profile.default]\ndefault-filter = \"not test(/variant_/)\"\n\n[profile.everything]\ndefault-filter = \"all()\"\n";

/// A workspace of one package with these files; one that nothing is wrong with, but for them.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", MANIFEST);
    write("src/lib.rs", "");
    write(".config/nextest.toml", PROFILES);
    write(claims::CLAIMS, "");
    write(claims::THREATS, "| who | not | because |\n|---|---|---|\n");
    for (path, text) in files {
        write(path, text);
    }
    folder
}

fn read(folder: &TempDir) -> Workspace {
    Workspace::read(folder.path()).unwrap()
}

fn circles_in(files: &[(&str, &str)]) -> Vec<Finding> {
    circles::find(&read(&tree(files)), &[]).unwrap()
}

/// What is said of these pages, a line each.
fn claims_of(claims: &str, threats: &str) -> String {
    let tested = "#[cfg(test)]\nmod tests {\n    #[test]\n    fn holds() {}\n    #[test]\n    #[ignore]\n    fn sleeps() {}\n\
        \n    proptest! {\n        #[test]\n        fn any(x in 0..9) { let _ = x; }\n    }\n\
        \n    #[test]\n    #[cfg(windows)]\n    fn elsewhere() {}\n}\n\
        \n#[cfg(all(test, windows))]\nmod elsewhere {\n    #[test]\n    fn holds() {}\n}\n";
    let manifest = format!("{MANIFEST}\n[[bin]]\nname = \"room\"\npath = \"src/main.rs\"\ntest = false\n");
    let outside = "mod flash;\n#[tokio::test]\nasync fn qemu_whole() {}\n";
    let folder = tree(&[
        ("Cargo.toml", &manifest),
        ("src/main.rs", "fn main() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn exits() {}\n}\n"),
        ("src/lib.rs", "mod job;\n"),
        ("src/job.rs", tested),
        ("tests/system/main.rs", outside),
        ("tests/system/flash.rs", "#[test]\nfn qemu_flashed() {}\n#[test]\nfn qemu_variant_flashed() {}\n"),
        ("README.md", "Devices.\n"),
        (claims::CLAIMS, claims),
        (claims::THREATS, &format!("# Threats\n\n| who | not | because |\n|---|---|---|\n{threats}")),
    ]);
    claims::find(&read(&folder)).unwrap().iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn a_circle_is_drawn_with_the_line_of_each_import() {
    let found = circles_in(&[
        ("src/lib.rs", "pub mod plan;\npub mod survey;\npub mod write;\n"),
        ("src/plan.rs", "use std::fmt;\n\nuse crate::survey::Found;\npub struct Plan(Found);\n"),
        ("src/survey.rs", "pub struct Found;\npub fn look() { super::write::hold() }\n"),
        ("src/write.rs", "use crate::{\n    plan::Plan,\n};\npub fn hold() -> Option<Plan> { None }\n"),
    ]);
    let [finding] = &found[..] else { panic!("{found:?}") };
    let text = finding.to_string();
    assert!(text.contains("src/plan.rs -> src/survey.rs -> src/write.rs -> src/plan.rs"), "{text}");
    for line in ["src/plan.rs:3 names `crate::survey::Found`", "src/survey.rs:2 names `super::write::hold`", "src/write.rs:2 names"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.contains("fix: move what two of them need into a file of its own"), "{text}");
}

#[test]
fn names_that_a_parent_passes_on_are_followed_to_where_they_are() {
    let lib = ("src/lib.rs", "pub mod bind;\npub mod plan;\n");
    let parent = ("src/bind/mod.rs", "mod keys;\npub use keys::Key as DeviceKey;\n");
    // By an import, by a module and a path, by a path alone, in a macro, in an attribute.
    for user in [
        "use crate::bind::DeviceKey;\npub struct Plan(DeviceKey);\n",
        "use crate::bind;\npub struct Plan(bind::DeviceKey);\n",
        "pub struct Plan(crate::bind::DeviceKey);\n",
        "pub struct Plan;\npub fn say() { println!(\"{:?}\", crate::bind::DeviceKey) }\n",
        "pub struct Plan;\n#[serde(with = \"crate::bind::DeviceKey\")]\npub struct Other;\n",
    ] {
        let found =
            circles_in(&[lib, parent, ("src/bind/keys.rs", "pub struct Key;\nuse crate::plan::Plan;\n"), ("src/plan.rs", user)]);
        let [finding] = &found[..] else { panic!("{user}: {found:?}") };
        assert!(finding.what.contains("src/bind/keys.rs -> src/plan.rs -> src/bind/keys.rs"), "{user}: {finding}");
    }
}

#[test]
fn a_folders_first_file_and_its_parts_are_one_and_tests_are_none() {
    let found = circles_in(&[
        ("src/lib.rs", "pub mod scan;\npub mod plan;\nuse plan::Plan;\npub struct Error(Plan);\n"),
        ("src/scan/mod.rs", "mod modes;\npub struct Found;\npub fn scan() -> Found { modes::look() }\n"),
        ("src/scan/modes.rs", "use super::Found;\npub fn look() -> Found { Found }\n"),
        ("src/plan.rs", "use crate::Error;\npub struct Plan;\n#[cfg(test)]\nuse crate::scan::Found;\n#[cfg(test)]\nmod tests;\n"),
        ("src/plan/tests.rs", "use crate::scan;\nfn found() -> scan::Found { scan::scan() }\n"),
    ]);
    assert_eq!(found, []);
    // With a third between them it is a circle all the same.
    let found = circles_in(&[
        ("src/lib.rs", "pub mod scan;\npub mod plan;\n"),
        ("src/scan/mod.rs", "mod modes;\npub struct Found;\npub fn scan() -> Found { modes::look() }\n"),
        ("src/scan/modes.rs", "pub fn look() -> crate::plan::Plan { crate::plan::Plan }\n"),
        ("src/plan.rs", "use crate::scan::Found;\npub struct Plan;\n"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn one_package_is_looked_at_where_it_is_named() {
    let folder = tree(&[]);
    assert_eq!(circles::find(&read(&folder), &["livery-room".into()]), Ok(Vec::new()));
    let unknown = circles::find(&read(&folder), &["livery-attic".into()]).unwrap_err();
    assert!(unknown.what.contains("livery-attic"), "{unknown}");
}

#[test]
fn a_file_that_nobody_declares_is_an_orphan() {
    let folder = tree(&[
        (
            "src/lib.rs",
            "mod fetch;\nmod inline { mod deep; }\n#[path = \"elsewhere/named.rs\"]\nmod other;\n#[cfg(test)]\nmod tests;\n",
        ),
        ("src/fetch.rs", "mod web;\n"),
        ("src/fetch/web.rs", "include!(\"table.rs\");\n"),
        ("src/fetch/table.rs", "\n"),
        ("src/inline/deep.rs", ""),
        ("src/elsewhere/named.rs", "mod beside;\n"),
        ("src/elsewhere/beside.rs", ""),
        ("src/tests.rs", ""),
        ("src/bin/tool.rs", "fn main() {}\n"),
        ("tests/whole.rs", "mod common;\n"),
        ("tests/common/mod.rs", ""),
        ("src/uring.rs", "//! An experiment.\n"),
        ("tests/forgotten/mod.rs", ""),
        ("target/CACHEDIR.TAG", ""),
        ("target/made.rs", ""),
    ]);
    let found = orphans::find(&read(&folder));
    let files: Vec<&Path> = found.iter().map(|finding| finding.file.as_path()).collect();
    assert_eq!(files, [Path::new("src/uring.rs"), Path::new("tests/forgotten/mod.rs")]);
    assert!(found[0].to_string().contains("fix: declare it where it belongs (`mod uring;`), or delete it"), "{}", found[0]);
}

const ROW: &str = "| replay a job | have it done twice | it expires |\n";
const HELD: &str = "# Claims\n\n## README.md\n\n| claim | tests | tier |\n|---|---|---|\n\
    | A job is once | `livery-room job::tests::holds`, `livery-room job::tests::any` | quick |\n\
    | The whole way | `livery-room qemu_whole`, `livery-room flash::qemu_flashed` | default |\n\n\
    ## docs/threat-model.md\n\n| who | not | tests | tier |\n|---|---|---|---|\n\
    | replay a job | have it done twice | `livery-room job::tests::holds` | quick |\n\n\
    ## Not shown by a test\n\n| document | claim | why |\n|---|---|---|\n| README.md | It is cheap | a matter of prices |\n";

#[test]
fn claims_with_their_tests_are_taken() {
    assert_eq!(claims_of(HELD, ROW), "");
}

#[test]
fn what_is_wrong_with_a_claim_is_told_at_its_line() {
    for (from, to, line, words) in [
        ("job::tests::any", "job::tests::some", 7, "there is no test livery-room job::tests::some"),
        ("job::tests::any", "tests::any", 7, "it may be `livery-room job::tests::any` now"),
        ("job::tests::any", "job::tests::sleeps", 7, "is ignored"),
        ("`livery-room job::tests::any`", "`livery-attic job::tests::any`", 7, "there is no package livery-attic"),
        ("`livery-room job::tests::holds`, `livery-room job::tests::any`", "", 7, "the claim has no test"),
        ("| default |", "| nightly |", 8, "the tier \"nightly\" is unknown"),
        ("| default |", "| quick |", 8, "the first in which all of the row's tests run is default"),
        ("| quick |", "| default |", 7, "the first in which all of the row's tests run is quick"),
        ("## README.md", "## GUIDE.md", 5, "there is no document \"GUIDE.md\""),
        ("| A job is once |", "|", 7, "a claim's row needs claim, tests and tier"),
        ("| a matter of prices |", "| |", 20, "needs a document, a claim and a reason"),
        // A row that nothing reads.
        ("| The whole way |", "\n| The whole way |", 9, "a row that belongs to no table"),
        ("| The whole way |", "<!-- later -->\n| The whole way |", 9, "a row that belongs to no table"),
        ("| The whole way |", "The whole way |", 8, "a row that belongs to no table"),
        // A test that no run runs.
        ("`livery-room job::tests::any`", "`livery-room job::tests::elsewhere`", 7, "compiled under a condition"),
        ("`livery-room job::tests::any`", "`livery-room job::elsewhere::holds`", 7, "compiled under a condition"),
        ("`livery-room job::tests::any`", "`livery-room tests::exits`", 7, "there is no test"),
        ("`livery-room job::tests::any`", "livery-room job::tests::gone", 7, "between the names of the row's tests"),
        ("| replay a job |", "| repeat a job |", 14, "the threat model has no row that begins with \"repeat a job\""),
    ] {
        let text = claims_of(&HELD.replacen(from, to, 1), ROW);
        assert!(
            text.contains(&format!("docs/claims.md:{line}: ")) && text.contains(words) && text.contains("fix: "),
            "{to}: {text}"
        );
    }
}

#[test]
fn each_threat_is_answered_before_a_change_goes_in() {
    let unanswered = claims_of(HELD, &format!("{ROW}| steal the station | sign a master | it has no key |\n"));
    assert!(unanswered.contains("docs/threat-model.md:6: no claim answers this row: \"steal the station\""), "{unanswered}");
    let (before, threats) = HELD.split_once("## docs").unwrap();
    let late = threats.replacen("quick", "everything", 1).replacen("job::tests::holds", "flash::qemu_variant_flashed", 1);
    let late = claims_of(&format!("{before}## docs{late}"), ROW);
    assert!(late.contains("docs/threat-model.md:5: no test before a change goes in holds this row"), "{late}");
    assert!(claims_of(HELD, &format!("{ROW}{ROW}")).contains("two rows begin with"));
    assert!(claims_of(HELD, "").contains("the threat model has no rows"));
}

#[test]
fn a_sleep_asks_for_a_state_or_says_why_there_is_none() {
    let text = "fn polls() {\n    loop {\n        std::thread::sleep(SOON);\n    }\n}\n\nfn waits() {\n    sleep(SOON);\n\
        \n    // A person's pace.\n    sleep(SOON);\n    for _ in 0..9 {\n        fn inner() { sleep(SOON) }\n    }\n}\n\n\
        /// What it does is no reason.\nasync fn documented() { tokio::time::sleep(SOON).await }\n";
    let found = slept("tests/it.rs", text);
    assert_eq!(lines(&found), [8, 13, 18], "{found:?}");
    let said = found[0].to_string();
    assert!(said.starts_with("error: tests/it.rs:8: ") && said.contains("fix: ask for the state in a loop"), "{said}");
}

#[test]
fn a_sleep_is_seen_in_unit_tests_in_macros_and_in_loops_that_ask_for_nothing() {
    let text = "fn product() { sleep(SOON) }\n#[cfg(test)]\nmod tests {\n    fn waits() { sleep(SOON) }\n}\n";
    assert_eq!(lines(&slept("src/lib.rs", text)), [4]);
    assert_eq!(lines(&slept("tests/it.rs", "async fn waits() {\n    join!(sleep(SOON), other());\n}\n")), [2]);
    let text = "fn waits() {\n    for page in PAGES {\n        sleep(SOON);\n    }\n    for _ in 0..9 {\n        if there() { break }\n\
        \n        sleep(SOON);\n    }\n}\n";
    assert_eq!(lines(&slept("tests/it.rs", text)), [3]);
    let renamed = slept("tests/it.rs", "use tokio::time::sleep as nap;\nasync fn waits() { nap(SOON).await }\n");
    assert!(lines(&renamed) == [1] && renamed[0].to_string().contains("by another name"), "{renamed:?}");
    // The reason may stand above its statement, or behind it.
    let text = "fn waits() {\n    // No state.\n    let done =\n        sleep(SOON);\n    sleep(SOON); // nor here\n}\n";
    assert_eq!(lines(&slept("tests/it.rs", text)), [] as [usize; 0]);
}

fn slept(file: &str, text: &str) -> Vec<Finding> {
    sleeps::find(&read(&tree(&[("src/lib.rs", "fn free() { sleep(SOON) }\n"), (file, text)]))).unwrap()
}

fn lines(found: &[Finding]) -> Vec<usize> {
    found.iter().map(|finding| finding.line).collect()
}

#[test]
fn a_function_is_found_before_a_module_of_its_name() {
    let lib = "mod explain;\nmod merge;\npub use explain::explain;\n";
    let found = circles_in(&[
        ("src/lib.rs", lib),
        ("src/explain/mod.rs", "mod explained;\npub use explained::explain;\n"),
        ("src/explain/explained.rs", "pub fn explain() { crate::merge::again() }\n"),
        ("src/merge.rs", "pub fn again() { crate::explain() }\n"),
    ]);
    assert!(found.len() == 1 && found[0].to_string().contains("src/explain/explained.rs"), "{found:?}");
    // And no circle where the module's file names what the folder's first file defines by the name of the module.
    let found = circles_in(&[
        ("src/lib.rs", "mod parse;\nmod expr;\npub fn parse() {}\n"),
        ("src/parse.rs", "use super::expr::Expr;\npub fn all(_: Expr) {}\n"),
        ("src/expr.rs", "pub struct Expr;\nfn new() { super::parse() }\n"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn an_editors_files_are_left_out() {
    let folder = tree(&[]);
    std::os::unix::fs::symlink("me@host.1:1", folder.path().join("src/.#lib.rs")).unwrap();
    let workspace = read(&folder);
    assert!(orphans::find(&workspace).is_empty() && sleeps::find(&workspace).unwrap().is_empty());
}
