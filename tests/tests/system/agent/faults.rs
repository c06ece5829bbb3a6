//! A sample of the thousand faults of `scripts/bench faults`: no false success, no silence, every message clear, every
//! re-run complete. The seed is fixed, so that the cases are the same each time, as far as the moments of a kill can be.

use std::path::PathBuf;

use livery_tests::{
    faults::{
        catalogue::{Entry, Lane},
        crew::{self, Plan},
        tally::Tally,
    },
    site::Site,
};
use tokio::sync::mpsc;

const SEED: u64 = 20_261_124;

async fn none_of(kinds: Vec<Entry>, count: u64, medium: PathBuf) -> Tally {
    let folder = tempfile::tempdir().unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    let plan = Plan { seed: SEED, cases: (1..=count).collect(), kinds, folder: folder.path().to_owned(), medium };
    let work = tokio::spawn(crew::run(plan, tell));
    let mut tally = Tally::default();
    while let Some(outcome) = told.recv().await {
        tally.count(outcome);
    }
    work.await.unwrap().unwrap();
    println!("{}", tally.table());
    assert!(tally.good(), "\n{}", tally.complaints());
    assert_eq!((tally.all.cases, tally.all.reruns), (count, count));
    assert_eq!((tally.all.false_successes, tally.all.silences), (0, 0));
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_faults_and_no_false_success() {
    let tally = none_of(crew::kinds(&[Lane::Light, Lane::Sleepy, Lane::Loop]), 100, PathBuf::new()).await;
    // A harness that injects nothing would see nothing but successes.
    assert!(tally.all.verified >= 10 && tally.all.clear >= 30, "{}", tally.table());
}

/// The whole of `scripts/bench faults`, of which the one above is a sample.
#[tokio::test(flavor = "multi_thread")]
async fn variant_a_thousand_faults_and_no_false_success() {
    none_of(crew::kinds(&[Lane::Light, Lane::Sleepy, Lane::Loop]), 1000, PathBuf::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_variant_forty_disk_errors_and_a_hundred_power_cuts() {
    let medium = medium().await;
    none_of(crew::kinds(&[Lane::Guest]), 40, medium.clone()).await;
    none_of(crew::kinds(&[Lane::Recorded]), 100, medium).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_disk_errors_and_power_cuts_and_no_false_success() {
    let medium = medium().await;
    none_of(crew::kinds(&[Lane::Guest]), 6, medium.clone()).await;
    none_of(crew::kinds(&[Lane::Recorded]), 20, medium).await;
}

/// The agent's medium, whose kernel and drivers the devices start.
async fn medium() -> PathBuf {
    let site = Site::shared().await.unwrap();
    site.medium().await.unwrap();
    site.folder.join("medium")
}
