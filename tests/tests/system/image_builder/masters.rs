//! Masters from locked packages: the same bits wherever and by whomever they are built, and nothing but what was locked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_tests::{
    elsewhere::Elsewhere,
    programs::{Done, Program},
    site::Site,
};
use serde_json::Value;

const BUILD: Duration = Duration::from_secs(25 * 60);

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The last line of `--json`.
fn answer(done: &Done) -> Value {
    serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap()
}

/// A profile of its own in a folder, over the site's, with a lockfile to be.
struct Desk {
    folder: tempfile::TempDir,
    site: Site,
}

impl Desk {
    async fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), site: Site::shared().await.unwrap() };
        desk.profile("");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn profile(&self, more: &str) {
        let base = self.site.profile();
        let text = format!("schema = 1\nextends = \"{}\"\n{more}", base.display());
        fs::write(self.path("desk.toml"), text).unwrap();
    }

    async fn livery(&self, arguments: &[&str]) -> Done {
        let (profile, store) = (text(&self.path("desk.toml")), text(&self.path("store")));
        let (keys, cache) = (text(&self.site.keys()), text(&self.site.cache()));
        let words = arguments.iter().map(|word| match *word {
            "PROFILE" => profile.clone(),
            "STORE" => store.clone(),
            "KEYS" => keys.clone(),
            "CACHE" => cache.clone(),
            word => word.replace("FOLDER", &text(self.folder.path())),
        });
        Program::Livery.run_within(words, BUILD).await.unwrap()
    }

    async fn lock(&self, more: &[&str]) -> Done {
        self.livery(&[&["--json", "lock", "PROFILE", "--cache", "CACHE"], more].concat()).await
    }

    /// A build that stops at its packages, before minutes of work.
    async fn build(&self, more: &[&str]) -> Done {
        self.livery(&[&["build", "PROFILE", "--store", "STORE", "--keys", "KEYS"], more].concat()).await
    }

    fn lockfile(&self) -> String {
        fs::read_to_string(self.path("desk.lock")).unwrap()
    }
}

/// What the lockfile says of a package.
fn locked(lockfile: &str, name: &str) -> toml::Table {
    let lock: toml::Table = toml::from_str(lockfile).unwrap();
    let package = lock["package"].as_array().unwrap().iter().find(|package| package["name"].as_str() == Some(name));
    package.unwrap().as_table().unwrap().clone()
}

