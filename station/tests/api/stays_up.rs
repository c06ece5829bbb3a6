//! A station that stays up: a disk that was full, connections that only stand there, a device that is lost.

use std::time::Duration;

use livery_station::{evidence::audit::audit, keys, orders::operator};
use reqwest::StatusCode;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use crate::common::{Device, TestLine};

/// So many connections the database's pool has.
const POOL: usize = 8;

/// Lets each pooled connection believe that the disk has so many pages (`SQLITE_FULL` comes from this as from a full disk).
async fn room(line: &TestLine, pages: u32) {
    let mut all = Vec::new();
    for _ in 0..POOL {
        all.push(line.connection().await);
    }
    for connection in &mut all {
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(sql).execute(&mut **connection).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_costs_no_restart() {
    let line = TestLine::start().await;
    assert_eq!(line.get("/healthz").await.status(), StatusCode::OK);
    room(&line, 1).await;
    // Twice the pool: whichever connection it is, it meets the end of the disk.
    let mut refused = 0;
    for seed in 0..2 * POOL {
        let device = Device::new(u8::try_from(seed).unwrap() + 30, &format!("WT-09{seed:02}"));
        let mut enrol = device.enrolment(jiff::Timestamp::now());
        // More than a page that is there has room for.
        enrol.inventory.disks = vec![device.disk(); 60];
        let answer = line.post("/api/v1/enrol", crate::common::sealed(&enrol, &device.key)).await;
        refused += usize::from(answer.status() == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(refused > 0, "the disk was full");
    room(&line, 1 << 30).await;
    for seed in 0..2 * POOL {
        let device = Device::new(u8::try_from(seed).unwrap() + 60, &format!("WT-08{seed:02}"));
        assert!(device.waits(&line).await.contains("no order for serial"));
    }
    let device = Device::new(1, "WT-0001");
    let job = device.job(&line).await;
    assert_eq!(device.send(&line, &device.record(&job)).await.0, StatusCode::CREATED);
    // What was found of the database is remembered for a second.
    let healthy = async {
        while line.get("/healthz").await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), healthy).await.expect("it stays ill");
    audit(&line.station.database, &keys::public_keys(&line.keys).unwrap()).await.unwrap();
    line.stop().await;
}

#[tokio::test]
async fn who_only_connects_is_sent_away_and_keeps_nobody_out() {
    let line = TestLine::start().await;
    let address = line.url.strip_prefix("https://").unwrap().to_owned();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let device = Device::new(1, "WT-0001");
    timeout(Duration::from_secs(10), device.job(&line)).await.expect("a device is served beside three hundred that say nothing");
    // Each of them is sent away in the end, without a word from it.
    for stream in &mut silent {
        let mut byte = [0];
        let end = timeout(Duration::from_secs(30), stream.read(&mut byte)).await.expect("it is held for ever");
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    line.stop().await;
}

#[tokio::test]
async fn a_serial_that_comes_again_and_again_costs_one_row() {
    let line = TestLine::start().await;
    for seed in 0..20 {
        Device::new(seed + 30, "WT-0777").waits(&line).await;
    }
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM devices").fetch_one(&mut *line.connection().await).await.unwrap();
    assert_eq!(rows, 1);
    line.stop().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_vouched_for_is_not_ready() {
    let line = TestLine::start().await;
    assert_eq!(line.get("/readyz").await.status(), StatusCode::OK);
    std::fs::write(line.store.folder.join("metadata/timestamp.json"), "{}").unwrap();
    assert_eq!(line.get("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(line.get("/healthz").await.status(), StatusCode::OK, "devices at work go on");
    line.stop().await;
}

#[tokio::test]
async fn a_lost_device_is_believed_no_more() {
    let line = TestLine::start().await;
    let (device, order) = (Device::new(1, "WT-0001"), "ORD-1".parse().unwrap());
    let database = &line.station.database;
    assert_eq!(operator::retire(database, &order).await.unwrap_err().exit().code(), 3, "nothing was written yet");
    let job = device.job(&line).await;
    assert_eq!(device.send(&line, &device.record(&job)).await.0, StatusCode::CREATED);
    operator::retire(database, &order).await.unwrap();
    operator::retire(database, &order).await.unwrap();
    assert!(device.waits(&line).await.contains("reported lost"));
    // Found again, it is written anew.
    operator::reopen(database, &order).await.unwrap();
    let again = Device::new(2, "WT-0001");
    let job = again.job(&line).await;
    assert_eq!(again.send(&line, &again.record(&job)).await.0, StatusCode::CREATED);
    assert_eq!(audit(database, &keys::public_keys(&line.keys).unwrap()).await.unwrap().records, 2);
    line.stop().await;
}
