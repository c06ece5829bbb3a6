//! What an organisation locks stays as it decided, and every offence against it is named.

use super::*;

const BASE: &str = "schema = 1\nextends = \"good.toml\"\nabstract = true\n\
                    locked = [\"trust\", \"citrix.store-url\", \"image.grow\", \"time.servers\"]\n[time]\nservers = [\"t.example\"]\n";

#[test]
fn what_is_locked_is_refused_in_every_nearer_file_at_once() {
    let folder = Folder::new(&[
        ("base.toml", BASE),
        (
            "middle.toml",
            "schema = 1\nextends = \"base.toml\"\nabstract = true\nlocked = [\"time\"]\n[image]\ngrow = true\n[trust]\nauthorities = { remove = [\"ca/root.pem\"] }\n",
        ),
        (
            "leaf.toml",
            "schema = 1\nextends = \"middle.toml\"\n[time]\nservers = { add = [\"mine.example\"] }\n[citrix]\nstore-url = \"http://elsewhere.example/\"\nmfa-hosts = [\"mfa.example\"]\n",
        ),
    ]);
    assert_eq!(
        folder.errors("leaf.toml"),
        [
            "leaf.toml:4:1: `time.servers` is locked: base.toml:4 locks it | remove it: base.toml decides it for every file that extends it",
            "leaf.toml:6:1: `citrix.store-url` is locked: base.toml:4 locks it | remove it: base.toml decides it for every file that extends it",
            "leaf.toml:6:13: bad value for `citrix.store-url`: \"http://elsewhere.example/\" is not https | write \"https://elsewhere.example/\"",
            "middle.toml:6:1: `image.grow` is locked: base.toml:4 locks it | remove it: base.toml decides it for every file that extends it",
            "middle.toml:8:1: `trust.authorities` is locked: base.toml:4 locks it, with all of [trust] | remove it: base.toml decides it for every file that extends it",
        ]
    );
    // The locking file itself and what it extends are not bound by it; locking the same again, or more, is fine.
    let folder = Folder::new(&[
        ("base.toml", BASE),
        (
            "same.toml",
            "schema = 1\nextends = \"base.toml\"\nlocked = [\"trust.authorities\", \"citrix\"]\n[boot]\nconsoles = [\"ttyS0\"]\n",
        ),
    ]);
    let same = folder.load("same.toml").map_err(|diagnostics| folder.told(&diagnostics)).unwrap();
    assert_eq!((same.time.servers.as_slice(), same.image.grow), (&["t.example".to_owned()][..], false));
    assert_eq!(same.desk().unwrap().citrix.store_url.as_str(), "https://gateway.assurance.example/");
}

#[test]
fn what_cannot_be_locked() {
    let folder = Folder::new(&[(
        "p.toml",
        "schema = 1\nextends = \"good.toml\"\nlocked = [\"citrx\", \"schema\", \"locked\", \"citrix.url\", \"\", 1, \"trust\", \"trust\"]\n",
    )]);
    let told = folder.errors("p.toml");
    let starts: Vec<&str> = told.iter().map(|line| line.split(" | ").next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "p.toml:3:11: bad value for `locked`: \"citrx\" is neither a setting nor a section",
            "p.toml:3:20: bad value for `locked`: \"schema\" is not inherited and can't be locked",
            "p.toml:3:30: bad value for `locked`: \"locked\" is not inherited and can't be locked",
            "p.toml:3:40: bad value for `locked`: \"citrix.url\" is neither a setting nor a section",
            "p.toml:3:54: bad value for `locked`: \"\" is neither a setting nor a section",
            "p.toml:3:58: wrong type for `locked`: a whole number, where a setting such as \"debian.mirror\", or a section such as \"trust\" for all of its settings is expected",
            "p.toml:3:70: double item in `locked`: \"trust\" is already in line 3",
        ]
    );
    assert!(told[0].ends_with("did you mean \"citrix\"?"), "{}", told[0]);
    assert_eq!(
        child("locked = { remove = [\"trust\"] }\n"),
        [
            "p.toml:3:10: wrong type for `locked`: no value of `locked` is inherited, so there is nothing to edit | write a list: [ … ]"
        ]
    );
}

#[test]
fn what_every_profile_must_set_is_locked_only_where_it_is_set() {
    let folder = Folder::new(&[
        ("bare.toml", "schema = 1\nabstract = true\nlocked = [\"citrix\", \"kiosk\", \"image.grow\"]\n"),
        ("agents.toml", "schema = 1\nabstract = true\nkind = \"agent\"\nlocked = [\"citrix\", \"kind\"]\n"),
    ]);
    let check = |name: &str| check_at(&[folder.path(name)], now()).map_err(|diagnostics| folder.told(&diagnostics));
    assert_eq!(
        check("bare.toml").unwrap_err(),
        [
            "bare.toml:3:11: locked without a value: a profile needs `citrix.store-url`, and no file that extends this one could set it | set it in this file, or lock only the settings that have a value here"
        ]
    );
    check("agents.toml").unwrap();
}
