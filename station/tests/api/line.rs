//! A device on the line, from enrolment to receipt, over real TLS.

use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use livery_contract::{
    Digest, Exit,
    envelope::{Envelope, PublicKey},
    fault::FaultReport,
    record::{Bound, Change},
    wire::{Failure, Phase, Progress, Receipt},
};
use livery_station::{
    orders::{operator, roster},
    station::Settings,
};
use reqwest::StatusCode;
use uuid::Uuid;

use crate::common::{Device, ROSTER, SIZE, TestLine, manifest, master, personal, published, sealed};

#[tokio::test]
async fn from_order_to_receipt() {
    let line = TestLine::start().await;
    let device = Device::new(1, "WT-0001");
    let job = device.job(&line).await;
    assert_eq!((job.order.as_str(), job.image.to_string().as_str()), ("ORD-1", "terminal@1/ORD-1"));
    assert_eq!(job.manifest, Digest::of(&manifest("ORD-1", "wt-0001").to_bytes()));
    assert_eq!(device.job(&line).await, job, "asking again gives the same job");

    let progress = Progress { job: job.id, phase: Phase::Write, done: 1 << 21, total: SIZE, rate: 1 << 20 };
    assert_eq!(line.post("/api/v1/progress", sealed(&progress, &device.key)).await.status(), StatusCode::NO_CONTENT);
    let picture = line.line().await;
    let row = &picture["devices"][0];
    assert_eq!((row["state"].as_str(), row["phase"].as_str(), row["left"].as_u64()), (Some("working"), Some("write"), Some(2)));
    assert_eq!((row["name"].as_str(), row["product"].as_str()), (Some("Marie Durand"), Some("Dell Inc. OptiPlex 3000")));

    let mut record = device.record(&job);
    // The backup partition table, moved to the disk's end.
    record.changed_after =
        vec![Change { reason: "gpt-backup".into(), offset: (8 << 30) - 16896, length: 16896, sha256: Digest::of(b"") }];
    let body = sealed(&record, &device.key);
    let response = line.post("/api/v1/records", body.clone()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let text = response.text().await.unwrap();
    let receipt: Receipt = serde_json::from_str::<Envelope>(&text).unwrap().open(&line.job_key).unwrap();
    assert_eq!((receipt.job, receipt.order.as_str(), receipt.sequence, receipt.record), (job.id, "ORD-1", 1, Digest::of(&body)));

    // Our answer was lost: the same bytes get the same receipt. Another record does not.
    let again = line.post("/api/v1/records", body.clone()).await;
    assert_eq!((again.status(), again.text().await.unwrap()), (StatusCode::CREATED, text));
    record.boot_entry = Some("Boot0004".into());
    let (status, text) = device.send(&line, &record).await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    assert!(text.contains("another record already (#1)"), "{text}");

    let kept = line.get("/api/v1/records/ORD-1").await.text().await.unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["records"][0]["record"]["boot_entry"], "Boot0003");
    assert_eq!(line.get("/api/v1/records/ORD-2").await.status(), StatusCode::NOT_FOUND);
    let picture = line.line().await;
    assert_eq!((picture["counts"]["done_today"].as_i64(), picture["counts"]["open_orders"].as_i64()), (Some(1), Some(2)));
    assert_eq!(picture["devices"][0]["state"], "done");

    // Finished by mistake twice? Only on an operator's word, also after another boot.
    let reason = Device::new(2, "WT-0001").waits(&line).await;
    assert!(reason.contains("ORD-1 is done already (record #1)"), "{reason}");
    operator::reopen(&line.station.database, &"ORD-1".parse().unwrap()).await.unwrap();
    let second = device.job(&line).await;
    assert_ne!(second.id, job.id);
    assert_eq!(device.send(&line, &device.record(&second)).await.0, StatusCode::CREATED);
    line.stop().await;
}

