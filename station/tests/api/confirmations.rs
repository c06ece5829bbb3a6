//! Devices in use, told by nobody but themselves: what the station believes, what it refuses, and what it shows.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use livery_contract::{
    Digest,
    confirmation::{Confirmation, Finding, MAX_BYTES, SCHEMA, What},
    envelope::{Envelope, PublicKey},
    fault::FaultReport,
    manifest::Manifest,
    record::{Bound, DeviceKeys, Record},
    wire::Receipt,
};
use livery_station::{
    database::{log, orders},
    evidence::audit::audit,
    keys,
    orders::usage::Usage,
};
use reqwest::StatusCode;

use crate::common::{Device, TestLine, manifest, personal, published, sealed};

const PATH: &str = "/api/v1/confirmations";

/// A device that was written, with a key of its own.
struct InUse {
    device: Device,
    key: SigningKey,
}

impl InUse {
    async fn new(line: &TestLine, seed: u8, serial: &str) -> Self {
        let made = Self { device: Device::new(seed, serial), key: SigningKey::from_bytes(&[seed + 100; 32]) };
        made.write(line, &made.key).await;
        made
    }

    /// Writes it, so that it has this key.
    async fn write(&self, line: &TestLine, key: &SigningKey) {
        let job = self.device.job(line).await;
        let record = Record {
            keys: Some(DeviceKeys { device: PublicKey::of(key), tunnel: None, sealed: true }),
            bound: Some(Bound { identity: None, recovery: Some("encrypted".into()) }),
            ..self.device.record(&job)
        };
        let (status, text) = self.device.send(line, &record).await;
        assert_eq!(status, StatusCode::CREATED, "{text}");
    }

    /// What it says where all took effect, but for these.
    fn says(&self, but: &[(What, &str)]) -> Confirmation {
        let root = Digest::of(b"root").to_string();
        let mut found = BTreeMap::from([
            (What::Image, root.as_str()),
            (What::Order, "ORD-1"),
            (What::Hostname, "wt-0001"),
            (What::Locale, "fr_FR.UTF-8"),
            (What::Keyboard, "fr"),
            (What::Timezone, "Europe/Paris"),
            (What::Data, "open"),
            (What::Screen, "active"),
        ]);
        found.extend(but.iter().copied());
        let wanted = |what: What| match what {
            What::Timezone => Some("Europe/Paris".to_owned()),
            What::Screen => Some("active".to_owned()),
            _ => None,
        };
        let findings = found.into_iter().map(|(what, found)| Finding { what, wanted: wanted(what), found: found.into() });
        let at = Timestamp::now();
        Confirmation {
            schema: SCHEMA,
            serial: self.device.serial.clone(),
            booted: at - SignedDuration::from_secs(60),
            at,
            secure_boot: Some(true),
            findings: findings.collect(),
            desk: "0.1.0".into(),
        }
    }

    async fn tells(&self, line: &TestLine, word: &Confirmation) -> (StatusCode, String) {
        send(line, sealed(word, &self.key)).await
    }
}

async fn send(line: &TestLine, body: Vec<u8>) -> (StatusCode, String) {
    let response = line.post(PATH, body).await;
    (response.status(), response.text().await.unwrap())
}

async fn usage(line: &TestLine, order: &str) -> Option<Usage> {
    Usage::of(&orders::get(&mut *line.connection().await, order).await.unwrap().unwrap())
}

async fn rows(line: &TestLine, order: &str) -> usize {
    log::of_order(&mut *line.connection().await, order, log::Kind::Confirmation).await.unwrap().len()
}

