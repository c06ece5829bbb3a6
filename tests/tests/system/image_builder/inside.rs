//! What is inside a master: listed, compared with another one's, and looked through for what no image may have.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use livery_tests::{
    programs::{Done, Program},
    site::Site,
};
use serde_json::Value;

const BUILD: Duration = Duration::from_secs(25 * 60);

fn text(path: &Path) -> String {
    path.display().to_string()
}

async fn livery(arguments: &[&str]) -> Done {
    Program::Livery.run_within(arguments.iter().copied(), BUILD).await.unwrap()
}

/// The last line of `--json`.
fn answer(done: &Done) -> Value {
    serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap()
}

/// The site's terminal with other settings: the same packages, so that its packages' roots are in the cache.
struct Variant {
    folder: tempfile::TempDir,
}

impl Variant {
    fn new(site: &Site, more: &str) -> Self {
        let variant = Self { folder: tempfile::tempdir().unwrap() };
        variant.write(site, more);
        fs::copy(site.profile().with_extension("lock"), variant.path().with_extension("lock")).unwrap();
        variant
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("variant.toml")
    }

    fn write(&self, site: &Site, more: &str) {
        fs::write(self.path(), format!("schema = 1\nextends = \"{}\"\n{more}", text(&site.profile()))).unwrap();
    }

    async fn build(&self, site: &Site, store: &Path, more: &[&str]) -> Done {
        let (profile, store, keys, cache) = (text(&self.path()), text(store), text(&site.keys()), text(&site.cache()));
        let arguments = ["build", &profile, "--locked", "--store", &store, "--keys", &keys, "--cache", &cache];
        livery(&[&arguments, more].concat()).await
    }
}

/// A folder with copies of these parts of a store; blobs are left out.
fn copy_of(store: &Path, to: &Path) {
    for part in ["metadata", "targets"] {
        fs::create_dir_all(to.join(part)).unwrap();
        for file in fs::read_dir(store.join(part)).unwrap().flatten() {
            fs::copy(file.path(), to.join(part).join(file.file_name())).unwrap();
        }
    }
}

/// Needs a built master; in the group of virtual devices, since the first one builds for minutes.
#[tokio::test]
async fn image_a_master_lists_what_is_inside() {
    let site = Site::shared().await.unwrap();
    let master = site.build().await.unwrap().to_string();
    let store = text(&site.store());
    let sbom = livery(&["sbom", &master, "--store", &store]).await.good().unwrap().stdout;
    let spdx: Value = serde_json::from_str(&sbom).unwrap();
    assert_eq!((spdx["spdxVersion"].as_str(), spdx["name"].as_str()), (Some("SPDX-2.3"), Some(master.as_str())));
    let packages = spdx["packages"].as_array().unwrap();
    let named = |name: &str| packages.iter().find(|package| package["name"] == name);

    // A package of the root, as it was locked.
    let lockfile = fs::read_to_string(site.profile().with_extension("lock")).unwrap();
    let lock: toml::Table = toml::from_str(&lockfile).unwrap();
    let locked =
        lock["package"].as_array().unwrap().iter().find(|package| package["name"].as_str() == Some("firefox-esr")).unwrap();
    let firefox = named("firefox-esr").unwrap();
    assert_eq!(firefox["versionInfo"].as_str(), locked["version"].as_str());
    assert_eq!(firefox["checksums"][0]["checksumValue"].as_str(), locked["sha256"].as_str());
    assert!(firefox["licenseDeclared"].as_str().unwrap().contains("MPL-2.0"), "{firefox}");
    let purl = firefox["externalRefs"][0]["referenceLocator"].as_str().unwrap();
    assert!(purl.starts_with("pkg:deb/debian/firefox-esr@") && purl.ends_with("?arch=amd64&distro=trixie"), "{purl}");
    // What only kernel and initrd bring; and what neither brings: the tools that built it, and what builds an initrd.
    let kernel = packages.iter().find(|package| package["name"].as_str().unwrap().starts_with("linux-image-6"));
    assert_eq!(kernel.unwrap()["comment"], "in the root file system and in kernel and initrd");
    for absent in ["mtools", "erofs-utils", "cpio"] {
        assert!(named(absent).is_none(), "{absent}");
    }
    // What drivers load comes from its packages, whose licences are others.
    let firmware = named("firmware-intel-graphics").unwrap();
    assert_eq!(firmware["comment"], "in the root file system");
    assert!(firmware["sourceInfo"].as_str().unwrap().contains("non-free-firmware"), "{firmware}");
    // Files of no package.
    let files = spdx["files"].as_array().unwrap();
    let file = |name: &str| files.iter().find(|file| file["fileName"] == name);
    assert!(file("./usr/bin/livery-desk").is_some() && file("./usr/bin/bash").is_none());
    let loaded = files.iter().filter(|file| file["fileName"].as_str().unwrap().starts_with("./usr/lib/firmware/"));
    assert_eq!(loaded.count(), 0, "firmware is of packages");

    // An employee's image has its master's.
    let roster = site.roster();
    let personal = site.personalise(&master.parse().unwrap(), &roster).await.unwrap().remove(0).to_string();
    assert_eq!(livery(&["sbom", &personal, "--store", &store]).await.good().unwrap().stdout, sbom);

    // Not what was signed; not there at all; no such image.
    let copy = tempfile::tempdir().unwrap();
    copy_of(&site.store(), copy.path());
    let digest = livery_contract::Digest::of(sbom.as_bytes()).to_string();
    let blob = copy.path().join("blobs/sha256").join(&digest[..2]).join(&digest);
    let asked = async || livery(&["sbom", &master, "--store", &text(copy.path())]).await;
    assert_eq!(asked().await.code, Some(5));
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::write(&blob, sbom.replace("firefox-esr", "firefox-esx")).unwrap();
    let done = asked().await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(4), ""), "{}", done.stderr);
    assert_eq!(livery(&["sbom", "terminal@none", "--store", &store]).await.code, Some(3));
}

