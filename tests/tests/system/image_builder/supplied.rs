//! Software that IT supplies: in an image only with digest and licence, and only in stores that are marked for it.

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::{Digest, manifest::Role};
use livery_tests::{
    citrix_client,
    programs::{Done, Program},
    site::{Allow, Site},
};
use serde_json::Value;

const BUILD: Duration = Duration::from_secs(25 * 60);

/// The image with the client that tests share.
struct Shared {
    /// Beside the site's: its store is linked into it.
    folder: tempfile::TempDir,
    site: Site,
    profile: PathBuf,
    reference: String,
}

impl Shared {
    async fn new() -> Self {
        let site = Site::shared().await.unwrap();
        let reference = site.build_for_a_virtual_screen(Allow::Nothing).await.unwrap().to_string();
        let profile = site.folder.join(format!("{}.toml", Allow::Nothing.name()));
        Self { folder: tempfile::tempdir_in(&site.folder).unwrap(), site, profile, reference }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn livery(&self, arguments: &[&str]) -> Done {
        livery(arguments, &self.site, &self.profile, &self.site.store(), self.folder.path()).await
    }

    async fn build(&self, store: &str, cache: &str) -> Done {
        self.livery(&["--json", "build", "PROFILE", "--locked", "--store", store, "--keys", "KEYS", "--cache", cache]).await
    }

    /// The image's root file system, laid out in a folder.
    async fn root(&self) -> PathBuf {
        let raw = self.path("image.raw");
        self.livery(&["export", &self.reference, "--store", "STORE", "FOLDER/image.raw"]).await.good().unwrap();
        let (offset, length) = self.site.place(&self.reference.parse().unwrap(), Role::Root).await.unwrap();
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        fs::File::open(&raw).unwrap().read_exact_at(&mut bytes, offset).unwrap();
        fs::write(self.path("root.erofs"), bytes).unwrap();
        let tree = self.path("root");
        let extracted =
            Command::new("fsck.erofs").arg(format!("--extract={}", tree.display())).arg(self.path("root.erofs")).output();
        let extracted = extracted.unwrap();
        assert!(extracted.status.success(), "{extracted:?}");
        tree
    }
}

/// A profile of a terminal with the client, in a folder of its own, that nothing is built of.
struct Desk {
    folder: tempfile::TempDir,
    site: Site,
    digest: Digest,
}

impl Desk {
    async fn new(rehash: bool) -> Self {
        let (folder, site) = (tempfile::tempdir().unwrap(), Site::shared().await.unwrap());
        let own = fs::read_to_string(site.root.join("profiles/ca/assurance-root.pem")).unwrap();
        let digest = citrix_client::make(&folder.path().join("client.deb"), &own, rehash, b"#!/bin/sh\nexit 0\n").await.unwrap();
        let desk = Self { folder, site, digest };
        desk.profile(&desk.item());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All that must be said of the client.
    fn item(&self) -> String {
        format!(
            "path = \"client.deb\"\nsha256 = \"{}\"\npackage = \"icaclient\"\nversion = \"{}\"\nlicence = \"Stand-in EULA\"\n\
             accept-licence = \"I have read and accept Stand-in EULA\"\n",
            self.digest,
            citrix_client::VERSION
        )
    }

    fn profile(&self, item: &str) {
        let text = format!(
            "schema = 1\nextends = \"{}\"\nname = \"with-client\"\n[packages]\ninstall = {{ add = [\"xwayland\"] }}\n\
             [[packages.supplied]]\n{item}[citrix]\ndevice-trust = true\n",
            self.site.profile().display()
        );
        fs::write(self.path("desk.toml"), text).unwrap();
    }

    async fn livery(&self, arguments: &[&str]) -> Done {
        livery(arguments, &self.site, &self.path("desk.toml"), &self.path("store"), self.folder.path()).await
    }

    async fn build(&self, store: &str, cache: &str) -> Done {
        self.livery(&["--json", "build", "PROFILE", "--locked", "--store", store, "--keys", "KEYS", "--cache", cache]).await
    }
}

/// Runs `livery` with arguments in which PROFILE, STORE, KEYS, CACHE and FOLDER stand for these.
async fn livery(arguments: &[&str], site: &Site, profile: &Path, store: &Path, folder: &Path) -> Done {
    let places = [("PROFILE", profile), ("STORE", store), ("KEYS", &site.keys()), ("CACHE", &site.cache()), ("FOLDER", folder)];
    let words = arguments
        .iter()
        .map(|word| places.iter().fold((*word).to_owned(), |word, (name, path)| word.replace(name, &path.display().to_string())));
    Program::Livery.run_within(words, BUILD).await.unwrap()
}

fn answer(done: &Done) -> Value {
    serde_json::from_str(done.stdout.lines().last().unwrap()).unwrap()
}

/// Whether any file below has these very bytes in its name or is this long: the .deb, under whatever name.
fn holds_deb(folder: &Path, deb: &[u8]) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => holds_deb(&entry.path(), deb),
        kind if kind.is_file() => {
            entry.metadata().unwrap().len() == deb.len() as u64 && fs::read(entry.path()).is_ok_and(|bytes| bytes == deb)
        }
        _ => false,
    })
}

