//! The right disk, or none: for real, in a device with many disks. See livery_tests::right_disk.

use livery_tests::{
    evidence, raw_disk,
    right_disk::{
        cases::{ABSENT, Ask, Case, Outcome, SLOTS, TABLE, Wanted},
        guest,
    },
    site::Site,
    traces::Traces,
};

/// What is wrong with an outcome.
fn wrong(case: &Case, outcome: &Outcome, expected: &[(u64, u64)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut demand = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    match case.wanted {
        Wanted::Refused(words) => {
            demand(outcome.code == Some(3), format!("exit code {:?}", outcome.code));
            for word in words {
                demand(outcome.words.contains(word), format!("it does not say {word:?}"));
            }
            demand(outcome.same, "the disk was changed".into());
            demand(outcome.touched.is_empty(), format!("written to: {:?}", outcome.touched));
            let told = outcome.ask.starts_with("Job").then_some("target");
            demand(outcome.failed_in.as_deref() == told, format!("the station heard of {:?}", outcome.failed_in));
            demand(outcome.record.is_none(), "a record of nothing".into());
        }
        Wanted::Written(node) => {
            demand(outcome.code == Some(0), format!("exit code {:?}", outcome.code));
            demand(outcome.node.starts_with(node), "another name".into());
            demand(outcome.touched == [outcome.node.trim_start_matches("/dev/")], format!("written to: {:?}", outcome.touched));
            let Some(record) = &outcome.record else { return vec!["no record".into()] };
            demand(record.disk.path == outcome.node, format!("the record names {}", record.disk.path));
            demand(record.disk.serial.as_deref() == Some(case.disk), format!("the record's serial is {:?}", record.disk.serial));
            // Only of disks that stay in the machine; and the firmware has kept it.
            let entry = record.boot_entry.as_ref().is_some_and(|name| name.starts_with("Boot0"));
            demand(entry != (case.asks == [Ask::HandRemovable]), format!("boot entry {:?}", record.boot_entry));
            // nvme0n1p1, mmcblk0p1, sda1, vda1
            let name = outcome.node.trim_start_matches("/dev/");
            let between = if name.ends_with(|character: char| character.is_ascii_digit()) { "p" } else { "" };
            let names =
                expected.iter().zip(1..).map(|((start, length), number)| (format!("{name}{between}{number}"), *start, *length));
            demand(names.eq(outcome.partitions.iter().cloned()), format!("partitions {:?}", outcome.partitions));
        }
    }
    wrong
}

#[tokio::test]
async fn qemu_the_right_disk_or_none() {
    let site = Site::shared().await.unwrap();
    site.medium().await.unwrap();
    let folder = Traces::new("disks");
    let over = guest::run(&site, &folder).await.unwrap();
    println!("{} s from power-on to the last case's end", over.took.as_secs());
    let partitions: Vec<(u64, u64)> = raw_disk::check_table(&over.image)
        .unwrap()
        .iter()
        .map(|(first, last, _)| (first * 512, (last + 1 - first) * 512))
        .collect();

    let mut complaints = over.broken.clone();
    for case in TABLE.iter().chain([&ABSENT]) {
        for ask in case.asks {
            let is = |outcome: &&Outcome| outcome.case == case.name && outcome.ask == format!("{ask:?}");
            let [outcome] = over.outcomes.iter().filter(is).collect::<Vec<_>>()[..] else {
                complaints.push(format!("{}, {ask:?}: not run", case.name));
                continue;
            };
            let wrong = wrong(case, outcome, &partitions);
            let verdict = if wrong.is_empty() { "as it must be" } else { "WRONG" };
            println!("{:55} {:27} {:?} {:6} ms  {verdict}", case.name, outcome.ask, outcome.code, outcome.took);
            for what in wrong {
                complaints.push(format!("{}, {ask:?}: {what}\n  {}", case.name, outcome.words.trim()));
            }
        }
    }
    // The last word has what lies on the disks: the records of those that were written, what was there on the others.
    for (slot, path) in SLOTS.iter().zip(&over.disks) {
        let node =
            |outcome: &&Outcome| outcome.record.as_ref().is_some_and(|record| record.disk.serial.as_deref() == Some(slot.serial));
        match over.outcomes.iter().rfind(node).and_then(|outcome| outcome.record.as_ref()) {
            Some(record) => {
                evidence::compare(record, path).unwrap();
            }
            None if ["MIRROR", "HELD", "STALE"].contains(&slot.serial) => {}
            None => {
                let fresh = folder.join("fresh.raw");
                raw_disk::used(&fresh, slot.size).unwrap();
                let (skip, length) = (1 << 20, slot.size - (2 << 20));
                let same = raw_disk::digest(&fresh, skip, length).unwrap() == raw_disk::digest(path, skip, length).unwrap();
                if !same {
                    complaints.push(format!("{} was changed", path.display()));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
