//! Ready-made images with a file for the personal layer, on file systems that others made: NTFS, FAT, ext4.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use gpt::partition_types;
use livery_contract::manifest::Manifest;
use livery_tests::{
    programs::{Done, Program},
    raw_disk,
};
use serde_json::Value;

const MIB: u64 = 1 << 20;
const SYSTEM: u64 = 24 * MIB;
const ROSTER: &str = "order,user,name,hostname,locale,keyboard\nORD-1,zoe,Zoé Léger,wt-1,fr_FR.UTF-8,fr\nORD-2,jan,Jan Peeters,wt-2,nl_BE.UTF-8,be\n";

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn good(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = run(program, arguments);
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    output.stdout
}

/// A disk with an ESP and a partition `system` that someone else made.
struct Disk {
    folder: tempfile::TempDir,
    file: String,
}

impl Disk {
    /// `make` is given the partition as a file, and fills it.
    fn new(file: &str, make: impl FnOnce(&str)) -> Self {
        let disk = Self { folder: tempfile::tempdir().unwrap(), file: file.into() };
        let partitions = [("esp", 4 * MIB, partition_types::EFI), ("system", SYSTEM, partition_types::BASIC)];
        let raw = raw_disk::partitioned(&disk.path("image.raw"), 32 * MIB, &partitions).unwrap();
        let inner = disk.text("inner");
        File::create(&inner).unwrap().set_len(SYSTEM).unwrap();
        make(&inner);
        let bytes = fs::read(&inner).unwrap();
        assert_eq!(bytes.len() as u64, SYSTEM);
        raw.write_all_at(&bytes, 5 * MIB).unwrap();
        disk.profile("system");
        fs::write(disk.path("roster.csv"), ROSTER).unwrap();
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn profile(&self, partition: &str) {
        let text = format!(
            "schema = 1\nkind = \"import\"\nname = \"ready\"\nversion = \"1\"\n[locale]\navailable = [\"fr_FR.UTF-8\", \"nl_BE.UTF-8\"]\n\
             [personal]\npartition = \"{partition}\"\nfile = '{}'\n",
            self.file
        );
        fs::write(self.path("import.toml"), text).unwrap();
    }

    async fn livery(&self, arguments: &[&str]) -> Done {
        let words = arguments.iter().map(|word| word.replace("FOLDER", &self.folder.path().display().to_string()));
        Program::Livery.run(words).await.unwrap()
    }

    async fn import(&self, store: &str) -> Done {
        if !self.path("keys").exists() {
            self.livery(&["keygen", "--out", "FOLDER/keys"]).await.good().unwrap();
        }
        let store = format!("FOLDER/{store}");
        self.livery(&[
            "--json",
            "import",
            "FOLDER/image.raw",
            "--profile",
            "FOLDER/import.toml",
            "--store",
            &store,
            "--keys",
            "FOLDER/keys",
        ])
        .await
    }

    async fn refused(&self, words: &str) {
        let before = fs::read(self.path("image.raw")).unwrap();
        let done = self.import("store").await;
        assert_eq!(done.code, Some(3), "{done:?}");
        assert!(done.stderr.contains(words), "{words}\n{}", done.stderr);
        assert!(!self.path("store/metadata").exists(), "nothing is published");
        assert!(fs::read(self.path("image.raw")).unwrap() == before, "the image itself is not touched");
        let left = fs::read_dir(self.folder.path())
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(".livery"));
        assert_eq!(left.count(), 0, "no copies are left");
    }

    /// The partition `system` of an image, as a file again.
    async fn partition(&self, reference: &str, name: &str) -> String {
        let raw = format!("{name}.raw");
        self.livery(&["export", reference, "--store", "FOLDER/store", &format!("FOLDER/{raw}")]).await.good().unwrap();
        let mut bytes = vec![0; usize::try_from(SYSTEM).unwrap()];
        File::open(self.path(&raw)).unwrap().read_exact_at(&mut bytes, 5 * MIB).unwrap();
        fs::write(self.path(name), bytes).unwrap();
        self.text(name)
    }

