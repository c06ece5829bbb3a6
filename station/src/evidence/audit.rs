//! `livery-station audit`: does the log still say what was accepted?
//!
//! Goes through every row: the sequence has no gap, the digest is that of the bytes, the chain goes on, the receipt and
//! the job bear the station's signature, the record bears that of the device which the job names, a confirmation that of the key which
//! the record names, and the columns repeat what is signed. Then: no job counts a record that the log lacks, and the triggers are there. What this cannot see is
//! the log cut off together with all that points at it: for that, compare `head` with one noted earlier.

use std::collections::HashMap;

use livery_contract::{
    Digest, Fault, Result,
    envelope::{Envelope, PublicKey},
    job::Job,
    record::Record,
    wire::Receipt,
};
use serde::Serialize;

use super::{chain, confirmations};
use crate::database::{
    Database,
    log::{self, Entry, Kind},
    meant,
};

/// Rows that are read at once.
const PAGE: i64 = 200;
/// How many findings are spelt out.
const MOST: usize = 50;

/// A log in which everything holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// How many records.
    pub records: u64,
    /// How many confirmations.
    pub confirmations: u64,
    /// The chain over all of them: note it elsewhere, to prove later that nothing before was changed or cut off.
    pub head: Digest,
}

/// Checks the whole log against the station's public keys.
///
/// # Errors
/// `Untrusted`, with every finding.
pub async fn audit(database: &Database, keys: &[PublicKey]) -> Result<Audit> {
    let mut connection = database.connection().await?;
    let mut findings = Vec::new();
    let (mut last, mut head, mut records, mut confirmations) = (0, chain::start(), HashMap::new(), 0);
    loop {
        let page = log::after(&mut connection, last, PAGE).await?;
        let Some(end) = page.last().map(|entry| entry.sequence) else { break };
        for entry in &page {
            check(entry, last + 1, &mut head, (keys, &mut records), &mut findings);
            last = entry.sequence;
            confirmations += u64::from(Kind::of(entry) == Some(Kind::Confirmation));
        }
        last = end;
    }
    for (order, record) in log::missing(&mut connection).await? {
        findings.push(format!("order {order} was completed by record #{record}, which the log does not have"));
    }
    let triggers = log::triggers(&mut connection).await?;
    for trigger in log::TRIGGERS.iter().filter(|trigger| !triggers.iter().any(|there| there == *trigger)) {
        findings.push(format!("the trigger {trigger}, which protects the log, is gone"));
    }
    if findings.is_empty() {
        return Ok(Audit { records: records.len() as u64, confirmations, head });
    }
    let mut what =
        format!("the log of records is not intact: {} finding{}", findings.len(), if findings.len() == 1 { "" } else { "s" });
    for finding in findings.iter().take(MOST) {
        what.push_str(&format!("\n  {finding}"));
    }
    if findings.len() > MOST {
        what.push_str(&format!("\n  and {} more", findings.len() - MOST));
    }
    Err(Fault::untrusted(what).fix("keep this database unchanged as evidence, and restore the last good copy"))
}

/// The records so far that hold, by their job.
type Records = HashMap<String, Record>;

fn check(
    entry: &Entry,
    expected: i64,
    head: &mut Digest,
    (keys, records): (&[PublicKey], &mut Records),
    findings: &mut Vec<String>,
) {
    let mut found = |what: String| findings.push(format!("record #{}: {what}", entry.sequence));
    if entry.sequence != expected {
        found(format!("#{expected} was expected here: rows are missing"));
    }
    let digest = Digest::of(&entry.envelope);
    if entry.digest != digest.to_string() {
        found("its bytes are not those that were accepted".into());
    }
    if entry.previous != head.to_string() {
        found("the chain breaks: this row or one before was changed".into());
    }
    *head = chain::link(head, &digest);
    if let Err(what) = signatures(entry, &digest, keys, records) {
        found(what);
    }
}

/// Whether all that is signed holds, and the columns repeat it.
fn signatures(entry: &Entry, digest: &Digest, keys: &[PublicKey], records: &mut Records) -> Result<(), String> {
    let text = |what: &str, fault: &dyn std::fmt::Display| format!("{what}: {fault}");
    let ours = |what: &str, json: &str| serde_json::from_str::<Envelope>(json).map_err(|error| text(what, &error));
    let receipt = ours("its receipt", &entry.receipt)?;
    let receipt: Receipt = keys.iter().find_map(|key| receipt.open(key).ok()).ok_or("its receipt is not signed by this station")?;
    let job = ours("its job", &entry.job_envelope)?;
    let job: Job = keys.iter().find_map(|key| job.open(key).ok()).ok_or("its job is not signed by this station")?;
    let receipt_fits = receipt.sequence == meant(entry.sequence)
        && receipt.record == *digest
        && receipt.job == job.id
        && receipt.order == job.order
        && receipt.at.as_millisecond() == entry.accepted_at
        && entry.order_id == job.order.as_str()
        && entry.serial == job.serial;
    if !receipt_fits {
        return Err("record, job, receipt and columns contradict each other".into());
    }
    match Kind::of(entry) {
        Some(Kind::Record) => {}
        Some(Kind::Confirmation) => {
            let of = entry.job.rsplit_once('/').map_or("", |(job, _)| job);
            let record =
                records.get(of).filter(|_| of == job.id.to_string()).ok_or("there is no record before it that it confirms")?;
            return confirmations::fits(entry, record);
        }
        None => return Err(format!("this release does not know what a {:?} is", entry.kind)),
    }
    let record: Envelope = serde_json::from_slice(&entry.envelope).map_err(|error| text("its envelope", &error))?;
    let record: Record = record.open(&job.device_key).map_err(|fault| text("its envelope", &fault))?;
    let fits = record.job == Some(job.id)
        && record.order.as_ref() == Some(&job.order)
        && record.manifest == job.manifest
        && entry.job == job.id.to_string();
    if !fits {
        return Err("record, job, receipt and columns contradict each other".into());
    }
    records.insert(entry.job.clone(), record);
    Ok(())
}
