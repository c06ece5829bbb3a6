//! The line from outside: agents that are given wrong jobs, devices that nobody ordered, orders that are imported twice.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use livery_contract::{
    Digest,
    envelope::{Envelope, PublicKey},
    fault::FaultReport,
    inventory::{Firmware, Inventory, System},
    job::{Job, SCHEMA},
    wire::{Enrol, EnrolAnswer},
};
use livery_tests::{
    false_station::FalseStation,
    line::{self, Line},
    programs::{Done, Program, run},
    site::Site,
};
use tokio::process::Command;
use uuid::Uuid;

/// What an agent on this host needs to start, and a place for it.
struct Bench {
    folder: tempfile::TempDir,
    key: SigningKey,
}

impl Bench {
    async fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), key: SigningKey::from_bytes(&[42; 32]) };
        let keys = bench.at("keys").display().to_string();
        Program::Livery.run(["keygen", "--out", &keys]).await.unwrap().good().unwrap();
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self, station: &str) -> Vec<String> {
        let job_key = PublicKey::of(&self.key).to_string();
        [
            "run",
            "--json",
            "--station",
            station,
            "--ca",
            &self.at("ca/ca.pem").display().to_string(),
            "--job-key",
            &job_key,
            "--trust",
            &self.at("keys/root.json").display().to_string(),
            "--fail-hold",
            "0",
            "--give-up-after",
            "5",
            "--after",
            "stay",
            "--after-failure",
            "stay",
            "--boot-entry",
            "false",
        ]
        .map(str::to_owned)
        .into()
    }

    /// An agent on a machine that has a serial number, and no disks: what this host is must not matter, and none of its
    /// disks may ever come near a job. In a sandbox, `/sys` is the one of such a machine.
    async fn agent(&self, station: &str) -> Done {
        let sys = self.at("sys");
        let id = sys.join("class/dmi/id");
        fs::create_dir_all(&id).unwrap();
        fs::create_dir_all(sys.join("block")).unwrap();
        fs::create_dir_all(sys.join("class/net")).unwrap();
        for (name, value) in [("sys_vendor", "Dell Inc."), ("product_name", "Wyse 5070"), ("product_serial", "WT5070-0009")] {
            fs::write(id.join(name), format!("{value}\n")).unwrap();
        }
        let mut command = Command::new("bwrap");
        command.args(["--dev-bind", "/", "/", "--ro-bind"]).arg(&sys).args(["/sys", "--die-with-parent", "--"]);
        command.arg(Program::Agent.path().unwrap()).args(self.arguments(station)).stdin(Stdio::null()).kill_on_drop(true);
        run(command, "livery-agent", Duration::from_secs(120)).await.unwrap()
    }

    /// Gives an agent this job.
    async fn offer(&self, job: impl Fn(&Enrol) -> Job + Send + Sync + 'static, key: SigningKey) -> (Done, FalseStation) {
        let make = move |enrol: &Enrol| EnrolAnswer::Job { job: Envelope::sign(&job(enrol), &key) };
        let station = FalseStation::start(&self.at("ca"), make).await.unwrap();
        let done = self.agent(&station.url()).await;
        (done, station)
    }
}

/// A job that would be right, were there a store behind it.
fn job(enrol: &Enrol) -> Job {
    let now = Timestamp::now();
    Job {
        schema: SCHEMA,
        id: Uuid::new_v4(),
        serial: enrol.inventory.system.serial.clone(),
        device_key: enrol.key,
        order: "ORD-1".parse().unwrap(),
        image: "terminal@1/ORD-1".parse().unwrap(),
        manifest: Digest::of(b"none"),
        // So that no disk of this host could ever be meant.
        disk: livery_contract::job::DiskHints { serial: Some("no disk has this serial".into()), ..Default::default() },
        issued: now,
        expires: now + SignedDuration::from_hours(1),
    }
}

/// The agent said FAILED with this code, on its console, as an event, and to the station.
fn refused(done: &Done, station: &FalseStation, code: u8, words: &str) {
    assert_eq!(done.code, Some(i32::from(code)), "{done:?}");
    assert!(done.stderr.contains("FAILED"), "{done:?}");
    let events: Vec<serde_json::Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed = events.iter().find(|event| event["event"] == "failed").unwrap();
    let fault: FaultReport = serde_json::from_value(failed["fault"].clone()).unwrap();
    assert!(fault.what.contains(words), "{words:?} in {fault:?}");
    assert!(!events.iter().any(|event| event["event"] == "done"), "{done:?}");
    let told = station.failures();
    assert_eq!(told.len(), 1, "the station was told");
    assert_eq!((&told[0].fault, told[0].serial.as_str()), (&fault, "WT5070-0009"));
}

#[tokio::test]
async fn a_job_for_another_serial_is_refused() {
    let bench = Bench::new().await;
    let (done, station) = bench.offer(|enrol| Job { serial: "ANOTHER-1".into(), ..job(enrol) }, bench.key.clone()).await;
    refused(&done, &station, 4, "the job is for serial ANOTHER-1");
}

#[tokio::test]
async fn a_job_of_another_boot_is_refused() {
    let bench = Bench::new().await;
    let other = PublicKey::of(&SigningKey::from_bytes(&[7; 32]));
    let (done, station) = bench.offer(move |enrol| Job { device_key: other, ..job(enrol) }, bench.key.clone()).await;
    refused(&done, &station, 4, "another boot");
}

#[tokio::test]
async fn a_job_by_another_key_is_refused() {
    let bench = Bench::new().await;
    let (done, station) = bench.offer(job, SigningKey::from_bytes(&[1; 32])).await;
    refused(&done, &station, 4, "not by the trusted key");
}

