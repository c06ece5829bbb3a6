//! `livery personalise` on a built master: an image for each row at the price of kilobytes, and all or nothing.

use std::{fs, path::Path, process::Stdio, time::Duration};

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
async fn image_a_row_costs_kilobytes_and_a_bad_roster_nothing() {
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

/// Whatever the moment: a store has all images of a roster, or none; and the next run completes it.
#[tokio::test]
async fn image_a_killed_run_leaves_the_store_as_it_was_or_complete() {
    const ROWS: usize = 1500;
    let site = Site::shared().await.unwrap();
    let master = site.build().await.unwrap().to_string();
    let folder = tempfile::tempdir_in(site.folder.join("..")).unwrap();
    let (store, roster) = (folder.path().join("store"), folder.path().join("roster.csv"));
    // Its files are never changed in place, so links to them will do.
    let mut copy = tokio::process::Command::new("cp");
    copy.arg("-al").arg(site.store()).arg(&store);
    livery_tests::programs::run(copy, "cp", Duration::from_secs(60)).await.unwrap().good().unwrap();
    let rows: String = (0..ROWS).map(|n| format!("K-{n},user{n},Person {n},wt-k{n},fr_FR.UTF-8,fr\n")).collect();
    fs::write(&roster, format!("order,user,name,hostname,locale,keyboard\n{rows}")).unwrap();
    let (store, roster, keys) = (store.display().to_string(), roster.display().to_string(), site.keys().display().to_string());
    let arguments = ["personalise", &master, "--roster", &roster, "--store", &store, "--keys", &keys];
    // Opening the store checks all its signatures.
    let images = || async {
        let listed = Program::Livery.run(["list", "--store", &store, "--json"]).await.unwrap().good().unwrap().stdout;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let orders = listed["images"].as_array().unwrap().iter().filter(|image| image["image"].as_str().unwrap().contains("/K-"));
        orders.count()
    };
    let mut killed = 0;
    for wait in [50, 200, 400, 700, 1000, 1400, 1900, 2500, 3200, 4000, 5000] {
        let mut command = Program::Livery.command(arguments).unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        if tokio::time::timeout(Duration::from_millis(wait), child.wait()).await.is_err() {
            child.kill().await.unwrap();
            killed += 1;
        }
        let there = images().await;
        assert!([0, ROWS].contains(&there), "{there} images after {wait} ms");
        if there == ROWS {
            break;
        }
    }
    assert!(killed > 0, "it was never killed");
    let done = Program::Livery.run_within(arguments, Duration::from_secs(120)).await.unwrap().good().unwrap();
    assert_eq!((done.stdout.lines().count(), images().await), (ROWS, ROWS));
}