    /// The whole way, `read` and `check` being the file system's own tools.
    async fn becomes_somebodys(&self, read: impl Fn(&str) -> Vec<u8>, check: impl Fn(&str)) {
        let imported = self.import("store").await.good().unwrap();
        assert!(imported.stdout.contains("ready@1"), "{imported:?}");
        let manifest = self.manifest();
        let place = manifest.personal_file.as_ref().unwrap();
        assert_eq!((place.partition, place.length, place.offset % 4096), (2, 64 << 10, 0), "{place:?}");
        // A master is nobody's.
        let nobody = self.partition("ready@1", "nobody").await;
        check(&nobody);
        assert_eq!(serde_json::from_slice::<Value>(&read(&nobody)).unwrap(), serde_json::json!({}));

        let roster =
            ["personalise", "ready@1", "--roster", "FOLDER/roster.csv", "--store", "FOLDER/store", "--keys", "FOLDER/keys"];
        self.livery(&roster).await.good().unwrap();
        for (order, hostname, name) in [("ORD-1", "wt-1", "Zoé Léger"), ("ORD-2", "wt-2", "Jan Peeters")] {
            let partition = self.partition(&format!("ready@1/{order}"), order).await;
            check(&partition);
            let bytes = read(&partition);
            assert_eq!(bytes.len(), 64 << 10);
            let identity: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!((identity["order"].as_str(), identity["hostname"].as_str()), (Some(order), Some(hostname)), "{identity}");
            assert_eq!(identity["name"].as_str(), Some(name));
        }
        // Kilobytes for each, as for our own images: the rest is the master's.
        let (one, two) = (fs::read(self.path("ORD-1.raw")).unwrap(), fs::read(self.path("ORD-2.raw")).unwrap());
        let differs: Vec<u64> = (0u64..)
            .zip(one.chunks(4096).zip(two.chunks(4096)))
            .filter(|(_, (one, two))| one != two)
            .map(|(at, _)| at * 4096)
            .collect();
        assert_eq!(differs, [place.offset]);

        // A device is written with it, and proves it, without knowing anything of this.
        let disk = self.text("device.raw");
        raw_disk::used(&self.path("device.raw"), 32 * MIB).unwrap();
        for verb in ["write", "verify"] {
            let arguments =
                [verb, "ready@1/ORD-2", "--from", &self.text("store"), "--trust", &self.text("keys/root.json"), "--disk", &disk];
            Program::Agent.run(arguments).await.unwrap().good().unwrap();
        }
        assert!(
            fs::read(&disk).unwrap()[usize::try_from(place.offset).unwrap()..][..4096]
                == two[usize::try_from(place.offset).unwrap()..][..4096]
        );

        // The same image and profile: the same manifest, byte for byte, at another time.
        tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
        let first: Value = serde_json::from_str(imported.stdout.lines().last().unwrap()).unwrap();
        let again = self.import("second").await.good().unwrap();
        let again: Value = serde_json::from_str(again.stdout.lines().last().unwrap()).unwrap();
        assert_eq!(again["manifest"], first["manifest"]);
        assert_eq!(
            serde_json::from_str::<Value>(self.import("store").await.good().unwrap().stdout.lines().last().unwrap()).unwrap()["fresh"],
            false
        );
    }

    fn manifest(&self) -> Manifest {
        let targets = fs::read_dir(self.path("store/targets")).unwrap().flatten().map(|entry| entry.path());
        let path = targets.into_iter().find(|path| path.display().to_string().ends_with("ready@1.json")).unwrap();
        Manifest::parse(&fs::read(path).unwrap()).unwrap()
    }
}

fn mkntfs(inner: &str) {
    good("mkntfs", &["--force", "--quick", "--quiet", "--partition-start", "10240", inner]);
}

fn mkfs_vfat(inner: &str) {
    good("mkfs.vfat", &["-s", "8", inner]);
}

fn mkfs_ext4(inner: &str) {
    good("mkfs.ext4", &["-q", "-b", "4096", inner]);
    good("debugfs", &["-w", "-R", "mkdir /etc", inner]);
}

#[tokio::test]
async fn ntfs() {
    Disk::new(r"\livery.json", mkntfs)
        .becomes_somebodys(
            |partition| good("ntfscat", &[partition, "livery.json"]),
            |partition| {
                let said = good("ntfsresize", &["--no-action", "--force", "--info", partition]);
                assert!(String::from_utf8_lossy(&said).contains("Checking filesystem consistency"), "{said:?}");
                good("ntfsfix", &["--no-action", partition]);
            },
        )
        .await;
}

