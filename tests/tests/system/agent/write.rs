//! `livery keygen` and `import`, `livery-agent write` and `verify`, from outside: what a good write proves, and how each
//! kind of bad store, bad disk, bad network and bad moment is refused.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use livery_contract::{chunkmap, fault::FaultReport, manifest::Manifest, record::Record};
use livery_tests::{
    bad_server::{BadServer, Part, Rule, Trouble},
    evidence,
    loop_device::LoopDevice,
    programs::{Done, Program},
    raw_disk,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::Command;

const MIB: u64 = 1 << 20;
const REFERENCE: &str = "imported@1";

/// A store with one imported image in it.
struct Bench {
    folder: tempfile::TempDir,
    size: u64,
}

impl Bench {
    async fn new(mib: u64) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), size: mib * MIB };
        raw_disk::make(&bench.at("image.raw"), mib, 7).unwrap();
        keygen(&bench.at("keys")).await;
        let done = import(&bench.at("image.raw"), &bench.at("store"), &bench.at("keys")).await;
        assert_eq!(done.stdout.lines().last().unwrap(), REFERENCE);
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> String {
        self.at("store").display().to_string()
    }

    /// A disk that an earlier owner used, of the image's size and this many bytes more (or less).
    fn disk(&self, more: i64) -> PathBuf {
        let path = self.at("disk.raw");
        raw_disk::used(&path, self.size.checked_add_signed(more).unwrap()).unwrap();
        path
    }

    fn arguments(&self, verb: &str, from: &str, disk: &Path) -> Vec<String> {
        let trust = self.at("keys/root.json").display().to_string();
        let mut list: Vec<String> = [verb, REFERENCE, "--from", from, "--trust", &trust, "--disk"].map(str::to_owned).into();
        list.extend([disk.display().to_string(), "--json".into()]);
        list
    }

    async fn write(&self, from: &str, disk: &Path) -> Done {
        Program::Agent.run(self.arguments("write", from, disk)).await.unwrap()
    }

    async fn verify(&self, from: &str, disk: &Path) -> Done {
        Program::Agent.run(self.arguments("verify", from, disk)).await.unwrap()
    }

    fn manifest(&self) -> Manifest {
        let path = find(&self.at("store/targets"), |name| name.ends_with("imported@1.json"));
        Manifest::parse(&fs::read(path).unwrap()).unwrap()
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.at("store/blobs/sha256").join(&digest[..2]).join(digest)
    }
}

async fn keygen(keys: &Path) {
    Program::Livery.run([Path::new("keygen"), Path::new("--out"), keys]).await.unwrap().good().unwrap();
}

async fn import(raw: &Path, store: &Path, keys: &Path) -> Done {
    let text = |path: &Path| path.display().to_string();
    let arguments = ["import", &text(raw), "--name", "imported", "--version", "1", "--store", &text(store), "--keys", &text(keys)];
    Program::Livery.run(arguments).await.unwrap().good().unwrap()
}

/// The one file under a folder whose name fits.
fn find(folder: &Path, fits: impl Fn(&str) -> bool + Copy) -> PathBuf {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut found);
    found.retain(|path| fits(&path.file_name().unwrap().to_string_lossy()));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// It was refused with this code, said why on standard error and as JSON, and reported nothing as done.
fn refused(done: &Done, code: u8) -> FaultReport {
    assert_eq!(done.code, Some(i32::from(code)), "{done:?}");
    assert!(done.stderr.contains("error: "), "{done:?}");
    #[derive(serde::Deserialize)]
    struct Said {
        error: FaultReport,
    }
    let said: Said = done.json().unwrap();
    assert_eq!(said.error.exit.code(), code);
    assert!(!done.stderr.contains("done:"), "{done:?}");
    said.error
}

/// Refused before anything was touched: the disk is bit for bit what it was.
async fn untouched(bench: &Bench, from: &str, code: u8) -> FaultReport {
    let disk = bench.disk(0);
    let before = raw_disk::digest_all(&disk).unwrap();
    let report = refused(&bench.write(from, &disk).await, code);
    assert_eq!(raw_disk::digest_all(&disk).unwrap(), before, "the disk was touched: {report:?}");
    report
}

/// Given up half-way: the disk does not boot, whatever was there before; or nothing of it was touched yet.
async fn half_way(bench: &Bench, from: &str, code: u8) -> FaultReport {
    let disk = bench.disk(0);
    let before = raw_disk::digest_all(&disk).unwrap();
    let done = bench.write(from, &disk).await;
    let report = refused(&done, code);
    let touched = raw_disk::digest_all(&disk).unwrap() != before;
    assert!(!(touched && raw_disk::bootable(&disk).unwrap()), "half of an image boots: {report:?}");
    report
}

fn proves(record: &Record, disk: &Path) {
    evidence::compare(record, disk).unwrap();
}

