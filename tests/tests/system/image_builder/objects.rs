//! A store in an object store: written from, resumed, looked at; and each way in which an object store refuses, lies, breaks
//! off or falls silent.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::object_server::{ACCESS_KEY, Manner, ObjectServer, SECRET_KEY};
use livery_contract::{chunkmap::ChunkMap, digest::Blob, fault::FaultReport, manifest::Manifest, record::Record};
use livery_tests::{
    bad_server::{BadServer, Part, Rule, Trouble},
    evidence,
    programs::{self, Done, Program},
    raw_disk,
};
use tokio::process::{Child, Command};

const MIB: u64 = 1 << 20;
const REFERENCE: &str = "imported@1";
const STORE: &str = "s3://images/lines/paris";
const OPEN: Manner = Manner { public: false, hides_absence: false, slow: Duration::ZERO };

/// A folder of buckets; in the bucket `images` lies a store with one imported image.
struct Bench {
    folder: tempfile::TempDir,
    size: u64,
    /// What the programs' environment says: `AWS_…`.
    variables: Vec<(String, String)>,
}

impl Bench {
    async fn new(mib: u64) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), size: mib * MIB, variables: Vec::new() };
        raw_disk::make(&bench.at("image.raw"), mib, 7).unwrap();
        let (raw, store, keys) = (bench.text("image.raw"), bench.text("buckets/images/lines/paris"), bench.text("keys"));
        Program::Livery.run(["keygen", "--out", &keys]).await.unwrap().good().unwrap();
        let import = ["import", &raw, "--name", "imported", "--version", "1", "--store", &store, "--keys", &keys];
        Program::Livery.run(import).await.unwrap().good().unwrap();
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    async fn serve(&mut self, port: u16, manner: Manner, ca: Option<&str>) -> ObjectServer {
        let ca = ca.map(|name| self.at(name));
        let server = ObjectServer::start(&self.at("buckets"), port, manner, ca.as_deref()).await.unwrap();
        self.environment(&server.endpoint(), &[("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]);
        server
    }

    fn environment(&mut self, endpoint: &str, variables: &[(&str, &str)]) {
        self.variables =
            variables.iter().chain([&("AWS_ENDPOINT_URL", endpoint)]).map(|(k, v)| ((*k).into(), (*v).into())).collect();
    }

    /// With these variables and no others that an object store could have.
    fn command(&self, program: Program, arguments: &[String]) -> Command {
        let mut command = program.command(arguments).unwrap();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.envs(self.variables.iter().cloned());
        command
    }

    async fn run(&self, program: Program, arguments: &[String]) -> Done {
        programs::run(self.command(program, arguments), program.name(), Duration::from_secs(240)).await.unwrap()
    }

    fn arguments(&self, verb: &str, from: &str, disk: &Path) -> Vec<String> {
        let (trust, disk) = (self.text("keys/root.json"), disk.display().to_string());
        [verb, REFERENCE, "--from", from, "--trust", &trust, "--disk", &disk, "--json"].map(str::to_owned).into()
    }

    async fn write(&self, from: &str, disk: &Path) -> Done {
        self.run(Program::Agent, &self.arguments("write", from, disk)).await
    }

    async fn verify(&self, from: &str, disk: &Path) -> Done {
        self.run(Program::Agent, &self.arguments("verify", from, disk)).await
    }

    /// A disk that an earlier owner used.
    fn disk(&self) -> PathBuf {
        self.disk_named("disk.raw")
    }

    fn disk_named(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        raw_disk::used(&path, self.size).unwrap();
        path
    }

    /// It is the image, and the record says what is so.
    fn proves(&self, done: Done, disk: &Path) -> Record {
        let record: Record = done.good().unwrap().json().unwrap();
        evidence::compare(&record, disk).unwrap();
        assert_eq!(raw_disk::digest_all(disk).unwrap(), raw_disk::digest_all(&self.at("image.raw")).unwrap());
        record
    }

    /// Refused before anything was touched: the disk is bit for bit what it was.
    async fn untouched(&self, from: &str, code: u8) -> FaultReport {
        let disk = self.disk();
        let before = raw_disk::digest_all(&disk).unwrap();
        let done = self.write(from, &disk).await;
        assert_eq!(raw_disk::digest_all(&disk).unwrap(), before, "the disk was touched: {done:?}");
        refused(&done, code)
    }

    /// Given up half-way: the disk does not boot; or nothing of it was touched yet.
    async fn half_way(&self, name: &str, code: u8) -> FaultReport {
        let disk = self.disk_named(name);
        let before = raw_disk::digest_all(&disk).unwrap();
        let report = refused(&self.write(STORE, &disk).await, code);
        let touched = raw_disk::digest_all(&disk).unwrap() != before;
        assert!(!(touched && raw_disk::bootable(&disk).unwrap()), "half of an image boots: {report:?}");
        report
    }

    fn store(&self, path: &str) -> PathBuf {
        self.at("buckets/images/lines/paris").join(path)
    }

    fn blob(&self, blob: &Blob) -> PathBuf {
        let digest = blob.digest.to_string();
        self.store("blobs/sha256").join(&digest[..2]).join(digest)
    }

    fn map(&self) -> Blob {
        let named = |path: &PathBuf| path.display().to_string().ends_with(".imported@1.json");
        let manifest = fs::read_dir(self.store("targets")).unwrap().map(|entry| entry.unwrap().path()).find(named).unwrap();
        Manifest::parse(&fs::read(manifest).unwrap()).unwrap().layers[0].chunk_map
    }

    fn pack(&self) -> Blob {
        ChunkMap::decode(&fs::read(self.blob(&self.map())).unwrap()).unwrap().packs[0]
    }

    /// Starts a write and waits until so many ranges have come and the disk is no more what it was.
    async fn under_way(&self, server: &ObjectServer, disk: &Path, ranges: u64) -> Child {
        assert!(raw_disk::bootable(disk).unwrap());
        let child = self.command(Program::Agent, &self.arguments("write", STORE, disk)).spawn().unwrap();
        let begun = Instant::now();
        while raw_disk::bootable(disk).unwrap() || server.ranges() < ranges {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was written");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child
    }
}

/// It was refused with this code, said why on standard error and as JSON, and reported nothing as done.
fn refused(done: &Done, code: u8) -> FaultReport {
    assert_eq!(done.code, Some(i32::from(code)), "{done:?}");
    assert!(done.stderr.contains("error: ") && !done.stderr.contains("done:"), "{done:?}");
    #[derive(serde::Deserialize)]
    struct Said {
        error: FaultReport,
    }
    let said: Said = done.json().unwrap();
    assert_eq!(said.error.exit.code(), code);
    said.error
}

#[tokio::test]
async fn an_image_is_written_from_a_bucket_and_nothing_is_fetched_twice() {
    let mut bench = Bench::new(48).await;
    let _server = bench.serve(0, OPEN, None).await;
    let disk = bench.disk();
    let first = bench.proves(bench.write(STORE, &disk).await, &disk);
    assert!(first.traffic.fetched > MIB, "{:?}", first.traffic);
    bench.verify(STORE, &disk).await.good().unwrap();
    let again = bench.proves(bench.write(STORE, &disk).await, &disk);
    assert_eq!((again.traffic.fetched, again.traffic.written), (0, 0), "{:?}", again.traffic);
}

#[tokio::test]
async fn a_killed_run_is_resumed() {
    let mut bench = Bench::new(160).await;
    let disk = bench.disk();
    let slow = bench.serve(0, Manner { slow: Duration::from_millis(300), ..OPEN }, None).await;
    // Half of some 84 requests: of those that were made at most 28 are under way. Much less is not worth a look to the
    // next run.
    let mut child = bench.under_way(&slow, &disk, 70).await;
    child.kill().await.unwrap();
    assert!(!raw_disk::bootable(&disk).unwrap());
    drop(slow);
    let _server = bench.serve(0, OPEN, None).await;
    let resumed = bench.proves(bench.write(STORE, &disk).await, &disk);
    raw_disk::used(&disk, bench.size).unwrap();
    let whole = bench.proves(bench.write(STORE, &disk).await, &disk);
    assert!(resumed.traffic.kept > 0, "{:?}", resumed.traffic);
    assert!(resumed.traffic.fetched < whole.traffic.fetched, "{:?}, all: {:?}", resumed.traffic, whole.traffic);
}

#[tokio::test]
async fn an_object_store_that_goes_and_comes_back_is_waited_for() {
    let mut bench = Bench::new(64).await;
    let disk = bench.disk();
    let server = bench.serve(0, Manner { slow: Duration::from_millis(300), ..OPEN }, None).await;
    let port = server.port();
    let child = bench.under_way(&server, &disk, 3).await;
    drop(server);
    // As long as it is away.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let server = bench.serve(port, OPEN, None).await;
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.unwrap().unwrap();
    let done = Done {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(done.stderr.contains("the source failed; trying again"), "it was not gone: {done:?}");
    assert!(server.ranges() > 0);
    bench.proves(done, &disk);
}

#[tokio::test]
async fn a_public_bucket_needs_no_credentials() {
    let mut bench = Bench::new(12).await;
    let server = bench.serve(0, Manner { public: true, ..OPEN }, None).await;
    bench.environment(&server.endpoint(), &[]);
    let disk = bench.disk();
    bench.proves(bench.write(STORE, &disk).await, &disk);
}

#[tokio::test]
async fn who_may_read_but_not_list_can_write_too() {
    let mut bench = Bench::new(12).await;
    let _server = bench.serve(0, Manner { hides_absence: true, ..OPEN }, None).await;
    let disk = bench.disk();
    bench.proves(bench.write(STORE, &disk).await, &disk);
    let report = bench.untouched("s3://images/lines/rome", 5).await;
    assert!(report.fix.unwrap().contains("s3:GetObject"));
}

#[tokio::test]
async fn by_the_right_authority_only() {
    let mut bench = Bench::new(12).await;
    let server = bench.serve(0, OPEN, Some("ca")).await;
    let disk = bench.disk();
    let unknown = bench.untouched(STORE, 4).await;
    assert!(unknown.what.contains("certificate"), "{unknown:?}");
    let with = |ca: &str| {
        let mut arguments = bench.arguments("write", STORE, &disk);
        arguments.extend(["--ca".into(), bench.text(ca)]);
        arguments
    };
    let done = bench.run(Program::Agent, &with("ca/ca.pem")).await;
    bench.proves(done, &disk);
    // Another object store by the same name, vouched for by somebody else.
    let arguments = with("ca/ca.pem");
    let port = server.port();
    let ranges = server.ranges();
    assert!(ranges > 0);
    drop(server);
    let other = again(&mut bench, port, Some("other-ca")).await;
    assert_eq!(refused(&bench.run(Program::Agent, &arguments).await, 4).exit.code(), 4);
    assert_eq!(other.ranges(), 0);
}

/// On a port that was in use a moment ago.
async fn again(bench: &mut Bench, port: u16, ca: Option<&str>) -> ObjectServer {
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not stop");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.serve(port, OPEN, ca).await
}

#[tokio::test]
async fn what_is_refused_says_how_to_mend_it() {
    let mut bench = Bench::new(12).await;
    let server = bench.serve(0, OPEN, None).await;
    let endpoint = server.endpoint();
    let (id, secret) = (("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY));
    for (variables, code, hint) in [
        (vec![id, ("AWS_SECRET_ACCESS_KEY", "another-secret")], 5, "AWS_SECRET_ACCESS_KEY"),
        (vec![("AWS_ACCESS_KEY_ID", "NOBODY"), secret], 5, "AWS_ACCESS_KEY_ID"),
        (vec![], 5, "set AWS_ACCESS_KEY_ID"),
        (vec![id], 2, "set both"),
        (vec![("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")], 2, "export-credentials"),
    ] {
        bench.environment(&endpoint, &variables);
        let report = bench.untouched(STORE, code).await;
        assert!(report.fix.as_deref().unwrap_or_default().contains(hint), "{variables:?}: {report:?}");
    }
    bench.environment("http://minio.factory.example:9000", &[id, secret]);
    assert!(bench.untouched(STORE, 2).await.fix.unwrap().contains("https"));
    bench.environment(&endpoint, &[id, secret]);
    let report = bench.untouched("s3://nowhere/lines/paris", 5).await;
    assert!(report.what.contains("no bucket nowhere") && report.fix.is_some(), "{report:?}");
    let report = bench.untouched("s3://images/lines/rome", 5).await;
    assert!(report.what.contains("this is not a store") && report.what.contains("s3://images/lines/rome/"), "{report:?}");
    drop(server);
    let report = bench.untouched(STORE, 5).await;
    assert!(report.what.contains("does not answer") && report.at.unwrap().contains(&endpoint));
}

/// What is wrong with the pack of an image, and what comes of it.
async fn bad_pack(code: u8, words: &[&str], harm: impl FnOnce(&Path, &Blob)) {
    let mut bench = Bench::new(24).await;
    let _server = bench.serve(0, OPEN, None).await;
    let pack = bench.pack();
    let path = bench.blob(&pack);
    let good = fs::read(&path).unwrap();
    harm(&path, &pack);
    let report = bench.half_way("disk.raw", code).await;
    assert!(words.iter().any(|words| report.what.contains(words)), "{report:?}");
    assert!(report.at.as_deref().unwrap_or_default().contains("s3://images/lines/paris/blobs/"), "it says which: {report:?}");
    // Mended, it completes.
    fs::write(&path, &good).unwrap();
    let disk = bench.at("disk.raw");
    bench.proves(bench.write(STORE, &disk).await, &disk);
}

#[tokio::test]
async fn a_pack_that_is_flipped_cut_or_missing_is_refused() {
    tokio::join!(
        bad_pack(4, &["digest", "frame"], |path, pack| raw_disk::flip(path, pack.length / 2).unwrap()),
        bad_pack(5, &["ends at byte", "shorter"], |path, pack| {
            fs::File::options().write(true).open(path).unwrap().set_len(pack.length / 2).unwrap();
        }),
        bad_pack(5, &["pack is missing from the store"], |path, _| fs::remove_file(path).unwrap()),
    );
}

#[tokio::test]
async fn a_missing_or_flipped_chunk_map_is_refused() {
    let mut bench = Bench::new(12).await;
    let _server = bench.serve(0, OPEN, None).await;
    let map = bench.map();
    raw_disk::flip(&bench.blob(&map), map.length / 2).unwrap();
    bench.untouched(STORE, 4).await;
    fs::remove_file(bench.blob(&map)).unwrap();
    assert!(bench.untouched(STORE, 5).await.what.contains("is missing from the store"));
}

/// An object store that is no good: requests as for a good one, answers by [`BadServer`].
async fn bad(bench: &mut Bench, rule: Rule) -> BadServer {
    let server = BadServer::start(&bench.at("buckets"), rule, None).await.unwrap();
    let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    bench.environment(server.url().trim_end_matches('/'), &keys);
    server
}

#[tokio::test]
async fn wrong_answers_are_no_data() {
    let mut bench = Bench::new(12).await;
    let mut runs = Vec::new();
    for trouble in [
        Trouble::Status(500),
        Trouble::Status(503),
        Trouble::Page,
        Trouble::NoRanges,
        Trouble::WrongRange,
        Trouble::Break,
        Trouble::Endless,
        Trouble::Redirect(9),
    ] {
        let server = bad(&mut bench, Rule::packs(trouble)).await;
        let disk = bench.disk_named(&format!("disk-{}.raw", runs.len()));
        let before = raw_disk::digest_all(&disk).unwrap();
        let command = bench.command(Program::Agent, &bench.arguments("write", STORE, &disk));
        runs.push((trouble, server, (disk, before), programs::run(command, "livery-agent", Duration::from_secs(120))));
    }
    let runs: Vec<_> = runs.into_iter().map(|(trouble, server, disk, run)| (trouble, server, disk, tokio::spawn(run))).collect();
    for (trouble, server, (disk, before), run) in runs {
        let done = run.await.unwrap().unwrap();
        let report = refused(&done, 5);
        assert!(report.at.is_some_and(|at| at.contains("blobs/sha256")) && report.fix.is_some(), "{trouble:?}: {done:?}");
        assert!(server.sent() > 0, "{trouble:?}: no pack was asked for");
        let touched = raw_disk::digest_all(&disk).unwrap() != before;
        assert!(!(touched && raw_disk::bootable(&disk).unwrap()), "{trouble:?}: half of an image boots");
    }
}

#[tokio::test]
async fn one_answer_that_stalls_is_made_good() {
    let mut bench = Bench::new(12).await;
    let _server = bad(&mut bench, Rule::once(Trouble::Stall)).await;
    let disk = bench.disk();
    let begun = Instant::now();
    let done = bench.write(STORE, &disk).await;
    assert!(begun.elapsed() > Duration::from_secs(15), "it did not stall");
    bench.proves(done, &disk);
}

/// No chunk map comes: given up in bounded time, before anything was touched.
async fn silent(what: Trouble, words: &str) {
    let mut bench = Bench::new(12).await;
    let _server = bad(&mut bench, Rule { part: Part::Map, ..Rule::packs(what) }).await;
    let begun = Instant::now();
    let report = bench.untouched(STORE, 5).await;
    assert!(begun.elapsed() < Duration::from_secs(45), "{what:?}: it took {:?}", begun.elapsed());
    assert!(report.what.contains(words) && report.fix.is_some(), "{what:?}: {report:?}");
}

#[tokio::test]
async fn silence_and_trickling_are_given_up() {
    tokio::join!(
        silent(Trouble::Stall, "does not answer"),
        silent(Trouble::StallHalf, "broke"),
        silent(Trouble::Trickle, "too slow")
    );
}

#[tokio::test]
async fn no_secret_is_logged() {
    let mut bench = Bench::new(12).await;
    let server = bench.serve(0, OPEN, None).await;
    let token = "session-token-of-the-test";
    for (secret, code) in [(SECRET_KEY, 0), ("another-secret-of-the-test", 5)] {
        let keys = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_SESSION_TOKEN", token)];
        bench.environment(&server.endpoint(), &keys);
        bench.variables.push(("LIVERY_LOG".into(), "trace".into()));
        let disk = bench.disk();
        let done = bench.write(STORE, &disk).await;
        assert_eq!(done.code, Some(code), "{done:?}");
        assert!(done.stderr.contains("TRACE"), "nothing is logged: {done:?}");
        let all = format!("{}{}", done.stdout, done.stderr);
        for hidden in [secret, token, "Signature="] {
            assert!(!all.contains(hidden), "{hidden} is shown: {:.2000}", &all[all.find(hidden).unwrap().saturating_sub(300)..]);
        }
    }
}

#[tokio::test]
async fn it_can_be_looked_at() {
    let mut bench = Bench::new(16).await;
    let _server = bench.serve(0, OPEN, None).await;
    let trust = bench.text("keys/root.json");
    let ask = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let list = bench.run(Program::Livery, &ask(&["list", "--store", STORE, "--trust", &trust])).await.good().unwrap();
    assert!(list.stdout.contains(REFERENCE), "{list:?}");
    let inspect = ask(&["inspect", REFERENCE, "--store", STORE, "--trust", &trust, "--json"]);
    let inspected = bench.run(Program::Livery, &inspect).await.good().unwrap();
    assert!(inspected.stdout.contains("esp"), "{inspected:?}");
    let copy = bench.text("copy.raw");
    bench.run(Program::Livery, &ask(&["export", REFERENCE, &copy, "--store", STORE, "--trust", &trust])).await.good().unwrap();
    assert_eq!(raw_disk::digest_all(Path::new(&copy)).unwrap(), raw_disk::digest_all(&bench.at("image.raw")).unwrap());
    let untrusting = bench.run(Program::Livery, &ask(&["list", "--store", STORE])).await;
    assert_eq!(untrusting.code, Some(2), "{untrusting:?}");
    assert!(untrusting.stderr.contains("--trust"), "{untrusting:?}");
}