/// As above.
#[tokio::test]
async fn image_what_differs_is_told_by_file_and_reason() {
    let site = Site::shared().await.unwrap();
    let master = site.build().await.unwrap();
    let store = text(&site.store());
    let more = "[time]\nservers = [\"clock.assurance.example\"]\n\n[boot]\nkernel-arguments = { add = [\"loglevel=3\"] }\n";
    let variant = Variant::new(&site, more);
    let other = variant.build(&site, &site.store(), &[]).await.good().unwrap().stdout.lines().last().unwrap().to_owned();
    let master_name = master.to_string();
    let diff = async |one: &str, two: &str| livery(&["--json", "diff", one, two, "--store", &store]).await.good().unwrap();

    let found = answer(&diff(&master_name, &other).await);
    assert_eq!((&found["same"], &found["packages"]), (&Value::Bool(false), &Value::Array(Vec::new())), "{found}");
    let setting = |name: &str| {
        let settings = found["settings"].as_array().unwrap();
        let one = settings.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("{name} in {settings:?}"));
        one["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let command_line = setting("kernel command line");
    assert!(command_line.contains(&"+ loglevel=3".to_owned()), "{command_line:?}");
    let servers = setting("/usr/lib/systemd/timesyncd.conf.d/50-livery.conf");
    assert!(servers.contains(&"+ NTP=clock.assurance.example".to_owned()), "{servers:?}");
    let files = found["files"].as_array().unwrap();
    let paths: Vec<&str> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    let expected = ["/EFI/BOOT/BOOTX64.EFI", "/usr/lib/systemd/timesyncd.conf.d/50-livery.conf"];
    assert_eq!(paths, expected, "these and no others");
    assert!(files[0]["what"].as_array().unwrap().contains(&"command line".into()), "{}", files[0]);
    let said = livery(&["diff", &master_name, &other, "--store", &store]).await.good().unwrap().stdout;
    assert!(said.contains("they differ") && said.contains("    + loglevel=3"), "{said}");

    // The same image; two people's.
    let same = answer(&diff(&master_name, &master_name).await);
    assert_eq!((&same["same"], &same["parts"], &same["files"]), (&true.into(), &Value::Array(vec![]), &Value::Array(vec![])));
    let people = site.personalise(&master, &site.roster()).await.unwrap();
    let found = answer(&diff(&people[0].to_string(), &people[1].to_string()).await);
    let names: Vec<&str> = found["settings"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"/etc/hostname (personal layer)"), "{names:?}");
    assert!(found["files"].as_array().unwrap().iter().all(|file| file["within"] == "identity"), "{found}");
    assert_eq!(found["parts"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(livery(&["diff", &master_name, "terminal@none", "--store", &store]).await.code, Some(3));
}

/// As above. A token in the address of the sign-in page: it would be in every device's settings and policies.
#[tokio::test]
async fn image_a_secret_fails_the_build() {
    let site = Site::shared().await.unwrap();
    site.build().await.unwrap();
    let token = format!("ghp_{}", "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cF3hJ6");
    let kiosk = format!("[kiosk]\nurl = \"https://gateway.assurance.example/?key={token}\"\n");
    let variant = Variant::new(&site, &kiosk);
    let store = variant.folder.path().join("store");
    let done = variant.build(&site, &store, &["--json"]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    let (desk, policies) = ("/etc/livery/desk.json", "/etc/firefox/policies/policies.json");
    // What the device reads back, to tell the station.
    let told = "/usr/lib/livery/confirm.json";
    for part in [desk, policies, told, "GitHub token", "why: ", "fix: ", "scan"] {
        assert!(done.stderr.contains(part), "{part} in {}", done.stderr);
    }
    assert!(!done.stderr.contains(&token) && !done.stdout.contains(&token), "the secret itself is said");
    let event =
        done.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|line| line["event"] == "findings");
    let event = event.unwrap();
    let paths: Vec<&str> = event["findings"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&desk) && paths.contains(&policies), "{event}");
    assert!(!store.join("metadata/timestamp.json").exists(), "nothing is published");

    // Excepted with a reason it passes, and an exception that nothing needs is named.
    let why = "a token of this test that opens nothing";
    let scan =
        format!("\n[scan]\nallow = [\"{desk}: {why}\", \"{told}: {why}\", \"/etc/firefox/*: {why}\", \"/etc/nothing: {why}\"]\n");
    variant.write(&site, &(kiosk.clone() + scan.as_str()));
    let done = variant.build(&site, &store, &[]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stderr.contains("has an exception for /etc/nothing"), "{}", done.stderr);
    assert!(!done.stderr.contains("has an exception for /etc/firefox"), "{}", done.stderr);

    // The image is in the store now; without its exception it is refused all the same. One without a reason is no exception.
    variant.write(&site, &kiosk);
    assert_eq!(variant.build(&site, &store, &[]).await.code, Some(3));
    variant.write(&site, &(kiosk + format!("\n[scan]\nallow = [\"{desk}\"]\n").as_str()));
    let done = variant.build(&site, &store, &[]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("a path and a reason"), "{}", done.stderr);
}