#[tokio::test]
async fn an_unknown_serial_waits_visibly_until_it_has_an_order() {
    let line = TestLine::start().await;
    let device = Device::new(3, "WT-0003");
    assert!(device.waits(&line).await.contains("no order for serial WT-0003 yet"));
    let nameless = Device::new(4, "To be filled by O.E.M.");
    assert!(nameless.waits(&line).await.contains("no serial that identifies this machine"));
    Device::new(5, "Default string").waits(&line).await;
    let picture = line.line().await;
    assert_eq!(picture["counts"]["waiting"], 3, "two machines without a serial are two: {picture}");
    let row = picture["devices"].as_array().unwrap().iter().find(|row| row["serial"] == "WT-0003").unwrap();
    assert_eq!((row["state"].as_str(), row["macs"][0].as_str()), (Some("waiting"), Some("02:00:00:00:00:03")));

    let database = &line.station.database;
    let fault = operator::assign(database, &"ORD-3".parse().unwrap(), "WT-0001").await.unwrap_err();
    assert_eq!(fault.exit(), Exit::Refused, "another open order has it");
    assert!(operator::assign(database, &"ORD-1".parse().unwrap(), "WT-0003").await.is_err(), "it has another device");
    assert!(operator::assign(database, &"ORD-3".parse().unwrap(), "Default string").await.is_err());
    assert!(operator::assign(database, &"ORD-9".parse().unwrap(), "WT-0003").await.is_err());
    operator::assign(database, &"ORD-3".parse().unwrap(), " WT-0003 ").await.unwrap();
    operator::assign(database, &"ORD-3".parse().unwrap(), "WT-0003").await.unwrap();
    assert_eq!(device.job(&line).await.order.as_str(), "ORD-3");
    assert_eq!(line.line().await["counts"]["waiting"], 2);
    line.stop().await;
}