#[tokio::test]
async fn a_disk_of_the_same_size_is_the_image_bit_for_bit() {
    for mib in [12, 33, 64] {
        let bench = Bench::new(mib).await;
        let disk = bench.disk(0);
        let record: Record = bench.write(&bench.store(), &disk).await.good().unwrap().json().unwrap();
        assert_eq!(record.size, bench.size);
        assert!(record.traffic.verified >= bench.size - record.traffic.skipped);
        proves(&record, &disk);
        assert_eq!(raw_disk::digest_all(&disk).unwrap(), raw_disk::digest_all(&bench.at("image.raw")).unwrap());
        bench.verify(&bench.store(), &disk).await.good().unwrap();
        raw_disk::flip(&disk, bench.size / 2).unwrap();
        let report = refused(&bench.verify(&bench.store(), &disk).await, 6);
        assert!(report.at.is_some() || report.what.contains("byte"), "it says where: {report:?}");
    }
}

#[tokio::test]
async fn a_larger_disk_gets_its_backup_table_at_its_end() {
    let bench = Bench::new(24).await;
    let disk = bench.disk(9 * 1_048_576 + 4096);
    let record: Record = bench.write(&bench.store(), &disk).await.good().unwrap().json().unwrap();
    proves(&record, &disk);
    assert!(!record.changed_after.is_empty());
    let partitions = raw_disk::check_table(&disk).unwrap();
    assert_eq!(partitions, raw_disk::check_table(&bench.at("image.raw")).unwrap());
    bench.verify(&bench.store(), &disk).await.good().unwrap();
    // Once more over itself: the same result.
    let again: Record = bench.write(&bench.store(), &disk).await.good().unwrap().json().unwrap();
    proves(&again, &disk);
}

#[tokio::test]
async fn importing_twice_changes_nothing() {
    let bench = Bench::new(16).await;
    let before = bench.manifest();
    import(&bench.at("image.raw"), &bench.at("store"), &bench.at("keys")).await;
    assert_eq!(bench.manifest(), before);
}

#[tokio::test]
async fn export_gives_the_image_back() {
    let bench = Bench::new(16).await;
    let copy = bench.at("copy.raw");
    let arguments = ["export", REFERENCE, &copy.display().to_string(), "--store", &bench.store()].map(str::to_owned);
    Program::Livery.run(arguments).await.unwrap().good().unwrap();
    assert_eq!(raw_disk::digest_all(&copy).unwrap(), raw_disk::digest_all(&bench.at("image.raw")).unwrap());
}

#[tokio::test]
async fn a_flipped_byte_in_a_pack_is_refused() {
    let bench = Bench::new(24).await;
    let map = fs::read(bench.blob(&bench.manifest().layers[0].chunk_map.digest.to_string())).unwrap();
    let pack = chunkmap::ChunkMap::decode(&map).unwrap().packs[0];
    raw_disk::flip(&bench.blob(&pack.digest.to_string()), pack.length / 2).unwrap();
    let report = half_way(&bench, &bench.store(), 4).await;
    assert!(report.at.unwrap_or_default().contains("blobs/sha256"), "it says which file");
}

#[tokio::test]
async fn a_flipped_byte_in_a_chunk_map_is_refused() {
    let bench = Bench::new(16).await;
    let map = bench.manifest().layers[0].chunk_map;
    raw_disk::flip(&bench.blob(&map.digest.to_string()), map.length / 2).unwrap();
    untouched(&bench, &bench.store(), 4).await;
}

#[tokio::test]
async fn a_flipped_byte_in_a_manifest_is_refused() {
    let bench = Bench::new(16).await;
    let path = find(&bench.at("store/targets"), |name| name.ends_with("imported@1.json"));
    let text = fs::read_to_string(&path).unwrap();
    // Still valid JSON of a valid manifest: only the signature can tell.
    fs::write(&path, text.replacen("\"label\": \"esp\"", "\"label\": \"esq\"", 1)).unwrap();
    assert_ne!(fs::read_to_string(&path).unwrap(), text);
    untouched(&bench, &bench.store(), 4).await;
}

#[tokio::test]
async fn damaged_metadata_is_refused() {
    for role in ["timestamp.json", "snapshot.json", "targets.json"] {
        let bench = Bench::new(12).await;
        let newest = newest(&bench.at("store/metadata"), role);
        let text = fs::read_to_string(&newest).unwrap();
        let damaged = text.replacen("\"expires\":\"2", "\"expires\":\"3", 1).replacen("\"expires\": \"2", "\"expires\": \"3", 1);
        assert_ne!(damaged, text, "{text}");
        fs::write(&newest, damaged).unwrap();
        untouched(&bench, &bench.store(), 4).await;
    }
}

