//! Two file systems, and what is said of them.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{files::Change, text::Text, *};
use crate::image::erofs::{Node, make};

fn volume(files: &[(&str, &str)]) -> Volume {
    let node = |text: &str| match text.strip_prefix("->") {
        Some(target) => Node::Link(target.into()),
        None => Node::File(text.as_bytes().to_vec()),
    };
    let files: BTreeMap<String, Node> = files.iter().map(|(path, text)| ((*path).to_owned(), node(text))).collect();
    erofs::read(Box::new(make(&files, Uuid::nil(), 1).unwrap())).unwrap().unwrap()
}

#[test]
fn files_are_told_with_what_about_them_differs() {
    let one = volume(&[
        ("etc/a.conf", "x = 1\ny = 2\n"),
        ("etc/gone", "1"),
        ("usr/link", "->a"),
        ("usr/same", "same"),
        ("usr/owner", "o"),
    ]);
    let mut other = volume(&[
        ("etc/a.conf", "x = 1\ny = 3\n"),
        ("usr/link", "->b"),
        ("usr/same", "same"),
        ("usr/new", "12"),
        ("usr/owner", "o"),
    ]);
    let owned = other.tree.get_mut("/usr/owner").unwrap();
    (owned.mode, owned.uid, owned.time) = (0o4755, 7, 2);
    owned.attributes.insert("security.capability".into(), vec![1, 2]);
    let changes = files::compare("root", &one, &other).unwrap();
    let said: Vec<(Change, &str, String)> =
        changes.iter().map(|one| (one.change, one.path.as_str(), one.what.join(", "))).collect();
    let owner = "mode 0644 -> 4755, owner 0:0 -> 7:0, capabilities none -> 0102, time 1970-01-01T00:00:01Z -> 1970-01-01T00:00:02Z";
    assert_eq!(
        said,
        [
            (Change::Changed, "/etc/a.conf", "content".to_owned()),
            (Change::Removed, "/etc/gone", "file 0644 0:0".to_owned()),
            (Change::Changed, "/usr/link", "target a -> b".to_owned()),
            (Change::Added, "/usr/new", "file 0644 0:0".to_owned()),
            (Change::Changed, "/usr/owner", owner.to_owned()),
        ]
    );
    assert_eq!((changes[3].before, changes[3].now), (None, Some(2)));
    let lines = settings::lines(&changes[0], [&one, &other]).unwrap().unwrap();
    assert_eq!((lines.name.as_str(), lines.lines), ("/etc/a.conf", vec!["- y = 2".to_owned(), "+ y = 3".to_owned()]));
    let gone = settings::lines(&changes[1], [&one, &other]).unwrap().unwrap();
    assert_eq!(gone.lines, ["- 1"]);
    assert_eq!(settings::lines(&changes[3], [&one, &other]).unwrap(), None, "no setting");
    assert!(files::compare("root", &one, &one).unwrap().is_empty());
}

#[test]
fn lines_are_bounded_and_cannot_command_a_terminal() {
    let lines = settings::differences("", "\u{1b}[2J\n");
    assert_eq!(lines, ["+ \\u{1b}[2J"]);
    let many: String = (0..500).map(|number| format!("{number}\n")).collect();
    let change = settings::SettingChange::new("x", settings::differences("", &many));
    assert_eq!((change.lines.len(), change.more), (200, 300));
}

#[test]
fn packages_are_added_removed_and_changed() {
    let list = |packages: &[(&str, &str)]| -> packages::List {
        packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
    };
    let changes = packages::compare(&list(&[("a", "1"), ("b", "1"), ("c", "1")]), &list(&[("b", "2"), ("c", "1"), ("d", "1")]));
    let said: Vec<_> = changes.iter().map(|one| (one.name.as_str(), one.before.as_deref(), one.now.as_deref())).collect();
    assert_eq!(said, [("a", Some("1"), None), ("b", Some("1"), Some("2")), ("d", None, Some("1"))]);
    assert_eq!(packages::read(b"no SBOM").unwrap_err().exit().code(), 4);
}

#[test]
fn the_text_says_the_rest_by_number() {
    let image = |text: &str| text.parse::<Reference>().unwrap();
    let change = |number: usize| PackageChange { name: format!("p{number}"), before: None, now: Some("1".into()) };
    let difference = Difference {
        images: [image("t@1"), image("t@2")],
        same: false,
        content: [Digest::of(b"1"), Digest::of(b"2")],
        sizes: [Sizes::default(), Sizes { data: 4096, ..Sizes::default() }],
        packages: Some((0..100).map(change).collect()),
        settings: vec![settings::SettingChange::new("/etc/x", vec!["+ a".into()])],
        files: Vec::new(),
        parts: Vec::new(),
        notes: vec!["something".into()],
    };
    let text = Text { difference: &difference, all: false }.to_string();
    for part in
        ["t@1 -> t@2: they differ", "packages: 100 added, 0 removed, 0 changed", "and 40 more", "    + a", "note: something"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!Text { difference: &difference, all: true }.to_string().contains("more"));
}

#[test]
fn where_no_file_differs_it_is_said_what_does() {
    let files = BTreeMap::from([("etc/a".to_owned(), Node::File(b"a".to_vec()))]);
    let one = make(&files, Uuid::nil(), 1).unwrap();
    let other = make(&files, Uuid::from_u128(1), 2).unwrap();
    let why = files::why_else(&one, &other).unwrap();
    for part in ["no file differs", "UUID 00000000-", "time 1 -> 2", "the first byte that differs is 1048"] {
        assert!(why.contains(part), "{part} in {why}");
    }
    let mut moved = one.clone();
    moved[4095] ^= 1; // behind the last inode
    let why = files::why_else(&one, &moved).unwrap();
    assert!(why.contains("made differently") && why.contains("is 4095"), "{why}");
}

#[test]
fn a_changed_uki_is_told_by_its_parts() {
    use crate::inspect::volume::{tree::tests::file, uki::tests::program};
    let uki = |command_line: &str, version: &str| {
        let program = program(&[(".cmdline", command_line.as_bytes()), (".uname", version.as_bytes()), (".linux", b"kernel")]);
        let tree = [("/EFI/BOOT/BOOTX64.EFI".to_owned(), file(vec![(0, program.len() as u64)]))].into();
        Volume { tree, bytes: Box::new(program) }
    };
    let (one, other) = (uki("quiet roothash=1", "6.12.1"), uki("quiet roothash=2", "6.12.2"));
    let mut changes = files::compare("esp", &one, &other).unwrap();
    let inner = boot::look_into(&mut changes[0], [&one, &other]).unwrap();
    assert_eq!(changes[0].what, ["content", "command line", "kernel's version 6.12.1 -> 6.12.2"]);
    assert_eq!(inner.settings[0].lines, ["- roothash=1", "+ roothash=2"]);
}