#[tokio::test]
async fn a_device_that_says_all_is_well_is_in_use_and_says_so_once() {
    let line = TestLine::start().await;
    let device = InUse::new(&line, 1, "WT-0001").await;
    assert_eq!(usage(&line, "ORD-1").await, None, "written is not in use");
    let (status, text) = device.tells(&line, &device.says(&[])).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    let receipt: Envelope = serde_json::from_str(&text).unwrap();
    let receipt: Receipt = receipt.open(&line.job_key).unwrap();
    assert_eq!((receipt.sequence, receipt.order.as_str()), (2, "ORD-1"));
    assert_eq!(usage(&line, "ORD-1").await.unwrap().text(), "in use");

    // A device that keeps nothing says it again at each start: the same receipt, and no row more.
    for _ in 0..3 {
        let (status, again) = device.tells(&line, &device.says(&[])).await;
        assert_eq!((status, again.as_str()), (StatusCode::OK, text.as_str()));
    }
    assert_eq!(rows(&line, "ORD-1").await, 1);

    let page = line.line().await;
    assert_eq!(page["devices"][0]["use"]["state"], "in-use", "{page}");
    let kept: serde_json::Value = line.get("/api/v1/records/ORD-1").await.json().await.unwrap();
    assert_eq!((kept["use"]["state"].as_str(), kept["records"].as_array().map(Vec::len)), (Some("in-use"), Some(1)));
    assert_eq!(kept["confirmations"][0]["confirmation"]["findings"][0]["what"], "image");
    let done = audit(&line.station.database, &keys::public_keys(&line.keys).unwrap()).await.unwrap();
    assert_eq!((done.records, done.confirmations), (1, 1));

    // Opened again and written once more it is another device: with another key, of which nothing is known.
    livery_station::orders::operator::reopen(&line.station.database, &"ORD-1".parse().unwrap()).await.unwrap();
    let again = SigningKey::from_bytes(&[200; 32]);
    device.write(&line, &again).await;
    assert_eq!(usage(&line, "ORD-1").await, None);
    let (status, text) = device.tells(&line, &device.says(&[])).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "by the key of its earlier life: {text}");
    let (status, text) = send(&line, sealed(&device.says(&[]), &again)).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    audit(&line.station.database, &keys::public_keys(&line.keys).unwrap()).await.unwrap();
    line.stop().await;
}

#[tokio::test]
async fn a_device_may_run_a_newer_image_that_the_store_vouches_for() {
    let line = TestLine::start().await;
    let device = InUse::new(&line, 1, "WT-0001").await;
    let newer = |name: &str, version: &str, root: &[u8]| Manifest {
        name: name.parse().unwrap(),
        version: version.parse().unwrap(),
        personal: None,
        root_hash: Some(Digest::of(root)),
        ..manifest("ORD-1", "wt-0001")
    };
    let all = [
        newer("terminal", "9", b"nine"),
        newer("terminal", "10", b"ten"),
        newer("terminal", "0.5", b"older"),
        newer("laptop", "11", b"another's"),
    ];
    line.store.publish(2, &all).await;
    let runs = async |root: &[u8]| {
        let (status, text) = device.tells(&line, &device.says(&[(What::Image, &Digest::of(root).to_string())])).await;
        assert_eq!(status, StatusCode::CREATED, "{text}");
        usage(&line, "ORD-1").await.unwrap()
    };
    assert_eq!(runs(b"nine").await.text(), "in use; runs terminal@9");
    assert_eq!(runs(b"ten").await.runs.as_deref(), Some("terminal@10"));
    assert_eq!(line.line().await["devices"][0]["use"]["runs"], "terminal@10");
    for root in [b"older".as_slice(), b"another's", b"nobody's"] {
        let usage = runs(root).await;
        assert_eq!((usage.state, usage.runs.as_deref(), usage.words.len()), ("amiss", None, 1), "{usage:?}");
    }
    assert_eq!(runs(b"root").await.text(), "in use", "back on what it was written with");
    line.stop().await;
}