/// The highest version of a role's file: `timestamp.json`, or `3.targets.json`.
fn newest(folder: &Path, role: &str) -> PathBuf {
    let version = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == role { Some(0) } else { name.strip_suffix(&format!(".{role}"))?.parse::<u64>().ok() }
    };
    fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| version(path).is_some())
        .max_by_key(version)
        .unwrap()
}

#[tokio::test]
async fn a_store_signed_by_another_key_is_refused() {
    let bench = Bench::new(12).await;
    keygen(&bench.at("other-keys")).await;
    import(&bench.at("image.raw"), &bench.at("other-store"), &bench.at("other-keys")).await;
    untouched(&bench, &bench.at("other-store").display().to_string(), 4).await;
}

#[tokio::test]
async fn an_expired_store_is_refused() {
    let bench = Bench::new(12).await;
    let disk = bench.disk(0);
    let before = raw_disk::digest_all(&disk).unwrap();
    let at = async |when: &str| {
        let mut command = Command::new("faketime");
        command.arg(when).arg(Program::Agent.path().unwrap()).args(bench.arguments("write", &bench.store(), &disk));
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").stdin(Stdio::null()).kill_on_drop(true);
        livery_tests::programs::run(command, "livery-agent", Duration::from_secs(60)).await.unwrap()
    };
    let done = at("+31 days").await;
    assert!(refused(&done, 4).what.contains("expired"), "{done:?}");
    assert_eq!(raw_disk::digest_all(&disk).unwrap(), before);
    at("+29 days").await.good().unwrap();
}

#[tokio::test]
async fn disks_that_do_not_fit_are_refused() {
    let bench = Bench::new(16).await;
    let small = bench.disk(-4096);
    let before = raw_disk::digest_all(&small).unwrap();
    refused(&bench.write(&bench.store(), &small).await, 3);
    assert_eq!(raw_disk::digest_all(&small).unwrap(), before);
    refused(&bench.write(&bench.store(), &bench.at("no-such-disk")).await, 3);
    refused(&bench.write(&bench.store(), bench.folder.path()).await, 3);
    let absent = Program::Agent.run(bench.arguments("write", &bench.at("no-store").display().to_string(), &small)).await.unwrap();
    refused(&absent, 5);
    let wrong = Program::Agent.run(["write", "not-a-reference"]).await.unwrap();
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[tokio::test]
async fn a_cut_connection_is_no_success() {
    let bench = Bench::new(48).await;
    let half = fs::metadata(bench.at("image.raw")).unwrap().len() / 8;
    let server = BadServer::start(&bench.at("store"), Rule::packs(Trouble::Cut(half)), None).await.unwrap();
    half_way(&bench, &server.url(), 5).await;
}

#[tokio::test]
async fn one_broken_connection_is_made_good() {
    let bench = Bench::new(24).await;
    let server = BadServer::start(&bench.at("store"), Rule::once(Trouble::Break), None).await.unwrap();
    let disk = bench.disk(0);
    let record: Record = bench.write(&server.url(), &disk).await.good().unwrap().json().unwrap();
    proves(&record, &disk);
}

/// Packs come as something else: given up in bounded time, and it says which file.
async fn no_data(trouble: Trouble) {
    let bench = Bench::new(12).await;
    let server = BadServer::start(&bench.at("store"), Rule::packs(trouble), None).await.unwrap();
    let begun = Instant::now();
    let report = half_way(&bench, &server.url(), 5).await;
    assert!(begun.elapsed() < Duration::from_secs(120), "it took {:?}", begun.elapsed());
    assert!(report.at.unwrap_or_default().contains("blobs/sha256"), "it says which file");
}

#[tokio::test]
async fn a_server_with_an_internal_error_gives_no_data() {
    no_data(Trouble::Status(500)).await;
}

#[tokio::test]
async fn a_server_out_of_service_gives_no_data() {
    no_data(Trouble::Status(503)).await;
}

#[tokio::test]
async fn a_page_of_a_captive_network_is_no_data() {
    no_data(Trouble::Page).await;
}

#[tokio::test]
async fn a_server_that_ignores_ranges_gives_no_data() {
    no_data(Trouble::NoRanges).await;
}

#[tokio::test]
async fn another_range_than_asked_for_is_no_data() {
    no_data(Trouble::WrongRange).await;
}

#[tokio::test]
async fn a_server_that_sends_a_byte_each_second_is_given_up() {
    let bench = Bench::new(12).await;
    let rule = Rule { part: Part::Map, ..Rule::packs(Trouble::Trickle) };
    let server = BadServer::start(&bench.at("store"), rule, None).await.unwrap();
    let begun = Instant::now();
    let report = untouched(&bench, &server.url(), 5).await;
    assert!(begun.elapsed() < Duration::from_secs(60), "it took {:?}", begun.elapsed());
    assert!(report.what.contains("too slow") && report.fix.is_some(), "{report:?}");
}

#[tokio::test]
async fn https_by_the_right_authority_only() {
    let bench = Bench::new(12).await;
    let server = BadServer::start(&bench.at("store"), Rule::packs(Trouble::None), Some(&bench.at("ca"))).await.unwrap();
    let other = BadServer::start(&bench.at("store"), Rule::packs(Trouble::None), Some(&bench.at("other-ca"))).await.unwrap();
    let disk = bench.disk(0);
    let ca = ["--ca".to_owned(), bench.at("ca/ca.pem").display().to_string()];
    let with_ca = |verb, url: &str| {
        let mut arguments = bench.arguments(verb, url, &disk);
        arguments.extend(ca.clone());
        arguments
    };
    let before = raw_disk::digest_all(&disk).unwrap();
    let stranger = Program::Agent.run(with_ca("write", &other.url())).await.unwrap();
    refused(&stranger, 4);
    assert_eq!(other.sent(), 0);
    let unknown = bench.write(&server.url(), &disk).await;
    refused(&unknown, 4);
    assert_eq!(raw_disk::digest_all(&disk).unwrap(), before);
    let record: Record = Program::Agent.run(with_ca("write", &server.url())).await.unwrap().good().unwrap().json().unwrap();
    proves(&record, &disk);
    Program::Agent.run(with_ca("verify", &server.url())).await.unwrap().good().unwrap();
}

/// Starts a write from a slow server and waits until the disk is no more what it was.
async fn under_way(bench: &Bench, server: &BadServer, disk: &Path) -> tokio::process::Child {
    assert!(raw_disk::bootable(disk).unwrap());
    let child = Program::Agent.command(bench.arguments("write", &server.url(), disk)).unwrap().spawn().unwrap();
    let begun = Instant::now();
    while raw_disk::bootable(disk).unwrap() || server.sent() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

#[tokio::test]
async fn interrupted_it_says_so_and_a_second_run_completes() {
    let bench = Bench::new(48).await;
    let disk = bench.disk(0);
    let server = BadServer::start(&bench.at("store"), Rule::packs(Trouble::Slow(MIB)), None).await.unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        raw_disk::used(&disk, bench.size).unwrap();
        let child = under_way(&bench, &server, &disk).await;
        kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), signal).unwrap();
        let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await.unwrap().unwrap();
        let done = Done {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        refused(&done, 6);
        assert!(!raw_disk::bootable(&disk).unwrap());
        refused(&bench.verify(&bench.store(), &disk).await, 6);
    }
    let record: Record = bench.write(&bench.store(), &disk).await.good().unwrap().json().unwrap();
    proves(&record, &disk);
}

