//! Starters are accepted as they are, have every setting, and are never written over anything.

use super::*;
use crate::{
    settings::{schema, table},
    start::write::start_at,
};

fn made(folder: &Folder, starter: Starter, name: &str, extends: Option<&str>) -> (Started, String) {
    let started = start_at(starter, &folder.path(name), extends.map(|name| folder.path(name)).as_deref(), now())
        .unwrap_or_else(|fault| panic!("{}", fault.render()));
    (started, std::fs::read_to_string(folder.path(name)).unwrap())
}

/// Each setting of a starter: its key and whether it is set.
fn settings(text: &str) -> Vec<(&'static str, bool)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        }
        let (line, set) = line.strip_prefix('#').map_or((line, true), |line| (line, false));
        let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with(' ')) else { continue };
        found.extend(table::setting(&format!("{section}{name}")).map(|setting| (setting.key, set)));
    }
    found
}

fn uses(starter: Starter) -> impl Fn(&&Setting) -> bool {
    move |setting| starter.kind().is_none_or(|kind| setting.kinds.contains(&kind))
}

#[test]
fn every_starter_passes_and_has_every_setting_once() {
    for starter in Starter::ALL {
        let folder = Folder::new(&[]);
        let (started, text) = made(&folder, starter, "our-own.toml", None);
        check_at(&[folder.path("our-own.toml")], now()).unwrap_or_else(|all| panic!("{}", all.render(Style::Plain)));
        let keys: Vec<&str> = settings(&text).into_iter().map(|(key, _)| key).collect();
        let wanted: Vec<&str> = table::TABLE.iter().filter(uses(starter)).map(|setting| setting.key).collect();
        assert_eq!(keys, wanted, "{}", starter.as_str());
        for example in &started.examples {
            let line = text.lines().nth(example.line - 1).unwrap();
            assert!(line.starts_with(example.key.rsplit('.').next().unwrap()) && line.contains(".example"), "{line}");
        }
        assert_eq!(started.examples.is_empty(), starter == Starter::Agent);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_eq!(std::fs::read_to_string(folder.path("livery.schema.json")).unwrap(), schema::text());
        if let Some(kind) = starter.kind() {
            let profile = folder.load("our-own.toml").map_err(|all| folder.told(&all)).unwrap();
            assert_eq!((profile.kind(), profile.name.as_str()), (kind, "our-own"));
            assert_eq!(profile.image.epoch.to_string(), "2026-11-24T00:00:00Z");
        }
    }
}

#[test]
fn what_is_commented_out_is_good_too() {
    // Names of files that are not here, halves of a pair, and what would make another thing of the file.
    let apart = [
        "extends",
        "abstract",
        "debian.mirror",
        "debian.security-mirror",
        "agent.station-ca",
        "agent.job-key",
        "confirm.station-ca",
        "image.slot-size",
        "updates.store",
        "updates.store-ca",
        "kind",
    ];
    for starter in Starter::ALL {
        let folder = Folder::new(&[]);
        let (_, text) = made(&folder, starter, "p.toml", None);
        let count = settings(&text).into_iter().filter(|(key, set)| !set && !apart.contains(key)).count();
        let mut tried = 0;
        for (at, line) in text.lines().enumerate() {
            let Some(bare) = line.strip_prefix('#').filter(|bare| !bare.starts_with([' ', ':'])) else { continue };
            let before = text.lines().take(at).collect::<Vec<_>>().join("\n");
            let section = before.rsplit_once("\n[").and_then(|(_, rest)| rest.split_once(']')).map_or("", |(name, _)| name);
            let name = bare.split(' ').next().unwrap();
            let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            if apart.contains(&key.as_str()) {
                continue;
            }
            let after = text.lines().skip(at + 1).collect::<Vec<_>>().join("\n");
            std::fs::write(folder.path("p.toml"), format!("{before}\n{bare}\n{after}\n")).unwrap();
            check_at(&[folder.path("p.toml")], now()).unwrap_or_else(|all| panic!("{}", all.render(Style::Plain)));
            tried += 1;
        }
        assert_eq!(tried, count, "{}", starter.as_str());
    }
}

#[test]
fn over_a_parent_only_what_it_lacks_is_set() {
    let folder = Folder::new(&[(
        "base.toml",
        "schema = 1\nextends = \"good.toml\"\nabstract = true\nlocked = [\"trust\", \"image.epoch\", \"boot.consoles\", \"kind\"]\n",
    )]);
    std::fs::create_dir(folder.path("sub")).unwrap();
    let (_, text) = made(&folder, Starter::Terminal, "sub/lille.toml", Some("base.toml"));
    let profile = folder.load("sub/lille.toml").map_err(|all| folder.told(&all)).unwrap();
    assert_eq!((profile.name.as_str(), profile.packages.install.len()), ("lille", 5));
    let set: Vec<&str> = settings(&text).into_iter().filter(|(_, set)| *set).map(|(key, _)| key).collect();
    assert_eq!(
        set,
        [
            "schema",
            "name",
            "extends",
            "debian.suite",
            "debian.components",
            "packages.exclude-paths",
            "packages.include-paths",
            "image.minimum-disk",
            "boot.kernel-arguments",
            "locale.available",
            "citrix.storefront-hosts",
            "citrix.identity-provider-hosts",
            "citrix.mfa-hosts",
            "kiosk.allowed-hosts",
        ]
    );
    assert!(text.contains("extends = \"../base.toml\"\n"), "{text}");
    assert!(text.contains("# Locked by base.toml: this file cannot change it.\n#authorities = [\"ca/root.pem\"]\n"), "{text}");
    assert!(text.contains("# Inherited from good.toml.\n#keyboard = \"fr\"\n"), "{text}");
    let refused = |starter, name: &str, extends: &str| {
        let fault = start_at(starter, &folder.path(name), Some(&folder.path(extends)), now()).unwrap_err();
        assert!(fault.exit().code() == 3 && !folder.path(name).exists(), "{}", fault.render());
        fault.render()
    };
    assert!(refused(Starter::Laptop, "laptop.toml", "base.toml").contains("`kind` is locked"));
    assert!(refused(Starter::Laptop, "laptop.toml", "none.toml").contains("does not exist"));
    std::fs::write(folder.path("bad.toml"), "schema = 1\nnaem = \"x\"\n").unwrap();
    assert!(refused(Starter::Base, "b.toml", "bad.toml").contains("bad.toml:2:1: unknown setting `naem`"));
    assert!(refused(Starter::Base, "nowhere/b.toml", "base.toml").contains("does not exist"));
}

#[test]
fn nothing_is_written_over() {
    let folder = Folder::new(&[("livery.schema.json", "mine")]);
    let fault = start_at(Starter::Terminal, &folder.path("good.toml"), None, now()).unwrap_err();
    assert!(fault.exit().code() == 3 && fault.render().contains("already"), "{}", fault.render());
    assert_eq!(std::fs::read_to_string(folder.path("good.toml")).unwrap(), GOOD);
    let (started, _) = made(&folder, Starter::Base, "new.toml", None);
    assert!(started.schema.is_none());
    assert_eq!(std::fs::read_to_string(folder.path("livery.schema.json")).unwrap(), "mine");
    assert!("desktop".parse::<Starter>().is_err());
}
