//! `livery recover`: the recovery key of a device's data partition, from the record that its agent left at the station.

use std::path::Path;

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::{Fault, Result, envelope::Envelope, record::Record};
use serde::Serialize;
use x509_parser::pem::Pem;

use super::keys::RECOVERY_KEY;

/// The most bytes of a file with a record in it.
const MOST: u64 = 4 << 20;

/// Where a record comes from.
const WHICH: &str = "give the station's answer at /api/v1/records/ORDER, or its RECORD file";

/// A recovery key, and whose device it opens.
#[derive(Debug, Serialize)]
pub(crate) struct Recovered {
    /// The device's serial number.
    pub(crate) serial: String,
    /// The order that it was made for.
    pub(crate) order: Option<String>,
    /// The key, as it is typed on the device.
    pub(crate) key: String,
}

/// Reads the key. `record` is a file with a record, as the station gives it: signed or plain.
///
/// # Errors
/// Exit 2 where a file can't be read, 3 where the record has no recovery key, 4 where the private key is not the one that it was
/// encrypted to.
pub(crate) fn recover(keys: &Path, record: &Path) -> Result<Recovered> {
    let unreadable = |path: &Path, error| Fault::usage("the file can't be read").at(path.display()).cause(error);
    let bytes = super::read(record, MOST).map_err(|error| unreadable(record, error).fix(WHICH))?;
    let found =
        parse(&bytes).ok_or_else(|| Fault::refused("the file does not hold a device's record").at(record.display()).fix(WHICH))?;
    let lacking = || {
        Fault::refused(format!("the record of device {:?} has no recovery key", found.system.serial))
            .at(record.display())
            .fix("its image has no data partition, or the device had no TPM; see `bound` in the record")
    };
    let sealed = found.bound.as_ref().and_then(|bound| bound.recovery.as_ref()).ok_or_else(lacking)?;
    let path = keys.join(RECOVERY_KEY);
    let pem = super::read(&path, MOST).map_err(|error| {
        unreadable(&path, error).fix("give the folder with recovery.key, which `livery keygen` made, with --keys")
    })?;
    let wrong = |what: &str| Fault::refused(what.to_owned()).at(path.display());
    let block = Pem::iter_from_buffer(&pem).next().and_then(std::result::Result::ok);
    let block = block.filter(|block| block.label == "PRIVATE KEY").ok_or_else(|| wrong("not a private key (PKCS #8, PEM)"))?;
    let key = PrivateDecryptingKey::from_pkcs8(&block.contents).map_err(|_| wrong("not an RSA private key (PKCS #8, PEM)"))?;
    let key = OaepPrivateDecryptingKey::new(key).map_err(|_| wrong("the key does not decrypt"))?;
    let untrusted = || {
        Fault::untrusted("the recovery key was encrypted to another key")
            .at(format!("{}, {}", record.display(), path.display()))
            .fix("use the pair whose recovery.pem was in the key folder when the device's master was built")
    };
    let sealed = BASE64_STANDARD.decode(sealed).map_err(|_| untrusted())?;
    let mut room = vec![0; key.min_output_size()];
    let plain = key.decrypt(&OAEP_SHA256_MGF1SHA256, &sealed, &mut room, None).map_err(|_| untrusted())?;
    let key = String::from_utf8(plain.to_vec()).map_err(|_| untrusted())?;
    Ok(Recovered { serial: found.system.serial, order: found.order.map(|order| order.to_string()), key })
}

/// A record in a file: as such, in its signed envelope, or as a member of the station's answer.
fn parse(bytes: &[u8]) -> Option<Record> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    if let Ok(record) = serde_json::from_value::<Record>(value.clone()) {
        return Some(record);
    }
    // Who signed it does not matter here: a wrong key opens nothing.
    if let Some(record) = serde_json::from_value::<Envelope>(value.clone()).ok().and_then(|envelope| envelope.peek().ok()) {
        return Some(record);
    }
    // The station's answer for an order: all its records, the latest first.
    let record = value.get("records").map_or_else(|| value.get("record"), |records| records.get(0)?.get("record"))?;
    serde_json::from_value(record.clone()).ok()
}