#[tokio::test]
async fn forged_or_stale_messages_are_not_believed() {
    let line = TestLine::start().await;
    let (device, thief) = (Device::new(1, "WT-0001"), SigningKey::from_bytes(&[66; 32]));
    // Signed by another key than it names.
    let enrol = device.enrolment(Timestamp::now());
    assert_eq!(line.post("/api/v1/enrol", sealed(&enrol, &thief)).await.status(), StatusCode::FORBIDDEN);
    // The clock of a device without a battery.
    let late = device.enrolment(Timestamp::now() - SignedDuration::from_mins(20));
    let response = line.post("/api/v1/enrol", sealed(&late, &device.key)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let report: FaultReport = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(report.exit, Exit::Untrusted);
    assert!(report.what.contains("20 minutes behind") && report.fix.unwrap().contains("clock"), "{}", report.what);
    // Neither was kept.
    assert_eq!(line.line().await["devices"].as_array().unwrap().len(), 0);

    let job = device.job(&line).await;
    let progress = Progress { job: job.id, phase: Phase::Done, done: 1, total: 1, rate: 1 };
    assert_eq!(line.post("/api/v1/progress", sealed(&progress, &thief)).await.status(), StatusCode::FORBIDDEN);
    let unknown = Progress { job: Uuid::nil(), ..progress };
    assert_eq!(line.post("/api/v1/progress", sealed(&unknown, &device.key)).await.status(), StatusCode::NOT_FOUND);
    let failure = Failure {
        job: Some(job.id),
        serial: "WT-0001".into(),
        phase: Phase::Write,
        fault: FaultReport { exit: Exit::Device, what: "x".into(), at: None, fix: None },
    };
    assert_eq!(line.post("/api/v1/failures", sealed(&failure, &thief)).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(line.post("/api/v1/records", sealed(&device.record(&job), &thief)).await.status(), StatusCode::FORBIDDEN);
    // A progress message is no record, whoever signed it.
    assert_eq!(line.post("/api/v1/records", sealed(&progress, &device.key)).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(line.line().await["devices"][0]["state"], "working");

    for body in [&b""[..], b"{}", b"[1]", &[0xff; 40]] {
        assert_eq!(line.post("/api/v1/enrol", body.to_vec()).await.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(line.post("/api/v1/enrol", vec![b' '; (64 << 10) + 1]).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(line.post("/api/v1/records", vec![b' '; (2 << 20) + 1]).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    line.stop().await;
}

#[tokio::test]
async fn a_record_must_answer_its_job() {
    let line = TestLine::start().await;
    let (device, other) = (Device::new(1, "WT-0001"), Device::new(2, "WT-0002"));
    let (job, other_job) = (device.job(&line).await, other.job(&line).await);
    let good = device.record(&job);
    type Spoil = fn(&mut livery_contract::record::Record);
    let cases: [(&str, Spoil); 18] = [
        ("image", |r| r.image = "terminal@1/ORD-2".parse().unwrap()),
        ("manifest", |r| r.manifest = Digest::of(b"other")),
        ("order", |r| r.order = Some("ORD-2".parse().unwrap())),
        ("order", |r| r.order = None),
        ("serial", |r| r.system.serial = "WT-0002".into()),
        ("size", |r| r.size += 4096),
        ("read back", |r| drop(r.sections.pop())),
        ("read back", |r| r.sections.clear()),
        ("read back", |r| r.sections[1].offset += 4096),
        // What an auditor sent: a record of a disk that nobody has read.
        ("reads as 0000", |r| r.sections.iter_mut().for_each(|section| section.sha256 = Digest::from_bytes([0; 32]))),
        ("reads as", |r| r.sections.last_mut().unwrap().sha256 = Digest::of(b"another system")),
        ("7 sections, the image 6", |r| r.sections.push(r.sections[5].clone())),
        ("a device key and a tunnel key", |r| {
            let key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=".parse().unwrap();
            r.keys.as_mut().unwrap().tunnel = Some(key);
        }),
        ("no keys", |r| r.keys = None),
        ("another personal layer", |r| r.bound = Some(Bound { identity: Some(Digest::of(b"x")), recovery: None })),
        ("outside the disk", |r| {
            r.changed_after = vec![Change { reason: "x".into(), offset: u64::MAX, length: 2, sha256: Digest::of(b"") }]
        }),
        ("does not hold", |r| r.disk.size = 4096),
        ("times", |r| r.times.verified = r.times.started - SignedDuration::from_secs(1)),
    ];
    for (what, spoil) in cases {
        let mut record = good.clone();
        spoil(&mut record);
        let (status, text) = device.send(&line, &record).await;
        assert_eq!(status, StatusCode::CONFLICT, "{what}: {text}");
        assert!(text.contains(what), "{what}: {text}");
    }
    let mut by_hand = good.clone();
    by_hand.job = None;
    assert_eq!(device.send(&line, &by_hand).await.0, StatusCode::CONFLICT);
    // One device cannot answer another's job.
    let mut stolen = good.clone();
    stolen.job = Some(other_job.id);
    assert_eq!(device.send(&line, &stolen).await.0, StatusCode::FORBIDDEN);
    assert_eq!(line.line().await["counts"]["done_today"], 0);
    assert_eq!(device.send(&line, &good).await.0, StatusCode::CREATED);
    line.stop().await;
}

#[tokio::test]
async fn one_order_is_at_work_on_one_device() {
    let settings = Settings { quiet: SignedDuration::from_millis(700), ..Settings::default() };
    let line = TestLine::start_with(settings).await;
    let (first, second) = (Device::new(1, "WT-0001"), Device::new(2, "WT-0001"));
    let job = first.job(&line).await;
    let reason = second.waits(&line).await;
    assert!(reason.contains("another device with this serial is at work"), "{reason}");
    // Switched off in the middle, and started anew: another key, no operator.
    let fresh = second.job_in_the_end(&line).await;
    assert_ne!(fresh.id, job.id);
    assert_eq!(fresh.device_key, PublicKey::of(&second.key));
    // The first job is void.
    let progress = Progress { job: job.id, phase: Phase::Write, done: 1, total: 2, rate: 1 };
    assert_eq!(line.post("/api/v1/progress", sealed(&progress, &first.key)).await.status(), StatusCode::CONFLICT);
    let (status, text) = first.send(&line, &first.record(&job)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{text}");
    assert_eq!(line.line().await["devices"].as_array().unwrap().len(), 1, "the page shows the one at work");
    line.stop().await;
}

#[tokio::test]
async fn a_failure_is_shown_with_its_fix_and_the_next_boot_goes_on() {
    let line = TestLine::start().await;
    let device = Device::new(1, "WT-0001");
    let job = device.job(&line).await;
    let fault = FaultReport {
        exit: Exit::Device,
        what: "<img src=x onerror=alert(1)> the disk does not hold what was written".into(),
        at: Some("/dev/nvme0n1, bytes 4096-8191".into()),
        fix: Some("replace the disk".into()),
    };
    let failure = Failure { job: Some(job.id), serial: "WT-0001".into(), phase: Phase::Verify, fault: fault.clone() };
    assert_eq!(line.post("/api/v1/failures", sealed(&failure, &device.key)).await.status(), StatusCode::NO_CONTENT);
    let picture = line.line().await;
    let row = &picture["devices"][0];
    assert_eq!(
        (row["state"].as_str(), row["phase"].as_str(), row["fix"].as_str()),
        (Some("failed"), Some("verify"), Some("replace the disk"))
    );
    assert_eq!(picture["counts"]["failed"], 1);
    // Another boot, at once: a job that reported its end blocks nobody.
    let again = Device::new(9, "WT-0001");
    assert_ne!(again.job(&line).await.id, job.id);
    assert_eq!(line.line().await["devices"][0]["state"], "working");

    // A device without a job can say so too, if it has enrolled.
    let lost = Device::new(7, "WT-0777");
    let failure = Failure { job: None, serial: "WT-0777".into(), phase: Phase::Target, fault };
    assert_eq!(line.post("/api/v1/failures", sealed(&failure, &lost.key)).await.status(), StatusCode::NOT_FOUND);
    lost.waits(&line).await;
    assert_eq!(line.post("/api/v1/failures", sealed(&failure, &lost.key)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(line.line().await["counts"]["failed"], 1);
    line.stop().await;
}

#[tokio::test]
async fn imports_are_all_or_nothing_and_idempotent() {
    let line = TestLine::start().await;
    let (database, catalogue) = (&line.station.database, &line.station.catalogue);
    let file = line.top.path().join("next.csv");
    let import = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        roster::import(database, catalogue, &file, &master()).await
    };
    assert_eq!(import(ROSTER).await.unwrap().unchanged, 3);
    // The line gave a serial: the roster without it does not take it away.
    operator::assign(database, &"ORD-3".parse().unwrap(), "WT-0003").await.unwrap();
    assert_eq!(import(ROSTER).await.unwrap().unchanged, 3);

    let head = "order,serial,user,name,hostname,locale,keyboard\n";
    let row = |order: &str, serial: &str, host: &str| format!("{order},{serial},u,U,{host},fr_FR.UTF-8,fr\n");
    let fault = import(&format!("{head}{}{}", row("ORD-8", "", "wt-8"), row("ORD-9", "", "wt-9"))).await.unwrap_err();
    assert_eq!(fault.exit(), Exit::Refused);
    assert!(fault.to_string().contains("ORD-8 is not in the store") && fault.to_string().contains("ORD-9 is not"), "{fault}");
    let fault = import(&format!("{head}{}", row("ORD-1", "WT-0001", "other"))).await.unwrap_err();
    assert!(fault.to_string().contains("made for host name wt-0001"), "{fault}");
    let fault = import(&format!("{head}{}", row("ORD-2", "WT-0001", "wt-0002"))).await.unwrap_err();
    assert!(fault.to_string().contains("two open orders, ORD-1 and ORD-2"), "{fault}");
    assert!(import(&format!("{head}bad row\n")).await.is_err());
    // Two orders may change their devices for one another's.
    let swapped = ROSTER.replace("WT-0001", "X").replace("WT-0002", "WT-0001").replace(",X,", ",WT-0002,");
    assert_eq!(import(&swapped).await.unwrap().updated, 2);

    let job = Device::new(1, "WT-0001").job(&line).await;
    assert_eq!(job.order.as_str(), "ORD-2");
    let fault = import(ROSTER).await.unwrap_err();
    assert!(fault.to_string().contains("order ORD-2 has begun already"), "{fault}");
    assert_eq!(import(&swapped).await.unwrap().unchanged, 3);
    line.stop().await;
}

#[tokio::test]
async fn what_is_published_later_is_found_and_a_foreign_store_is_not_believed() {
    let line = TestLine::start().await;
    let mut newer_master = published();
    newer_master.minimum_disk += 4096;
    let newer = personal(&newer_master, "ORD-1", "wt-0001");
    line.store.publish(2, &[newer.clone(), newer_master]).await;
    assert_eq!(Device::new(1, "WT-0001").job(&line).await.manifest, Digest::of(&newer.to_bytes()));
    let reason = Device::new(2, "WT-0002").waits(&line).await;
    assert!(reason.contains("no image terminal@1/ORD-2"), "{reason}");
    // A byte of the signed metadata changes.
    let path = line.store.folder.join("metadata/timestamp.json");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"version\": 2", "\"version\": 3")
        .replace("\"version\":2", "\"version\":3");
    std::fs::write(&path, text).unwrap();
    let reason = Device::new(2, "WT-0002").waits(&line).await;
    assert!(reason.contains("cannot vouch for"), "{reason}");
    line.stop().await;
}