#[tokio::test]
async fn killed_it_leaves_a_disk_that_does_not_boot_and_a_second_run_completes() {
    let bench = Bench::new(48).await;
    let disk = bench.disk(0);
    let server = BadServer::start(&bench.at("store"), Rule::packs(Trouble::Slow(MIB)), None).await.unwrap();
    let mut child = under_way(&bench, &server, &disk).await;
    child.kill().await.unwrap();
    assert!(!raw_disk::bootable(&disk).unwrap());
    let record: Record = bench.write(&bench.store(), &disk).await.good().unwrap().json().unwrap();
    proves(&record, &disk);
    assert_eq!(raw_disk::digest_all(&disk).unwrap(), raw_disk::digest_all(&bench.at("image.raw")).unwrap());
}

#[tokio::test]
async fn a_loop_device_is_a_disk_and_a_mounted_one_is_none() {
    let bench = Bench::new(16).await;
    let file = bench.disk(3 * 1_048_576);
    let device = LoopDevice::attach(&file, 512).unwrap();
    let record: Record = bench.write(&bench.store(), device.path()).await.good().unwrap().json().unwrap();
    proves(&record, device.path());
    raw_disk::check_table(device.path()).unwrap();
    bench.verify(&bench.store(), device.path()).await.good().unwrap();
    drop(device);

    let disk = bench.at("mounted.raw");
    fs::File::create(&disk).unwrap().set_len(bench.size).unwrap();
    let made = std::process::Command::new("mkfs.ext4").arg("-q").arg(&disk).status().unwrap();
    assert!(made.success());
    let device = LoopDevice::attach(&disk, 512).unwrap();
    let folder = bench.at("mount");
    fs::create_dir(&folder).unwrap();
    let mounted = std::process::Command::new("mount").arg(device.path()).arg(&folder).status().unwrap();
    assert!(mounted.success(), "mounting needs root");
    let done = bench.write(&bench.store(), device.path()).await;
    let unmounted = std::process::Command::new("umount").arg(&folder).status().unwrap();
    assert!(unmounted.success());
    let report = refused(&done, 3);
    assert!(report.what.contains("mount"), "{report:?}");
}
