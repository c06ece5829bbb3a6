//! The whole way on virtual devices with real firmware, and devices on which the agent must give up.
#![allow(clippy::unwrap_used)]

use std::{path::PathBuf, time::Duration};

use livery_tests::{
    device::Device,
    line::Line,
    picture::Picture,
    raw_disk,
    site::Site,
    whole_way::{Stage, whole_way},
};

fn out(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../out/tests")).join(name)
}

#[tokio::test]
async fn qemu_the_whole_way() {
    let begun = std::time::Instant::now();
    let mut tell = |stage: &Stage| {
        eprintln!("{:>6} s  {} ({} s): {}", begun.elapsed().as_secs(), stage.name, stage.seconds, stage.result);
    };
    if let Err(fault) = whole_way(&out("whole-way"), &mut tell).await {
        panic!("{}", fault.render());
    }
}

#[tokio::test]
async fn qemu_a_disk_too_small_is_refused_on_screen_and_at_the_station() {
    let site = Site::shared().await.unwrap();
    let master = site.build().await.unwrap();
    site.personalise(&master, &site.roster()).await.unwrap();
    site.medium().await.unwrap();
    let folder = out("too-small");
    let _ = std::fs::remove_dir_all(&folder);
    let employee = site.employees().unwrap().remove(1);
    let serial = employee.serial.unwrap();
    let line = Line::start(&site, &folder.join("station"), Some((&site.roster(), &master))).await.unwrap();
    let device = Device::new(&folder.join("device"), &serial, 64 << 20).unwrap();
    raw_disk::used(&device.disk, 64 << 20).unwrap();
    let before = raw_disk::digest_all(&device.disk).unwrap();

    let (mut guest, flashed) = device.flash(&site.stick(), line.address()).await.unwrap();
    assert!(!flashed.done, "{}", flashed.console);
    assert!(flashed.said.contains(&serial) && flashed.said.contains("target"), "{}", flashed.said);
    assert!(flashed.console.contains("no disk of this device may be written"), "{}", flashed.console);
    // Also the stick, for two reasons; one of them only the firmware knows. Without the block's frame and its line breaks.
    let words: Vec<&str> = flashed.console.split(['|', ' ', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    let words = words.join(" ");
    assert!(words.contains("on USB") && words.contains("the medium that this machine was booted from"), "{}", flashed.console);
    let screen = folder.join("failed.png");
    guest.screenshot(&screen).await.unwrap();
    assert!(Picture::read(&screen).unwrap().shows_block(), "the operator can't see it: {}", screen.display());
    assert!(guest.ended().unwrap().is_none(), "it stays on, so that somebody reads it");

    let mut devices = Vec::new();
    for _ in 0..50 {
        devices = line.devices().await.unwrap();
        if devices.iter().any(|row| row["state"] == "failed") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let row = devices.iter().find(|row| row["serial"] == serial.as_str()).unwrap();
    assert_eq!(row["state"], "failed", "{row}");
    assert!(row["reason"].as_str().unwrap().contains("no disk"), "{row}");
    assert!(line.record(&employee.order).await.is_err(), "no record without a write");
    guest.cut_power().await.unwrap();
    assert_eq!(raw_disk::digest_all(&device.disk).unwrap(), before, "the disk was touched");
}
