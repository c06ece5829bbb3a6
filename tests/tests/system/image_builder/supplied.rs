//! Software that IT supplies: in an image only with digest and licence, and only in stores that are marked for it.

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use livery_contract::Digest;
use livery_tests::{
    citrix_client,
    programs::{Done, Program},
    site::Site,
};
use serde_json::Value;

const BUILD: Duration = Duration::from_secs(25 * 60);

/// The organisation's terminal with the client, in a folder of its own.
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
             [[packages.supplied]]\n{item}[citrix]\ndevice-trust = true\n\
             client-settings = [\"wfclient.ini [Thinwire3.0] InvertCursorEnabled=True\", \"All_Regions.ini [Virtual Channels\\\\Drives] CDMAllowed=False\"]\n",
            self.site.profile().display()
        );
        fs::write(self.path("desk.toml"), text).unwrap();
    }

    async fn livery(&self, arguments: &[&str]) -> Done {
        let places = [
            ("PROFILE", self.path("desk.toml")),
            ("STORE", self.path("store")),
            ("KEYS", self.site.keys()),
            ("CACHE", self.site.cache()),
            ("FOLDER", self.folder.path().to_owned()),
        ];
        let words = arguments.iter().map(|word| {
            places.iter().fold((*word).to_owned(), |word, (name, path)| word.replace(name, &path.display().to_string()))
        });
        Program::Livery.run_within(words, BUILD).await.unwrap()
    }

    async fn build(&self, store: &str, cache: &str) -> Done {
        self.livery(&["--json", "build", "PROFILE", "--locked", "--store", store, "--keys", "KEYS", "--cache", cache]).await
    }

    /// The root file system of an image, laid out in a folder.
    async fn root_of(&self, reference: &str) -> PathBuf {
        let raw = self.path("image.raw");
        self.livery(&["export", reference, "--store", "STORE", "FOLDER/image.raw"]).await.good().unwrap();
        let inspected = self.livery(&["--json", "inspect", reference, "--store", "STORE"]).await.good().unwrap();
        let inspected: Value = serde_json::from_str(&inspected.stdout).unwrap();
        let partitions = inspected["manifest"]["partitions"].as_array().unwrap();
        let root = partitions.iter().find(|partition| partition["role"] == "root").unwrap();
        let mut bytes = vec![0; usize::try_from(root["length"].as_u64().unwrap()).unwrap()];
        fs::File::open(&raw).unwrap().read_exact_at(&mut bytes, root["offset"].as_u64().unwrap()).unwrap();
        fs::write(self.path("root.erofs"), bytes).unwrap();
        let tree = self.path("root");
        let extracted =
            Command::new("fsck.erofs").arg(format!("--extract={}", tree.display())).arg(self.path("root.erofs")).output();
        let extracted = extracted.unwrap();
        assert!(extracted.status.success(), "{extracted:?}");
        tree
    }
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

/// Builds a master of its own; in the group of virtual devices, since that takes minutes.
#[tokio::test]
async fn image_the_client_is_in_the_image_with_authorities_settings_and_answers() {
    let desk = Desk::new(true).await;
    desk.livery(&["lock", "PROFILE", "--store", "STORE", "--cache", "CACHE"]).await.good().unwrap();
    let lock: toml::Table = toml::from_str(&fs::read_to_string(desk.path("desk.lock")).unwrap()).unwrap();
    let locked = |name: &str| {
        let package = lock["package"].as_array().unwrap().iter().find(|package| package["name"].as_str() == Some(name));
        package.unwrap_or_else(|| panic!("{name} is not locked")).as_table().unwrap()
    };
    let client = locked("icaclient");
    assert_eq!(client["supplied"].as_bool(), Some(true), "{client}");
    assert_eq!(client["sha256"].as_str(), Some(desk.digest.to_string().as_str()));
    assert!(!client.contains_key("origin") && !client.contains_key("path"), "{client}");
    assert!(locked(citrix_client::NEEDS)["origin"].as_str().unwrap().starts_with("trixie"), "what it needs comes with it");

    // A store that nobody has marked: refused at once, and nothing of the image is in it.
    let done = desk.build("STORE", "CACHE").await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("icaclient 24.11.0.85 (Stand-in EULA)") && done.stderr.contains("livery store allow"), "{done:?}");
    assert!(!desk.path("store/metadata").exists() && !desk.path("store/blobs").exists());
    let done = desk.build("FOLDER/fresh", "CACHE").await;
    assert!(done.code == Some(3) && !desk.path("fresh").exists(), "{done:?}");

    desk.livery(&["store", "allow", "STORE", "--restricted"]).await.good().unwrap();
    let built = answer(&desk.build("STORE", "CACHE").await.good().unwrap());
    let reference = built["image"].as_str().unwrap().to_owned();
    let inspected = desk.livery(&["inspect", &reference, "--store", "STORE"]).await.good().unwrap();
    assert!(inspected.stdout.contains("restricted icaclient 24.11.0.85 (Stand-in EULA)"), "{}", inspected.stdout);
    let deb = fs::read(desk.path("client.deb")).unwrap();
    assert!(
        !holds_deb(&desk.path("store"), &deb) && !holds_deb(&desk.site.cache().join("debs"), &deb),
        "the .deb stays where it was"
    );

    let root = desk.root_of(&reference).await;
    let home = root.join("opt/Citrix/ICAClient");
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(fs::metadata(home.join("wfica")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(
        text("opt/Citrix/ICAClient/installed"),
        "app_protection/install_app_protection=no\ndevicetrust/install_devicetrust=yes\nepa/install_epa=no\n"
    );
    // Authorities: the organisation's and the client's own, each under its hash, by the client's own tool.
    let cacerts = home.join("keystore/cacerts");
    let ours = fs::read_to_string(desk.site.authority().join("ca.pem")).unwrap();
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

    // The same bits from another cache, where nothing that has the client in it lies yet.
    let other = tempfile::tempdir_in(desk.site.cache().parent().unwrap()).unwrap();
    for entry in fs::read_dir(desk.site.cache()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if ["tools-", "boot-root-", "initrd-"].iter().any(|stage| name.starts_with(stage)) {
            let copied = Command::new("cp").args(["--archive", "--link"]).arg(entry.path()).arg(other.path()).status().unwrap();
            assert!(copied.success());
        }
    }
    let again = {
        desk.livery(&["store", "allow", "FOLDER/second", "--restricted"]).await.good().unwrap();
        fs::rename(desk.path("store/debs"), desk.path("second/debs")).unwrap();
        answer(&desk.build("FOLDER/second", &other.path().display().to_string()).await.good().unwrap())
    };
    assert_eq!((&again["image"], &again["manifest"]), (&built["image"], &built["manifest"]));

    // A copy of the store is not marked: no personal images there.
    let copied = Command::new("cp").arg("-r").arg(desk.path("second")).arg(desk.path("copy")).status().unwrap();
    assert!(copied.success());
    fs::remove_file(desk.path("copy/RESTRICTED")).unwrap();
    let roster = desk.site.roster().display().to_string();
    let personalise = async |store: &str| {
        desk.livery(&["personalise", &reference, "--roster", &roster, "--store", store, "--keys", "KEYS"]).await
    };
    let done = personalise("FOLDER/copy").await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("icaclient") && done.stderr.contains("livery store allow"), "{}", done.stderr);
    personalise("FOLDER/second").await.good().unwrap();
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