#[tokio::test]
async fn what_did_not_take_is_named() {
    let line = TestLine::start().await;
    let device = InUse::new(&line, 1, "WT-0001").await;
    let other = Digest::of(b"another image").to_string();
    let cases: [(&[(What, &str)], &str); 5] = [
        (&[(What::Keyboard, "us")], "keyboard is us, not fr"),
        (&[(What::Timezone, "UTC")], "timezone is UTC, not Europe/Paris"),
        (&[(What::Screen, "livery-kiosk.service failed")], "screen is livery-kiosk.service failed, not active"),
        (&[(What::Data, "closed"), (What::Hostname, "localhost")], "hostname is localhost, not wt-0001; data is closed, not open"),
        (&[(What::Image, &other)], "image is 4c3c7e9d9fd2, not 4813494d137e"),
    ];
    for (but, words) in cases {
        let (status, text) = device.tells(&line, &device.says(but)).await;
        assert_eq!(status, StatusCode::CREATED, "{text}");
        let said = usage(&line, "ORD-1").await.unwrap();
        assert_eq!(said.state, "amiss");
        if but[0].0 == What::Image {
            assert_eq!(
                said.text(),
                format!("image is {}, not {}", Digest::of(b"another image").short(), Digest::of(b"root").short())
            );
        } else {
            assert_eq!(said.text(), words);
        }
        let page = line.line().await;
        assert_eq!(page["devices"][0]["use"]["words"][0], said.words[0].as_str());
    }
    // What it keeps quiet about did not take either, whatever it says that is wanted.
    let mut quiet = device.says(&[]);
    quiet.findings.retain(|finding| finding.what != What::Locale);
    quiet.findings[0].wanted = Some(quiet.findings[0].found.clone());
    assert_eq!(device.tells(&line, &quiet).await.0, StatusCode::CREATED);
    assert!(usage(&line, "ORD-1").await.unwrap().text().contains("locale should be fr_FR.UTF-8"));
    // Mended, it is in use.
    assert_eq!(device.tells(&line, &device.says(&[])).await.0, StatusCode::CREATED);
    assert_eq!(usage(&line, "ORD-1").await.unwrap().text(), "in use");
    line.stop().await;
}

#[tokio::test]
async fn nobody_else_is_believed_and_nothing_is_lost() {
    let line = TestLine::start().await;
    let device = InUse::new(&line, 1, "WT-0001").await;
    let another = InUse::new(&line, 2, "WT-0002").await;
    let plain = Device::new(3, "WT-0003");
    livery_station::orders::operator::assign(&line.station.database, &"ORD-3".parse().unwrap(), "WT-0003").await.unwrap();
    let keyless = Manifest { keys: None, ..published() };
    line.store.publish(2, &[personal(&keyless, "ORD-3", "wt-0003"), keyless]).await;
    let job = plain.job(&line).await;
    let (status, text) = plain.send(&line, &Record { keys: None, ..plain.record(&job) }).await;
    assert_eq!(status, StatusCode::CREATED, "an image without keys: {text}");
    let good = device.says(&[(What::Keyboard, "us")]);
    assert_eq!(device.tells(&line, &good).await.0, StatusCode::CREATED);
    let before = usage(&line, "ORD-1").await;

    let word = |change: &dyn Fn(&mut Confirmation)| {
        let mut word = device.says(&[]);
        change(&mut word);
        word
    };
    let hours = |hours| SignedDuration::from_hours(hours);
    let signed = |word: &Confirmation| sealed(word, &device.key);
    let text = String::from_utf8(signed(&word(&|_| {}))).unwrap();
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("garbage", b"\0\xff not json".to_vec(), 400, "not a signed envelope"),
        ("another message", sealed(&device.device.enrolment(Timestamp::now()), &device.key), 400, "expected a signed"),
        (
            "one signature too many",
            text.replace("}]", "},{\"keyid\":\"\",\"sig\":\"\"}]").into_bytes(),
            400,
            "not a signed envelope",
        ),
        ("unknown device", signed(&word(&|word| word.serial = "WT-9999".into())), 404, "no record of a device with serial WT-9999"),
        ("no device at all", signed(&word(&|word| word.serial = "Default string".into())), 400, "identifies no machine"),
        ("another device's key", sealed(&word(&|_| {}), &another.key), 403, "not by the trusted key"),
        ("the agent's key", sealed(&word(&|_| {}), &device.device.key), 403, "not by the trusted key"),
        ("for another device", signed(&word(&|word| word.serial = "WT-0002".into())), 403, "not by the trusted key"),
        ("a device without a key", signed(&word(&|word| word.serial = "WT-0003".into())), 409, "names no key"),
        ("of yesterday", signed(&word(&|word| (word.booted, word.at) = (word.at - hours(26), word.at - hours(25)))), 403, "behind"),
        ("of tomorrow", signed(&word(&|word| word.at += hours(25))), 403, "ahead of"),
        ("older than the latest", signed(&word(&|word| word.at = good.at - SignedDuration::from_secs(1))), 409, "something else"),
        ("before it was switched on", signed(&word(&|word| word.booted = word.at + hours(1))), 400, "before its system started"),
        ("nothing", signed(&word(&|word| word.findings.clear())), 400, "says nothing"),
        ("twice", signed(&word(&|word| word.findings.push(word.findings[0].clone()))), 400, "reports twice"),
        ("endless", signed(&word(&|word| word.findings[0].found = "x".repeat(513))), 400, "no text of 1 to 512 bytes"),
        ("oversized", signed(&word(&|word| word.desk = "x".repeat(MAX_BYTES))), 413, "over the limit"),
        ("huge", vec![b' '; 3 << 20], 413, ""),
    ];
    for (name, body, status, words) in cases {
        let (found, text) = send(&line, body).await;
        assert_eq!(found.as_u16(), status, "{name}: {text}");
        if !words.is_empty() {
            let report: FaultReport = serde_json::from_str(&text).unwrap();
            assert!(report.what.contains(words), "{name}: {text}");
        }
        assert_eq!(usage(&line, "ORD-1").await, before, "{name}");
    }
    assert_eq!((rows(&line, "ORD-1").await, rows(&line, "ORD-2").await), (1, 0));
    audit(&line.station.database, &keys::public_keys(&line.keys).unwrap()).await.unwrap();
    line.stop().await;
}

