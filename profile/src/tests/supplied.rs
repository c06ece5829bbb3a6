//! Software that IT supplies: taken with everything that must be said about it, and refused at the very place without.

use std::{path::Path, process::Command};

use livery_contract::Digest;

use super::*;

/// A .deb of this name, version and architecture; its digest.
fn deb(path: &Path, name: &str, version: &str, architecture: &str) -> String {
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: IT <it@assurance.example>\nDescription: stand-in\n"
    );
    std::fs::write(tree.path().join("DEBIAN/control"), control).unwrap();
    let built = Command::new("dpkg-deb").args(["--build", "--root-owner-group"]).arg(tree.path()).arg(path).output().unwrap();
    assert!(built.status.success(), "{built:?}");
    Digest::of(&std::fs::read(path).unwrap()).to_string()
}

const LICENCE: &str = "licence = \"Citrix EULA\"\naccept-licence = \"I have read and accept Citrix EULA\"\n";

/// A folder with the client's .deb, and its digest.
fn supplied() -> (Folder, String) {
    let folder = Folder::new(&[]);
    let digest = deb(&folder.path("client.deb"), "icaclient", "24.11.0.85", "amd64");
    (folder, digest)
}

/// The errors of a profile with this item; the profile's first line of the item is 6.
fn errors(folder: &Folder, item: &str) -> Vec<String> {
    let text = format!(
        "schema = 1\nextends = \"good.toml\"\n[packages]\ninstall = {{ add = [\"xwayland\"] }}\n[[packages.supplied]]\n{item}"
    );
    std::fs::write(folder.path("p.toml"), text).unwrap();
    folder.errors("p.toml")
}

fn item(digest: &str) -> String {
    format!("path = \"client.deb\"\nsha256 = \"{digest}\"\npackage = \"icaclient\"\nversion = \"24.11.0.85\"\n{LICENCE}")
}

#[test]
fn with_all_that_must_be_said_it_is_taken() {
    let (folder, digest) = supplied();
    let text = format!(
        "schema = 1\nextends = \"good.toml\"\n[packages]\ninstall = {{ add = [\"xwayland\"] }}\n[[packages.supplied]]\n{}\
         [citrix]\nfido2 = false\napp-protection = true\nclient-settings = [\"module.ini [WFClient] A=b\"]\n",
        item(&digest)
    );
    std::fs::write(folder.path("p.toml"), text).unwrap();
    let profile = folder.load("p.toml").map_err(|all| folder.told(&all)).unwrap();
    let supplied = &profile.packages.supplied[0];
    assert_eq!(
        (supplied.package.as_str(), supplied.version.as_str(), supplied.architecture.as_str()),
        ("icaclient", "24.11.0.85", "amd64")
    );
    assert_eq!((supplied.sha256.to_string(), &supplied.file), (digest.clone(), &folder.path("client.deb")));
    assert_eq!(profile.packages.restrictions(), ["icaclient 24.11.0.85 (Citrix EULA)"]);
    let client = profile.desk().unwrap().citrix.client.as_ref().unwrap();
    assert_eq!((client.fido2, client.app_protection, client.device_trust), (false, true, false));
    assert_eq!((client.settings[0].file.as_str(), client.settings[0].value.as_str()), ("module.ini", "b"));

    // What extends it may take it out again, by its path; or add to it. `explain` says it as TOML that can be written.
    std::fs::write(folder.path("without.toml"), "schema = 1\nextends = \"p.toml\"\n[packages]\nsupplied = { remove = [\"client.deb\"] }\n[citrix]\nfido2 = true\napp-protection = false\nclient-settings = []\n").unwrap();
    assert!(folder.load("without.toml").map_err(|all| folder.told(&all)).unwrap().packages.supplied.is_empty());
    let explained = explain_at(&folder.path("p.toml"), Some("packages.supplied"), now()).unwrap().to_json();
    assert_eq!(explained["setting"]["value"][0]["sha256"], digest.as_str(), "{explained}");
    let other = deb(&folder.path("other.deb"), "othertool", "1", "all");
    let more = format!(
        "schema = 1\nextends = \"p.toml\"\n[packages]\nsupplied = {{ add = [{{ path = \"other.deb\", sha256 = \"{other}\", package = \"othertool\", version = \"1\", licence = \"MIT\", accept-licence = \"I have read and accept MIT\" }}] }}\n"
    );
    std::fs::write(folder.path("more.toml"), more).unwrap();
    assert_eq!(folder.load("more.toml").map_err(|all| folder.told(&all)).unwrap().packages.supplied.len(), 2);
}

