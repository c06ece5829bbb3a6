//! The log of records: nothing changes it, and whoever goes around that is found out.

use livery_station::{
    database::{Database, Open},
    evidence::audit::audit,
    keys,
};
use reqwest::StatusCode;

use crate::common::{Device, TestLine};

async fn two_records() -> TestLine {
    let line = TestLine::start().await;
    for (seed, serial) in [(1, "WT-0001"), (2, "WT-0002")] {
        let device = Device::new(seed, serial);
        let job = device.job(&line).await;
        assert_eq!(device.send(&line, &device.record(&job)).await.0, StatusCode::CREATED);
    }
    line
}

#[tokio::test]
async fn the_log_only_grows() {
    let line = two_records().await;
    let mut connection = line.connection().await;
    for sql in [
        "UPDATE log SET order_id = 'ORD-9'",
        "UPDATE log SET sequence = 7 WHERE sequence = 2",
        "DELETE FROM log WHERE sequence = 2",
        "DELETE FROM log",
        "INSERT OR REPLACE INTO log SELECT sequence, kind, job, 'ORD-9', serial, envelope, digest, previous, job_envelope, receipt, accepted_at FROM log WHERE sequence = 2",
        "REPLACE INTO log SELECT 3, kind, job, order_id, serial, envelope, digest, previous, job_envelope, receipt, accepted_at FROM log WHERE sequence = 2",
        "INSERT INTO log SELECT 9, kind, 'x', order_id, serial, envelope, 'x', previous, job_envelope, receipt, accepted_at FROM log WHERE sequence = 2",
    ] {
        let error = sqlx::query(sql).execute(&mut *connection).await.unwrap_err().to_string();
        assert!(error.contains("the log of records"), "{sql}: {error}");
    }
    drop(connection);
    let public = keys::public_keys(&line.keys).unwrap();
    let first = audit(&line.station.database, &public).await.unwrap();
    assert_eq!(first.records, 2);
    // Another station's key does not vouch for this log.
    let other = line.top.path().join("other");
    keys::generate(&other, &["s.example".into()]).unwrap();
    assert_eq!(audit(&line.station.database, &keys::public_keys(&other).unwrap()).await.unwrap_err().exit().code(), 4);
    line.stop().await;
}

#[tokio::test]
async fn an_audit_finds_what_was_changed_around_the_triggers() {
    let cases = [
        (
            "a byte of a record",
            "UPDATE log SET envelope = CAST(replace(CAST(envelope AS TEXT), 'payload', 'peyload') AS BLOB) WHERE sequence = 1",
            "bytes are not those",
        ),
        ("a column", "UPDATE log SET order_id = 'ORD-3' WHERE sequence = 1", "contradict"),
        ("the time", "UPDATE log SET accepted_at = accepted_at - 1000 WHERE sequence = 2", "contradict"),
        ("the chain", "UPDATE log SET previous = digest WHERE sequence = 2", "chain breaks"),
        ("a receipt", "UPDATE log SET receipt = (SELECT receipt FROM log WHERE sequence = 2) WHERE sequence = 1", "contradict"),
        ("the first row", "DELETE FROM log WHERE sequence = 1", "rows are missing"),
        ("the last row", "DELETE FROM log WHERE sequence = 2", "which the log does not have"),
        ("only the triggers", "SELECT 1", "is gone"),
    ];
    for (what, sql, finding) in cases {
        let line = two_records().await;
        let (top, url, keys) = line.stop().await;
        let database = Database::open(&url, Open::Existing).await.unwrap();
        let public = keys::public_keys(&keys).unwrap();
        audit(&database, &public).await.unwrap();
        let mut connection = database.connection().await.unwrap();
        for trigger in ["log_no_update", "log_no_delete"] {
            sqlx::query(sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}"))).execute(&mut *connection).await.unwrap();
        }
        sqlx::query(sql).execute(&mut *connection).await.unwrap();
        drop(connection);
        let fault = audit(&database, &public).await.unwrap_err();
        assert_eq!(fault.exit().code(), 4);
        assert!(fault.to_string().contains(finding), "{what}: {fault}");
        drop(top);
    }
}