/// Where a link by subject hash leads.
fn linked(cacerts: &Path, pem: &Path) -> Vec<PathBuf> {
    let hash = Command::new("openssl").args(["x509", "-noout", "-subject_hash", "-in"]).arg(pem).output().unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap().trim().to_owned();
    (0..3).filter_map(|number| fs::read_link(cacerts.join(format!("{hash}.{number}"))).ok()).collect()
}

/// Reads the image that the kiosk's tests use.
#[tokio::test]
async fn image_the_client_is_in_the_image_with_authorities_settings_and_answers() {
    let shared = Shared::new().await;
    let (site, reference) = (&shared.site, shared.reference.as_str());
    let lock: toml::Table = toml::from_str(&fs::read_to_string(shared.profile.with_extension("lock")).unwrap()).unwrap();
    let locked = |name: &str| {
        let package = lock["package"].as_array().unwrap().iter().find(|package| package["name"].as_str() == Some(name));
        package.unwrap_or_else(|| panic!("{name} is not locked")).as_table().unwrap()
    };
    let (client, deb) = (locked("icaclient"), fs::read(site.client()).unwrap());
    assert_eq!(client["supplied"].as_bool(), Some(true), "{client}");
    assert_eq!(client["sha256"].as_str(), Some(Digest::of(&deb).to_string().as_str()));
    assert!(!client.contains_key("origin") && !client.contains_key("path"), "{client}");
    assert!(locked(citrix_client::NEEDS)["origin"].as_str().unwrap().starts_with("trixie"), "what it needs comes with it");
    let inspected = shared.livery(&["inspect", reference, "--store", "STORE"]).await.good().unwrap();
    assert!(inspected.stdout.contains("restricted icaclient 24.11.0.85 (Stand-in EULA)"), "{}", inspected.stdout);
    assert!(!holds_deb(&site.store(), &deb) && !holds_deb(&site.cache().join("debs"), &deb), "the .deb stays where it was");

    // A store that nobody has marked: refused at once, and nothing of the image is in it.
    let done = shared.build("FOLDER/fresh", "CACHE").await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("icaclient 24.11.0.85 (Stand-in EULA)") && done.stderr.contains("livery store allow"), "{done:?}");
    assert!(!shared.path("fresh").exists());

    let root = shared.root().await;
    let home = root.join("opt/Citrix/ICAClient");
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(fs::metadata(home.join("wfica")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(
        text("opt/Citrix/ICAClient/installed"),
        "app_protection/install_app_protection=no\ndevicetrust/install_devicetrust=yes\nepa/install_epa=no\n"
    );
    // Authorities: the organisation's and the client's own, each under its hash, by the client's own tool.
    let cacerts = home.join("keystore/cacerts");
    let ours = fs::read_to_string(site.authority().join("ca.pem")).unwrap();
    assert_eq!(fs::read_to_string(cacerts.join("livery-ca.pem")).unwrap(), ours);
    assert_eq!(linked(&cacerts, &cacerts.join("livery-ca.pem")), [Path::new("livery-ca.pem")]);
    assert_eq!(linked(&cacerts, &root.join(citrix_client::OWN_AUTHORITY)), [Path::new("Own_Root.pem")]);
    assert!(fs::symlink_metadata(cacerts.join("by-ctx_rehash")).is_ok(), "the client's own tool made the links");
    // Settings, with what the package says left as it was.
    assert_eq!(
        text("opt/Citrix/ICAClient/config/module.ini"),
        "; theirs\n[ICA 3.0]\nFIDO2=On\nVersion=1\n\n[WFClient]\nVersion=2\n"
    );
    assert_eq!(
        text("opt/Citrix/ICAClient/config/wfclient.template"),
        "[WFClient]\nVersion=2\n\n[Thinwire3.0]\nInvertCursorEnabled=True\n"
    );
    assert_eq!(text("opt/Citrix/ICAClient/config/All_Regions.ini"), "[Virtual Channels\\Drives]\nCDMAllowed=False\n");
    let policies: Value = serde_json::from_str(&text("etc/firefox/policies/policies.json")).unwrap();
    let handler = &policies["policies"]["Handlers"]["mimeTypes"]["application/x-ica"];
    assert_eq!((&handler["handlers"][0]["path"], &handler["ask"]), (&"/opt/Citrix/ICAClient/wfica".into(), &false.into()));
    assert_eq!(text("etc/livery/citrix-store"), "https://gateway.assurance.example/\n");
    assert!(root.join("usr/lib/x86_64-linux-gnu/libspeex.so.1").exists());

    // A copy of the store is not marked: no personal images there. Its files are hard links, replaced and never written to.
    let copy = shared.path("copy");
    let copied = Command::new("cp").arg("-al").arg(site.store()).arg(&copy).status().unwrap();
    assert!(copied.success());
    fs::remove_file(copy.join("RESTRICTED")).unwrap();
    let roster = site.roster().display().to_string();
    let personalise =
        async || shared.livery(&["personalise", reference, "--roster", &roster, "--store", "FOLDER/copy", "--keys", "KEYS"]).await;
    let done = personalise().await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("icaclient") && done.stderr.contains("livery store allow"), "{}", done.stderr);
    shared.livery(&["store", "allow", "FOLDER/copy", "--restricted"]).await.good().unwrap();
    personalise().await.good().unwrap();
}