#[test]
fn whatever_lacks_is_named_at_once() {
    let (folder, _) = supplied();
    let told = errors(&folder, "path = \"client.deb\"\n");
    let missing: Vec<&str> = ["sha256", "package", "version", "licence", "accept-licence"]
        .into_iter()
        .filter(|key| told.iter().any(|line| line.starts_with("p.toml:5:") && line.contains(&format!("missing `{key}`"))))
        .collect();
    assert_eq!(missing.len(), 5, "{told:#?}");
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told.iter().any(|line| line.contains("what sha256sum prints")), "{told:#?}");
}

#[test]
fn what_is_not_what_the_profile_means_is_refused_at_its_place() {
    let (folder, digest) = supplied();
    let good = item(&digest);
    let cases = [
        (
            good.replace("client.deb", "none.deb"),
            "p.toml:6:8: this software can't be supplied: the path is none.deb: there is no such file",
        ),
        (good.replace("client.deb", "."), "p.toml:6:8: this software can't be supplied: the path is .: it is not a regular file"),
        (good.replace(&digest, &Digest::of(b"x").to_string()), "p.toml:7:10: this is not the software that the profile describes"),
        (
            good.replace(&digest, "abc"),
            "p.toml:7:10: bad value for `sha256` of `packages.supplied`: \"abc\" is not a SHA-256 digest",
        ),
        (
            good.replace("\"icaclient\"", "\"icaclients\""),
            "p.toml:8:11: the profile describes another package: the .deb itself says Package \"icaclient\"",
        ),
        (
            good.replace("24.11.0.85", "24.11.0.86"),
            "p.toml:9:11: the profile describes another version: the .deb itself says Version \"24.11.0.85\"",
        ),
        (
            good.replace("accept Citrix EULA", "accept it"),
            "p.toml:11:18: bad value for `accept-licence` of `packages.supplied`: this does not state that you have read and accepted the licence",
        ),
        (good.replace("licence = \"Citrix EULA\"", "licence = \" \""), "p.toml:10:11: bad value for `licence`"),
        (good.replace("version = \"24.11.0.85\"", "version = 24"), "p.toml:9:11: wrong type for `version`"),
        (
            format!("{good}licnce = \"x\"\n"),
            "p.toml:12:1: unknown key `licnce` in `packages.supplied`: an item has no such key | did you mean `licence`?",
        ),
    ];
    for (item, wanted) in cases {
        let told = errors(&folder, &item);
        assert!(told.len() == 1 && told[0].starts_with(wanted), "{wanted}\n{told:#?}");
    }
    // Not a .deb, with a right digest; and one for another machine.
    std::fs::write(folder.path("client.deb"), "#!/bin/sh\n").unwrap();
    let told = errors(&folder, &good.replace(&digest, &Digest::of(b"#!/bin/sh\n").to_string()));
    assert!(told[0].starts_with("p.toml:6:8: this software can't be supplied: it is not a Debian package"), "{told:#?}");
    let arm = deb(&folder.path("client.deb"), "icaclient", "24.11.0.85", "arm64");
    let told = errors(&folder, &good.replace(&digest, &arm));
    assert!(told[0].contains("\"client.deb\" cannot be installed: it is for \"arm64\", but the image is for amd64"), "{told:#?}");
}

#[test]
fn it_is_one_package_and_settings_of_a_client_need_one() {
    let (folder, digest) = supplied();
    std::fs::copy(folder.path("client.deb"), folder.path("again.deb")).unwrap();
    let good = item(&digest);
    let told = errors(&folder, &format!("{good}[[packages.supplied]]\n{}", good.replace("client.deb", "again.deb")));
    assert!(told[0].contains("double package in `packages.supplied`: \"client.deb\" is also the package icaclient"), "{told:#?}");
    let told = child("[citrix]\napp-protection = true\n");
    assert!(
        told[0].starts_with("p.toml:4:18: `citrix.app-protection` has no effect: `packages.supplied` has no icaclient"),
        "{told:#?}"
    );
    let text = format!("schema = 1\nextends = \"good.toml\"\n[[packages.supplied]]\n{good}");
    std::fs::write(folder.path("p.toml"), text).unwrap();
    assert!(folder.errors("p.toml")[0].contains("\"xwayland\" is not in the list"), "an X11 program on a Wayland screen");
    let told = child("[packages.supplied]\npath = \"x\"\n");
    assert!(told[0].contains("write [[packages.supplied]], with two brackets"), "{told:#?}");
    assert!(child("[packages]\nsupplied = [\"client.deb\"]\n")[0].contains("wrong type for `packages.supplied`"));
}
