//! The record, sent until the station has it.
//!
//! No record, no ship label: a device says DONE only when it holds the station's signed receipt for exactly the bytes that
//! it sent.

use std::time::Duration;

use livery_contract::{
    Digest, Fault, Result,
    envelope::{Envelope, PublicKey},
    job::Job,
    record::Record,
    wire::{Phase, Receipt},
};

use crate::{
    console::Console,
    station::{client::Station, patience::Patience},
    work::progress::Progress,
};

/// Sends the record until the station has it, and checks its receipt.
///
/// # Errors
/// Exit 5 where the station stays away for longer than `give_up_after`, 4 for a receipt that is not for this record.
pub(crate) async fn record(
    station: &Station,
    job: &Job,
    job_key: &PublicKey,
    record: &Record,
    give_up_after: Option<Duration>,
    console: &Console,
    progress: &Progress,
) -> Result<Receipt> {
    progress.enter(Phase::Report, 0);
    // An Ed25519 signature is deterministic: sent again, it is the same envelope, byte for byte.
    let who = "the station (the disk is good, but do not ship the device without a record)";
    let (bytes, sent) =
        Patience::new(give_up_after).ask(who, console, async || station.send("api/v1/records", record).await).await?;
    receipt(&bytes, job, job_key, &sent)
}

fn receipt(bytes: &[u8], job: &Job, job_key: &PublicKey, sent: &Digest) -> Result<Receipt> {
    let envelope: Envelope =
        serde_json::from_slice(bytes).map_err(|error| Fault::untrusted("the station's receipt does not parse").cause(error))?;
    let receipt: Receipt = envelope.open(job_key)?;
    if receipt.job != job.id || receipt.order != job.order || receipt.record != *sent {
        return Err(Fault::untrusted("the station's receipt belongs to another record")
            .at(format!("order {}, record {}", receipt.order, receipt.record))
            .fix("do not ship the device; check the station's log, then start again"));
    }
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ed25519_dalek::SigningKey;
    use jiff::Timestamp;
    use livery_contract::job::SCHEMA;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_receipt_counts_only_for_what_was_sent() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let public = PublicKey::of(&key);
        let job = Job {
            schema: SCHEMA,
            id: Uuid::from_u128(1),
            serial: "S".into(),
            device_key: public,
            order: "ORD-1".parse().unwrap(),
            image: "t@1".parse().unwrap(),
            manifest: Digest::of(b""),
            disk: Default::default(),
            issued: Timestamp::now(),
            expires: Timestamp::now(),
        };
        let sent = Digest::of(b"sent");
        let good = Receipt { job: job.id, order: job.order.clone(), sequence: 1, record: sent, at: Timestamp::now() };
        let check = |receipt: &Receipt, key: &SigningKey| {
            super::receipt(&serde_json::to_vec(&Envelope::sign(receipt, key)).unwrap(), &job, &public, &sent)
        };
        assert_eq!(check(&good, &key).unwrap(), good);
        assert!(check(&good, &SigningKey::from_bytes(&[2; 32])).is_err());
        assert!(check(&Receipt { record: Digest::of(b"other"), ..good.clone() }, &key).is_err());
        assert!(check(&Receipt { order: "ORD-2".parse().unwrap(), ..good.clone() }, &key).is_err());
        assert!(super::receipt(b"accepted", &job, &public, &sent).is_err());
    }
}
