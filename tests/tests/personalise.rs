//! `livery personalise` on a built master: an image for each row at the price of kilobytes, and all or nothing.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use livery_tests::{programs::Program, site::Site};

fn bytes_in(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| if entry.path().is_dir() { bytes_in(&entry.path()) } else { entry.metadata().unwrap().len() })
        .sum()
}

/// Needs a built master; in the group of virtual devices, since the first one builds for minutes.
#[tokio::test]
async fn qemu_free_a_row_costs_kilobytes_and_a_bad_roster_nothing() {
    let site = Site::shared().await.unwrap();
    let master = site.build().await.unwrap();
    let before = bytes_in(&site.store());
    let folder = tempfile::tempdir().unwrap();
    let roster = folder.path().join("roster.csv");
    let tag = std::process::id();
    let row = |number: u32| format!("T{tag}-{number},,user{number},Test Person {number},wt-t{tag}-{number},fr_FR.UTF-8,fr\n");
    let header = "order,serial,user,name,hostname,locale,keyboard\n";
    fs::write(&roster, format!("{header}{}{}{}", row(1), row(2), row(3))).unwrap();
    let made = site.personalise(&master, &roster).await.unwrap();
    assert_eq!(made.len(), 3);
    let grown = bytes_in(&site.store()) - before;
    assert!(grown < 3 * (64 << 10) + (256 << 10), "the store grew by {grown} bytes");

    let again = site.personalise(&master, &roster).await.unwrap();
    assert_eq!(again, made);

    // Each is its own row’s.
    let inspect = async |reference: &str| {
        let arguments = ["inspect", reference, "--store", &site.store().display().to_string(), "--json"].map(str::to_owned);
        Program::Livery.run(arguments).await.unwrap().good().unwrap().stdout
    };
    let listed = inspect(&made[0].to_string()).await;
    assert!(listed.contains(&format!("wt-t{tag}-1")), "{listed}");

    // One bad row: no image of any row is there, and the store is what it was.
    let bad = folder.path().join("bad.csv");
    fs::write(&bad, format!("{header}{}{}", row(4), "T 5,,user 5,,WT_5,french,!\n")).unwrap();
    let listing = || async {
        let arguments = ["list", "--store", &site.store().display().to_string(), "--json"].map(str::to_owned);
        Program::Livery.run(arguments).await.unwrap().good().unwrap().stdout
    };
    let (before, size) = (listing().await, bytes_in(&site.store()));
    let (store, keys, bad, master) = (site.store(), site.keys(), bad.display().to_string(), master.to_string());
    let (store, keys) = (store.display().to_string(), keys.display().to_string());
    let arguments = ["personalise", &master, "--roster", &bad, "--store", &store, "--keys", &keys];
    let done = Program::Livery.run(arguments).await.unwrap();
    assert_eq!(done.code, Some(3), "{done:?}");
    for column in ["order", "user", "hostname", "locale", "keyboard"] {
        assert!(done.stderr.contains(&format!("line 3, column {column}")), "{column} in {}", done.stderr);
    }
    assert_eq!(listing().await, before);
    assert_eq!(bytes_in(&site.store()), size);
}
