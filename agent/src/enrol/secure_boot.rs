//! The organisation's Secure Boot keys into a firmware that has none: such a device starts only what the organisation signed, from
//! then on, and this same medium as well.
//!
//! In: the signed variables that `livery keygen` made (UEFI 2.10, section 8.2.2), on the medium. Only where the firmware is in setup
//! mode (section 32.3): it got there by a hand, at the maker's or in its setup pages. Out: whether the device must start again, so
//! that all that follows happens under these keys: PCR 7, which the data partition is bound to, says what firmware trusts. Fails with
//! exit 6.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

use livery_contract::{Fault, Result};

use crate::firmware::variables::GLOBAL;

/// EFI_IMAGE_SECURITY_DATABASE_GUID, of these.
const DATABASE: &str = "d719b2cb-3d3a-4596-a3bc-dad00e67656f";
/// NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS | TIME_BASED_AUTHENTICATED_WRITE_ACCESS.
const ATTRIBUTES: u32 = 0x27;
/// In this order: with PK the firmware leaves setup mode, and one that was left half-way would start nothing any more.
const VARIABLES: [(&str, &str); 3] = [("db", DATABASE), ("KEK", GLOBAL), ("PK", GLOBAL)];
/// The most bytes of a signed variable.
const MOST: u64 = 64 << 10;

/// Whether a firmware is in setup mode. `false` where it knows no Secure Boot at all.
fn in_setup_mode(efivars: &Path) -> bool {
    // Four bytes of attributes, one of value.
    fs::read(efivars.join(format!("SetupMode-{GLOBAL}"))).is_ok_and(|bytes| bytes.get(4) == Some(&1))
}

/// Gives the firmware `db.auth`, `KEK.auth` and `PK.auth` of the folder, where it is in setup mode and they are there. `true` where
/// the device must start again.
///
/// # Errors
/// Exit 2 where a file can't be read, 6 where the firmware does not take a variable or stays in setup mode.
pub(crate) fn enrol(folder: &Path, efivars: &Path) -> Result<bool> {
    if !in_setup_mode(efivars) || !folder.is_dir() {
        return Ok(false);
    }
    let mut signed = Vec::new();
    for (name, vendor) in VARIABLES {
        let path = folder.join(format!("{name}.auth"));
        let unreadable = |error| Fault::usage("a Secure Boot variable can't be read").at(path.display()).cause(error);
        let mut bytes = ATTRIBUTES.to_le_bytes().to_vec();
        fs::File::open(&path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)).map_err(unreadable)?;
        signed.push((name, vendor, bytes));
    }
    for (name, vendor, bytes) in signed {
        let path = efivars.join(format!("{name}-{vendor}"));
        // One write: it is one call of the firmware's SetVariable().
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(|error| {
                Fault::device(format!("the firmware does not accept the organisation's {name}"))
                    .at(path.display())
                    .cause(error)
                    .fix("clear all Secure Boot keys in the firmware's setup, which puts it into setup mode, then start again")
            })?;
    }
    if in_setup_mode(efivars) {
        return Err(Fault::device("the firmware accepted the organisation's keys but is still in setup mode")
            .at(efivars.display())
            .fix("update the firmware, or enrol the keys manually in its setup (docs/secure-boot.md)"));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_firmware_in_setup_mode_is_given_keys_and_it_must_leave_that() {
        let (folder, vars) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["PK", "KEK", "db"] {
            fs::write(folder.path().join(format!("{name}.auth")), name).unwrap();
        }
        let mode = |value: u8| fs::write(vars.path().join(format!("SetupMode-{GLOBAL}")), [6, 0, 0, 0, value]).unwrap();
        let pk = vars.path().join(format!("PK-{GLOBAL}"));
        assert!(!enrol(folder.path(), vars.path()).unwrap(), "no Secure Boot at all");
        mode(0);
        assert!(!enrol(folder.path(), vars.path()).unwrap());
        assert!(!pk.exists());
        mode(1);
        assert!(!enrol(&folder.path().join("none"), vars.path()).unwrap(), "a medium without keys");
        let fault = enrol(folder.path(), vars.path()).unwrap_err();
        assert!(fault.exit().code() == 6 && fault.to_string().contains("still"), "{fault}");
        assert_eq!(fs::read(&pk).unwrap(), [&[0x27, 0, 0, 0][..], b"PK"].concat());
        assert_eq!(fs::read(vars.path().join(format!("db-{DATABASE}"))).unwrap(), [&[0x27, 0, 0, 0][..], b"db"].concat());
        fs::remove_file(folder.path().join("db.auth")).unwrap();
        assert_eq!(enrol(folder.path(), vars.path()).unwrap_err().exit().code(), 2);
    }
}