/// Needs a built master; in the group of virtual devices, since it builds another one for minutes.
///
/// The lock has a package more than the site's: here it is installed into a copy of the root that is in the cache, there everything
/// is made from nothing.
#[tokio::test]
async fn image_the_same_packages_are_the_same_image_elsewhere() {
    let desk = Desk::new().await;
    let site = &desk.site;
    site.build().await.unwrap();
    let build = |profile: &Path, store: &Path, keys: &Path, cache: &Path| {
        ["--json", "build", &text(profile), "--locked", "--store", &text(store), "--keys", &text(keys), "--cache", &text(cache)]
            .map(str::to_owned)
    };
    // Here, as root, with what the cache has.
    let here = build(&site.profile(), &site.store(), &site.keys(), &site.cache());
    let here = answer(&Program::Livery.run_within(here, BUILD).await.unwrap().good().unwrap());

    // There, as somebody else, without a network, with nothing but profile, lockfile and .debs.
    let elsewhere = Elsewhere::new().unwrap();
    let home = elsewhere.home.path();
    let livery = elsewhere.copy(&Program::Livery.path().unwrap(), "livery").await.unwrap();
    // What goes into the image lies beside it.
    elsewhere.copy(&Program::Livery.path().unwrap().with_file_name("livery-desk"), "livery-desk").await.unwrap();
    let keys = elsewhere.copy(&site.keys(), "keys").await.unwrap();
    for path in ["profiles/base.toml", "profiles/terminal.toml", "profiles/ca"] {
        elsewhere.copy(&site.root.join(path), path.rsplit('/').next().unwrap()).await.unwrap();
    }
    elsewhere.copy(&site.authority().join("ca.pem"), "ca.pem").await.unwrap();
    // Under the same name: an authority is called by its file's.
    elsewhere.copy(&site.station_keys(), "station").await.unwrap();
    let base = fs::read_to_string(site.profile()).unwrap();
    let base = base.replace(&text(&site.root.join("profiles/terminal.toml")), "terminal.toml").replace("ca/ca.pem", "ca.pem");
    fs::write(desk.path("site.toml"), base).unwrap();
    let profile = elsewhere.copy(&desk.path("site.toml"), "site.toml").await.unwrap();
    elsewhere.copy(&site.profile().with_extension("lock"), "site.lock").await.unwrap();
    let store = elsewhere.copy(&site.store().join("debs"), "debs").await.unwrap().with_file_name("store");
    let arguments = build(&profile, &store, &keys, &home.join("cache"));
    // The .debs lie in the store.
    let made = elsewhere.run(Path::new("/bin/sh"), &["-c", "mkdir store && mv debs store/"], Duration::from_secs(60)).await;
    made.unwrap().good().unwrap();
    let there = answer(&elsewhere.run(&livery, &arguments, BUILD).await.unwrap().good().unwrap());

    assert_eq!(here["image"], there["image"]);
    assert_eq!(here["manifest"], there["manifest"], "{here} here, {there} there");
    assert_eq!(there["fresh"], true);
}

#[tokio::test]
async fn a_lock_keeps_what_it_has_and_shows_what_is_newer() {
    let desk = Desk::new().await;
    let first = answer(&desk.lock(&[]).await.good().unwrap());
    assert_eq!((&first["locked"][0]["written"], &first["locked"][0]["first"]), (&Value::Bool(true), &Value::Bool(true)));
    let lockfile = desk.lockfile();
    let netbase = locked(&lockfile, "netbase");
    assert!(netbase["roots"].as_array().unwrap().contains(&"device".into()), "{netbase}");
    assert_eq!(netbase["architecture"].as_str(), Some("all"));
    assert!(netbase["origin"].as_str().unwrap().starts_with("trixie"), "{netbase}");
    assert!(locked(&lockfile, "erofs-utils")["roots"].as_array().unwrap().contains(&"tools".into()), "the tools are locked too");

    // Again: nothing changes, not a byte.
    let again = answer(&desk.lock(&[]).await.good().unwrap());
    assert_eq!(again["locked"][0]["written"], false);
    assert_eq!(desk.lockfile(), lockfile);

    // An older netbase, which only this store has: it stays, whatever else is asked for.
    let old = old_deb(&desk.path("old"), "netbase", "0.0.1");
    let bytes = fs::read(&old).unwrap();
    let digest = livery_contract::Digest::of(&bytes).to_string();
    let place = desk.path("store/debs/sha256").join(&digest[..2]).join(format!("{digest}.deb"));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, &bytes).unwrap();
    let mut lock: toml::Table = toml::from_str(&lockfile).unwrap();
    for package in lock["package"].as_array_mut().unwrap() {
        let package = package.as_table_mut().unwrap();
        if package["name"].as_str() == Some("netbase") {
            package.insert("version".into(), "0.0.1".into());
            package.insert("sha256".into(), digest.clone().into());
            package.insert("size".into(), i64::try_from(bytes.len()).unwrap().into());
            package.insert("path".into(), "pool/main/n/netbase/netbase_0.0.1_all.deb".into());
        }
    }
    fs::write(desk.path("desk.lock"), toml::to_string(&lock).unwrap()).unwrap();
    desk.profile("\n[packages]\ninstall = { add = [\"hello\"] }\n");
    let done = desk.build(&["--cache", "CACHE"]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("hello is in `packages.install` but not locked"), "{}", done.stderr);
    let kept = answer(&desk.lock(&["--store", "STORE"]).await.good().unwrap());
    let changes = kept["locked"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{kept}");
    assert_eq!((changes[0]["change"].as_str(), changes[0]["name"].as_str()), (Some("added"), Some("hello")));
    assert_eq!(locked(&desk.lockfile(), "netbase")["version"].as_str(), Some("0.0.1"));
    assert!(desk.lockfile().contains("added = [\"hello\"]"), "it is installed after what was there");
    let here = desk.path("store/debs/sha256");
    let count = fs::read_dir(here).unwrap().flatten().map(|folder| fs::read_dir(folder.path()).unwrap().count()).sum::<usize>();
    assert_eq!(count as u64, kept["locked"][0]["packages"].as_u64().unwrap(), "every .deb is in the store");

    // What is newer is shown, package by package, and written only when it is accepted.
    let before = desk.lockfile();
    let shown = desk.livery(&["lock", "--update", "PROFILE", "--cache", "CACHE"]).await.good().unwrap();
    assert!(shown.stdout.contains("~ netbase 0.0.1 -> "), "{}", shown.stdout);
    assert_eq!(desk.lockfile(), before);
    desk.lock(&["--update", "--accept"]).await.good().unwrap();
    assert_eq!(locked(&desk.lockfile(), "netbase"), netbase);
    assert!(!desk.lockfile().contains("added ="), "all at once, since something that was there is newer");
}