#[tokio::test]
async fn fat() {
    Disk::new("/livery.json", mkfs_vfat)
        .becomes_somebodys(
            |partition| good("mtype", &["-i", partition, "::/livery.json"]),
            |partition| drop(good("fsck.fat", &["-n", partition])),
        )
        .await;
}

#[tokio::test]
async fn ext4() {
    Disk::new("/etc/livery identity.json", mkfs_ext4)
        .becomes_somebodys(
            |partition| good("debugfs", &["-R", "cat \"/etc/livery identity.json\"", partition]),
            |partition| drop(good("e2fsck", &["-f", "-n", partition])),
        )
        .await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_nothing_is_published() {
    let disk = Disk::new("/livery.json", mkfs_vfat);
    disk.profile("Windows");
    disk.refused("the image has no partition \"Windows\"").await;
    disk.profile("7");
    disk.refused("2 \"system\"").await;
    disk.profile("esp");
    disk.refused("no file system into which Livery can put a file").await;
    let disk = Disk::new("/nowhere/livery.json", mkfs_vfat);
    disk.refused("its folder must exist").await;
    let disk = Disk::new("/nowhere/livery.json", mkfs_ext4);
    disk.refused("its folder must exist").await;
    let disk = Disk::new("/nowhere/livery.json", mkntfs);
    disk.refused("its folder must exist").await;
    let luks = Disk::new("/livery.json", |inner| {
        File::options().write(true).open(inner).unwrap().write_all_at(b"LUKS\xba\xbe", 0).unwrap();
    });
    luks.refused("LUKS").await;
    // Sleeping systems: a journal that is to be replayed.
    let unclean = Disk::new("/livery.json", |inner| {
        mkfs_ext4(inner);
        good("debugfs", &["-w", "-R", "feature needs_recovery", inner]);
    });
    unclean.refused("was not unmounted").await;
}

#[tokio::test]
async fn a_file_that_is_there_already_is_never_written_over() {
    let put = |folder: &Path| {
        let file = folder.join("theirs");
        fs::write(&file, "theirs\n").unwrap();
        file.display().to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let theirs = put(folder.path());
    for (make, add) in [
        (mkntfs as fn(&str), ["ntfscp", "--quiet", "INNER", &theirs, "livery.json"].as_slice()),
        (mkfs_vfat, ["mcopy", "-i", "INNER", &theirs, "::/livery.json"].as_slice()),
        (mkfs_ext4, ["debugfs", "-w", "-R", "WRITE", "INNER"].as_slice()),
    ] {
        let disk = Disk::new("/livery.json", |inner| {
            make(inner);
            let write = format!("write {theirs} /livery.json");
            let words: Vec<&str> = add[1..]
                .iter()
                .map(|word| {
                    if *word == "INNER" {
                        inner
                    } else if *word == "WRITE" {
                        write.as_str()
                    } else {
                        *word
                    }
                })
                .collect();
            good(add[0], &words);
        });
        disk.refused("this file exists already").await;
    }
    // A folder of that name is no place for it either.
    let disk = Disk::new("/livery.json", |inner| {
        mkfs_vfat(inner);
        good("mmd", &["-i", inner, "::/livery.json"]);
    });
    disk.refused("").await;
}

/// Fills a FAT with files of one cluster and takes every second one away.
fn holes(inner: &str, cluster: usize, keep: impl Fn(usize) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let count = usize::try_from(SYSTEM).unwrap() / cluster - 40;
    let mut names = Vec::new();
    for number in 0..count {
        let path = folder.path().join(format!("{number:05}"));
        fs::write(&path, vec![u8::try_from(number % 251).unwrap(); cluster]).unwrap();
        names.push(path.display().to_string());
    }
    good("mmd", &["-i", inner, "::/full"]);
    for batch in names.chunks(500) {
        let mut words = vec!["-i", inner];
        words.extend(batch.iter().map(String::as_str));
        words.push("::/full");
        // The last ones find no room: then it is full, which is what is wanted.
        run("mcopy", &words);
    }
    // What is left at the end too.
    let rest = folder.path().join("rest");
    for size in [cluster * 16, cluster * 4, cluster, cluster] {
        for number in 0..20 {
            fs::write(&rest, vec![1; size]).unwrap();
            if !run("mcopy", &["-i", inner, &rest.display().to_string(), &format!("::/full/rest{size}-{number}")]).status.success()
            {
                break;
            }
        }
    }
    let gone: Vec<String> = (0..count).filter(|number| !keep(*number)).map(|number| format!("::/full/{number:05}")).collect();
    for batch in gone.chunks(500) {
        let mut words = vec!["-i", inner];
        words.extend(batch.iter().map(String::as_str));
        good("mdel", &words);
    }
}

#[tokio::test]
async fn no_room_and_no_room_in_one_piece_are_told_apart() {
    let full = Disk::new("/livery.json", |inner| {
        good("mkfs.vfat", &["-s", "32", inner]);
        holes(inner, 16 << 10, |_| true);
    });
    full.refused("the file can't be put into the partition").await;
    let fragmented = Disk::new("/livery.json", |inner| {
        good("mkfs.vfat", &["-s", "32", inner]);
        holes(inner, 16 << 10, |number| number % 2 == 0 || number > 100);
    });
    fragmented.refused("pieces, but must be in one").await;
    // A file system that counts from where it likes: its clusters begin off the disk's blocks.
    let askew = Disk::new("/livery.json", |inner| {
        good("mkfs.vfat", &["-a", "-F", "16", "-s", "8", "-R", "3", inner]);
    });
    askew.refused("which is not a multiple of 4096").await;
}

#[tokio::test]
async fn a_profile_for_importing_is_checked_as_others_are() {
    let disk = Disk::new("/livery.json", mkfs_vfat);
    let check = async |text: &str, words: &str| {
        fs::write(disk.path("import.toml"), format!("schema = 1\nkind = \"import\"\nname = \"ready\"\n{text}")).unwrap();
        let done = disk.livery(&["check", "FOLDER/import.toml"]).await;
        assert_eq!(done.code, Some(3), "{done:?}");
        assert!(done.stderr.contains(words), "{words}\n{}", done.stderr);
    };
    check("[personal]\nfile = '/livery.json'\n", "`personal.partition` is missing").await;
    check("[personal]\npartition = '1'\nfile = '/livery.json'\n", "locale.available").await;
    check("[personal]\nfile = '/../x'\n", "import.toml:5:8").await;
    check("[packages]\ninstall = ['cage']\n", "has no effect here").await;

    // Nothing personal: the image as it is, under the profile's name, and restricted where that says so.
    fs::write(
        disk.path("import.toml"),
        "schema = 1\nkind = \"import\"\nname = \"ready\"\nversion = \"1\"\n[image]\nrestricted = [\"Windows 11 Enterprise\"]\n",
    )
    .unwrap();
    disk.refused("Windows 11 Enterprise").await;
    disk.livery(&["store", "allow", "FOLDER/store", "--restricted"]).await.good().unwrap();
    disk.import("store").await.good().unwrap();
    assert_eq!(disk.manifest().restricted, ["Windows 11 Enterprise"]);
    let roster = ["personalise", "ready@1", "--roster", "FOLDER/roster.csv", "--store", "FOLDER/store", "--keys", "FOLDER/keys"];
    let done = disk.livery(&roster).await;
    assert!(done.code == Some(3) && done.stderr.contains("cannot take a personal layer"), "{done:?}");

    // Without a profile both flags are needed; with one of another kind it is none for this.
    let done = disk.livery(&["import", "FOLDER/image.raw", "--store", "FOLDER/store", "--keys", "FOLDER/keys"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    let terminal = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles/terminal.toml");
    let done = disk
        .livery(&[
            "import",
            "FOLDER/image.raw",
            "--profile",
            terminal,
            "--version",
            "1",
            "--store",
            "FOLDER/store",
            "--keys",
            "FOLDER/keys",
        ])
        .await;
    assert!(done.code == Some(3) && done.stderr.contains("import"), "{done:?}");
    let done = disk.livery(&["build", "FOLDER/import.toml", "--store", "FOLDER/store", "--keys", "FOLDER/keys"]).await;
    assert!(done.code == Some(3) && done.stderr.contains("livery import"), "{done:?}");
}