#[tokio::test]
async fn an_old_job_is_refused() {
    let bench = Bench::new().await;
    let old = |enrol: &Enrol| Job {
        issued: Timestamp::now() - SignedDuration::from_hours(3),
        expires: Timestamp::now() - SignedDuration::from_hours(2),
        ..job(enrol)
    };
    let (done, station) = bench.offer(old, bench.key.clone()).await;
    refused(&done, &station, 4, "valid from");
}

#[tokio::test]
async fn an_agent_without_an_order_waits_and_says_why() {
    let bench = Bench::new().await;
    let asked = std::sync::atomic::AtomicU32::new(0);
    let key = bench.key.clone();
    let make = move |enrol: &Enrol| {
        // Twice there is no order; then one for another device comes, which ends the test as any wrong job does.
        if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 {
            return EnrolAnswer::Waiting { reason: "no order for serial WT5070-0009 yet".into(), retry_after: 1 };
        }
        EnrolAnswer::Job { job: Envelope::sign(&Job { serial: "ANOTHER-1".into(), ..job(enrol) }, &key) }
    };
    let station = FalseStation::start(&bench.at("ca"), make).await.unwrap();
    let done = bench.agent(&station.url()).await;
    assert!(done.stderr.contains("no order for serial WT5070-0009 yet"), "{done:?}");
    assert_eq!(station.enrolled().len(), 3);
    refused(&done, &station, 4, "the job is for serial ANOTHER-1");
}

#[tokio::test]
async fn a_station_by_another_authority_is_refused() {
    let bench = Bench::new().await;
    let station = FalseStation::start(&bench.at("other-ca"), |enrol| EnrolAnswer::Job {
        job: Envelope::sign(&job(enrol), &SigningKey::from_bytes(&[42; 32])),
    })
    .await
    .unwrap();
    livery_tests::gateway::pki::identity(&bench.at("ca"), "Some station", &["127.0.0.1".into()]).unwrap();
    let done = bench.agent(&station.url()).await;
    assert!(matches!(done.code, Some(4 | 5)), "{done:?}");
    assert!(station.enrolled().is_empty(), "it told a stranger who it is");
}

/// A device, as its agent would enrol it.
fn enrol(serial: &str, key: &SigningKey) -> Envelope {
    let enrol = Enrol {
        key: PublicKey::of(key),
        inventory: Inventory {
            system: System {
                manufacturer: "Dell Inc.".into(),
                product: "Wyse 5070".into(),
                serial: serial.into(),
                uuid: String::new(),
            },
            firmware: Firmware { uefi: true, secure_boot: Some(false) },
            disks: Vec::new(),
            nics: Vec::new(),
        },
        agent: "0".into(),
        at: Timestamp::now(),
    };
    Envelope::sign(&enrol, key)
}

async fn ask(line: &Line, envelope: &Envelope) -> EnrolAnswer {
    let body = serde_json::to_string(envelope).unwrap();
    let answer = line.client().unwrap().post(line.url("/api/v1/enrol")).body(body).send().await.unwrap();
    let answer = answer.error_for_status().unwrap().text().await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// Needs a built master; in the group of virtual devices, since the first one builds for minutes.
#[tokio::test]
async fn image_unknown_devices_wait_visibly_until_they_are_ordered() {
    let site = Site::shared().await.unwrap();
    let master = site.build().await.unwrap();
    site.personalise(&master, &site.roster()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let line = Line::start(&site, folder.path(), None).await.unwrap();
    let key = SigningKey::from_bytes(&[9; 32]);
    let employee = site.employees().unwrap().remove(0);
    let serial = employee.serial.unwrap();

    let EnrolAnswer::Waiting { reason, retry_after } = ask(&line, &enrol(&serial, &key)).await else { panic!("a job for nobody") };
    assert!(reason.contains(&serial) && retry_after > 0, "{reason}");
    let devices = line.devices().await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!((devices[0]["state"].as_str(), devices[0]["serial"].as_str()), (Some("waiting"), Some(serial.as_str())));
    let picture = folder.path().join("line.png");
    line.picture(&picture).await.unwrap();
    assert!(livery_tests::picture::Picture::read(&picture).unwrap().colours() > 8);

    // The roster comes while the device stands there; imported twice, it is the same.
    for _ in 0..2 {
        line::import(&site, line.database(), &site.roster(), &master).await.unwrap();
    }
    let EnrolAnswer::Job { job } = ask(&line, &enrol(&serial, &key)).await else { panic!("no job") };
    let station: PublicKey = fs::read_to_string(site.station_keys().join("job.pub")).unwrap().parse().unwrap();
    let job: Job = job.open(&station).unwrap();
    job.check(&serial, &PublicKey::of(&key), Timestamp::now()).unwrap();
    assert_eq!(job.order, employee.order);

    // A placeholder identifies no machine, whatever the roster says.
    let other = SigningKey::from_bytes(&[10; 32]);
    let EnrolAnswer::Waiting { reason, .. } = ask(&line, &enrol("Default string", &other)).await else { panic!("a job for many") };
    assert!(reason.contains("identifies"), "{reason}");

    // Another roster that gives the same order to another device contradicts.
    let wrong = folder.path().join("wrong.csv");
    let text = fs::read_to_string(site.roster()).unwrap().replacen(&serial, "SOMETHING-ELSE", 1);
    fs::write(&wrong, text).unwrap();
    assert!(line::import(&site, line.database(), &wrong, &master).await.is_err());
}