/// A root that a package's own scripts were run in, made from nothing: in another cache, where nothing that has the client in it lies yet.
#[tokio::test]
async fn image_variant_the_client_gives_the_same_bits_from_another_cache() {
    let shared = Shared::new().await;
    let cache = shared.site.cache();
    let other = tempfile::tempdir_in(cache.parent().unwrap()).unwrap();
    for entry in fs::read_dir(&cache).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if ["tools-", "boot-root-", "initrd-"].iter().any(|stage| name.starts_with(stage)) {
            let copied = Command::new("cp").args(["--archive", "--link"]).arg(entry.path()).arg(other.path()).status().unwrap();
            assert!(copied.success());
        }
    }
    shared.livery(&["store", "allow", "FOLDER/second", "--restricted"]).await.good().unwrap();
    let debs = Command::new("cp").arg("-al").arg(shared.site.store().join("debs")).arg(shared.path("second")).status().unwrap();
    assert!(debs.success());
    let first = answer(&shared.build("STORE", "CACHE").await.good().unwrap());
    let again = answer(&shared.build("FOLDER/second", &other.path().display().to_string()).await.good().unwrap());
    assert_eq!((&again["image"], &again["manifest"]), (&first["image"], &first["manifest"]));
}

#[tokio::test]
async fn without_digest_or_word_or_with_another_file_nothing_is_built() {
    let desk = Desk::new(false).await;
    desk.livery(&["store", "allow", "STORE", "--restricted"]).await.good().unwrap();
    let item = desk.item();
    let digest = desk.digest.to_string();
    let without =
        |key: &str| item.lines().filter(|line| !line.starts_with(key)).fold(String::new(), |text, line| text + line + "\n");
    for (item, place, words) in [
        (without("sha256"), "desk.toml:6:", "missing `sha256`"),
        (without("accept-licence"), "desk.toml:6:", "missing `accept-licence`"),
        (item.replace("accept Stand-in", "accept another"), "desk.toml:12:18", "read and accepted"),
        (item.replace(&digest, &Digest::of(b"other").to_string()), "desk.toml:8:10", "not the software that the profile describes"),
        (item.replace("24.11.0.85", "24.11.0.86"), "desk.toml:10:11", "another version"),
        (item.replace("client.deb", "gone.deb"), "desk.toml:7:8", "no such file"),
    ] {
        desk.profile(&item);
        for command in [&["check", "PROFILE"][..], &["build", "PROFILE", "--store", "STORE", "--keys", "KEYS", "--cache", "CACHE"]]
        {
            let done = desk.livery(command).await;
            assert_eq!(done.code, Some(3), "{done:?}");
            assert!(done.stderr.contains(place) && done.stderr.contains(words), "{place} {words}\n{}", done.stderr);
        }
    }
    assert!(!desk.path("store/metadata").exists());

    // What is locked is that very file: a newer one in its place is not taken for it.
    desk.profile(&item);
    desk.livery(&["lock", "PROFILE", "--cache", "CACHE"]).await.good().unwrap();
    let own = fs::read_to_string(desk.site.root.join("profiles/ca/assurance-root.pem")).unwrap();
    let other = citrix_client::make(&desk.path("client.deb"), &own, true, b"#!/bin/sh\nexit 0\n").await.unwrap();
    desk.profile(&item.replace(&digest, &other.to_string()));
    let done = desk.build("STORE", "CACHE").await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("icaclient is supplied as 24.11.0.85") && done.stderr.contains("livery lock"), "{}", done.stderr);
    let locked = desk.livery(&["lock", "PROFILE", "--cache", "CACHE"]).await.good().unwrap();
    assert!(locked.stdout.contains("~ icaclient 24.11.0.85, another .deb (supplied)"), "{}", locked.stdout);

    // A store without the flag, or none: usage.
    let done = desk.livery(&["store", "allow", "FOLDER/other"]).await;
    assert!(done.code == Some(2) && !desk.path("other").exists(), "{done:?}");
}