#[tokio::test]
async fn a_retired_device_is_not_heard() {
    let line = TestLine::start().await;
    let device = InUse::new(&line, 1, "WT-0001").await;
    assert_eq!(device.tells(&line, &device.says(&[])).await.0, StatusCode::CREATED);
    livery_station::orders::operator::retire(&line.station.database, &"ORD-1".parse().unwrap()).await.unwrap();
    let (status, text) = device.tells(&line, &device.says(&[(What::Keyboard, "us")])).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
    assert!(text.contains("is retired"), "{text}");
    assert_eq!(rows(&line, "ORD-1").await, 1);
    line.stop().await;
}

#[tokio::test]
async fn a_clock_that_ran_ahead_does_not_silence_a_device() {
    let line = TestLine::start().await;
    let device = InUse::new(&line, 1, "WT-0001").await;
    let mut ahead = device.says(&[(What::Keyboard, "us")]);
    ahead.at += SignedDuration::from_mins(10);
    assert_eq!(device.tells(&line, &ahead).await.0, StatusCode::CREATED);
    // Set right, it says what is true now.
    let (status, text) = device.tells(&line, &device.says(&[])).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    assert_eq!(usage(&line, "ORD-1").await.unwrap().text(), "in use");
    line.stop().await;
}

#[tokio::test]
async fn what_changes_all_the_time_is_bounded() {
    let line = TestLine::start().await;
    let device = InUse::new(&line, 1, "WT-0001").await;
    let mut last = StatusCode::CREATED;
    for number in 0..20 {
        let (status, text) = device.tells(&line, &device.says(&[(What::Hostname, &format!("h-{number}"))])).await;
        last = status;
        if status != StatusCode::CREATED {
            assert!(text.contains("different reports today"), "{text}");
        }
    }
    assert_eq!((last, rows(&line, "ORD-1").await), (StatusCode::TOO_MANY_REQUESTS, 12));
    line.stop().await;
}

#[tokio::test]
async fn an_audit_finds_a_confirmation_that_was_forged() {
    for (sql, words) in [
        ("UPDATE log SET order_id = 'ORD-2' WHERE sequence = 2", "contradict"),
        ("UPDATE log SET kind = 'record' WHERE sequence = 2", "record #2"),
        ("UPDATE log SET kind = 'other' WHERE sequence = 2", "does not know what"),
        ("UPDATE log SET job = 'x/1' WHERE sequence = 2", "no record before it"),
        (
            "UPDATE log SET envelope = CAST(replace(CAST(envelope AS TEXT), '==', '') AS BLOB) || ' ' WHERE sequence = 2",
            "bytes are not",
        ),
    ] {
        let line = TestLine::start().await;
        let device = InUse::new(&line, 1, "WT-0001").await;
        assert_eq!(device.tells(&line, &device.says(&[])).await.0, StatusCode::CREATED);
        let mut connection = line.connection().await;
        sqlx::query("DROP TRIGGER log_no_update").execute(&mut *connection).await.unwrap();
        sqlx::query(sql).execute(&mut *connection).await.unwrap();
        drop(connection);
        let fault = audit(&line.station.database, &keys::public_keys(&line.keys).unwrap()).await.unwrap_err();
        assert!(fault.to_string().contains(words), "{sql}: {fault}");
        line.stop().await;
    }
}
