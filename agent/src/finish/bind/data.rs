//! The data partition: LUKS2, its volume key made here and known to nobody, opened by this machine's TPM or by a recovery key that only
//! the organisation can read.
//!
//! The header is made in a file in memory and then written like everything else, so that no other program writes to the disk that was
//! verified. The file system in it is made by the device itself when it first opens it (systemd-makefs(8)).

use std::{fs, io::Write as _, os::unix::fs::FileExt as _};

use livery_contract::{
    Fault, Result,
    manifest::{Data, Manifest, Role},
};

use super::{escrow, tool::Tool};
use crate::fit::patch::Patch;

/// Makes headers and shows them.
pub(crate) const FORMAT: Tool = Tool("cryptsetup");
/// Adds what opens them.
pub(crate) const ENROL: Tool = Tool("systemd-cryptenroll");
/// Bytes of a LUKS2 header as cryptsetup makes it: two metadata areas and the key slots (LUKS2 On-Disk Format 1.1.4, chapter 2).
const HEADER: u64 = 16 << 20;
/// Only in memory: what lies here is gone with the power.
const MEMORY: &str = "/dev/shm";
/// Bytes of the passphrase that the header is made with, and that is wiped from it again.
const PASSPHRASE: usize = 64;

#[derive(Debug)]
pub(crate) struct Made {
    /// Its header, for its place on the disk.
    pub header: Patch,
    /// The recovery key, encrypted to the organisation.
    pub recovery: String,
}

/// Makes the header.
///
/// # Errors
/// Exit 4 where the organisation's key is none, 6 where a tool or the TPM fails.
pub(crate) fn make(data: &Data, manifest: &Manifest) -> Result<Made> {
    let partition = manifest.partition(Role::Data).ok_or_else(|| Fault::internal("a manifest without its data partition"))?;
    if partition.length <= HEADER {
        return Err(Fault::untrusted(format!("a data partition of {} bytes is too small for its header", partition.length))
            .fix("build the master again"));
    }
    let failed = |error: std::io::Error| Fault::device("the header of the data partition can't be made").cause(error);
    let folder = tempfile::Builder::new().prefix("livery-").tempdir_in(MEMORY).map_err(failed)?;
    let (image, passphrase) = (folder.path().join("data.img"), folder.path().join("passphrase"));
    fs::File::create(&image).and_then(|file| file.set_len(HEADER + (1 << 20))).map_err(failed)?;
    let mut secret = [0; PASSPHRASE];
    getrandom::fill(&mut secret).map_err(|error| Fault::internal("the kernel did not provide random numbers").cause(error))?;
    fs::File::create(&passphrase).and_then(|mut file| file.write_all(&secret)).map_err(failed)?;

    let (key_file, unlock) =
        (format!("--key-file={}", passphrase.display()), format!("--unlock-key-file={}", passphrase.display()));
    let uuid = format!("--uuid={}", data.luks_uuid);
    // The passphrase has 512 random bits and lives for a second: stretching it would cost a gibibyte of memory for nothing.
    let format = ["luksFormat", "--batch-mode", "--type=luks2", &uuid, "--cipher=aes-xts-plain64", "--key-size=512"];
    let cheap = ["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", &key_file];
    FORMAT.run_on(&[&format[..], &cheap[..]].concat(), &image)?;
    // PCR 7: what the firmware trusts. Another boot path, or Secure Boot switched off, does not open it.
    ENROL.run_on(&[&unlock, "--tpm2-device=auto", "--tpm2-pcrs=7"], &image)?;
    let key = ENROL.run_on(&[&unlock, "--recovery-key"], &image)?;
    let key = String::from_utf8(key).map_err(|_| Fault::device("systemd-cryptenroll did not print a recovery key"))?;
    let recovery = escrow::encrypt(key.trim().as_bytes(), &data.recovery)?;
    ENROL.run_on(&[&unlock, "--wipe-slot=password"], &image)?;
    check(&FORMAT.run_on(&["luksDump", "--dump-json-metadata"], &image)?)?;

    let mut bytes = vec![0; usize::try_from(HEADER).map_err(|_| Fault::internal("a small number"))?];
    fs::File::open(&image).and_then(|file| file.read_exact_at(&mut bytes, 0)).map_err(failed)?;
    let reason = "LUKS2 header of the data partition, made on this machine";
    Ok(Made { header: Patch { reason, offset: partition.offset, bytes }, recovery })
}

/// What opens it: the TPM, and the recovery key. Nothing else, and not one of them less.
fn check(metadata: &[u8]) -> Result<()> {
    let wrong = |what: &str| Fault::device(format!("the header of the data partition is wrong: {what}"));
    let value: serde_json::Value = serde_json::from_slice(metadata).map_err(|error| wrong("it does not parse").cause(error))?;
    let slots = value["keyslots"].as_object().map_or(0, serde_json::Map::len);
    let tokens = value["tokens"].as_object().into_iter().flat_map(serde_json::Map::values);
    let mut kinds: Vec<&str> = tokens.filter_map(|token| token["type"].as_str()).collect();
    kinds.sort_unstable();
    if slots != 2 || kinds != ["systemd-recovery", "systemd-tpm2"] {
        return Err(wrong(&format!("{slots} key slots, for {}", kinds.join(", "))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn just_tpm_and_recovery_key_may_open_it() {
        let header = |slots: &[&str], kinds: &[&str]| {
            let slots: serde_json::Map<_, _> = slots.iter().map(|slot| ((*slot).to_owned(), serde_json::json!({}))).collect();
            let tokens: serde_json::Map<_, _> =
                (0..).zip(kinds).map(|(number, kind)| (i32::to_string(&number), serde_json::json!({"type": kind}))).collect();
            serde_json::to_vec(&serde_json::json!({"keyslots": slots, "tokens": tokens})).unwrap()
        };
        check(&header(&["1", "2"], &["systemd-tpm2", "systemd-recovery"])).unwrap();
        for bad in [
            header(&["0", "1", "2"], &["systemd-tpm2", "systemd-recovery"]),
            header(&["1"], &["systemd-tpm2"]),
            header(&["1", "2"], &["systemd-recovery", "systemd-recovery"]),
            b"{}".to_vec(),
            b"".to_vec(),
        ] {
            assert_eq!(check(&bad).unwrap_err().exit().code(), 6);
        }
    }
}