/// A .deb that says it is this package in this version.
fn old_deb(folder: &Path, name: &str, version: &str) -> PathBuf {
    fs::create_dir_all(folder.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@assurance.example>\nDescription: old\n"
    );
    fs::write(folder.join("DEBIAN/control"), control).unwrap();
    let to = folder.with_extension("deb");
    let done = Command::new("dpkg-deb").args(["--build", "--root-owner-group"]).arg(folder).arg(&to).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    to
}

#[tokio::test]
async fn packages_that_do_not_exist_or_are_not_what_was_locked_are_refused() {
    let desk = Desk::new().await;
    let done = desk.build(&["--locked", "--cache", "CACHE"]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("no lockfile") && done.stderr.contains("livery lock"), "{}", done.stderr);

    desk.profile("\n[packages]\ninstall = { add = [\"no-such-package-anywhere\"] }\n");
    let done = desk.lock(&[]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("no-such-package-anywhere") && done.stderr.contains("packages.install"), "{}", done.stderr);
    assert!(!desk.path("desk.lock").exists());

    desk.profile("");
    desk.lock(&["--store", "STORE"]).await.good().unwrap();
    let lockfile = desk.lockfile();
    fs::write(desk.path("desk.lock"), &lockfile[..lockfile.len() / 2]).unwrap();
    let done = desk.build(&["--cache", "CACHE"]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("desk.lock"), "{}", done.stderr);
    fs::write(desk.path("desk.lock"), &lockfile).unwrap();

    // With an empty cache: what the store lacks is lacking, and what it has otherwise is not taken.
    let digest = locked(&lockfile, "zstd")["sha256"].as_str().unwrap().to_owned();
    let deb = desk.path("store/debs/sha256").join(&digest[..2]).join(format!("{digest}.deb"));
    let mut bytes = fs::read(&deb).unwrap();
    fs::remove_file(&deb).unwrap();
    let done = desk.build(&["--offline", "--cache", "FOLDER/cache"]).await;
    assert_eq!(done.code, Some(5), "{done:?}");
    assert!(done.stderr.contains("1 of ") && done.stderr.contains("zstd_"), "{}", done.stderr);

    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&deb, bytes).unwrap();
    let done = desk.build(&["--offline", "--cache", "FOLDER/cache"]).await;
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.stderr.contains("not the locked zstd") && done.stderr.contains(&digest), "{}", done.stderr);
}
