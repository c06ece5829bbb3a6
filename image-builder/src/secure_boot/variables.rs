//! What a firmware's Secure Boot variables are given: signature lists (`.esl`) and authenticated values (`.auth`).
//!
//! In: certificates, and the key of the variable above. Out: bytes after UEFI 2.10, sections 32.4.1 and 8.2.2:
//!
//! ```text
//! list:  GUID of its kind (X.509) | u32 length | u32 0 | u32 length of an entry | owner GUID | certificate, DER
//! auth:  EFI_TIME [16] | u32 length | u16 0x0200 | u16 0x0ef1 | GUID (PKCS #7) | signature | list
//! signed: name, UTF-16 without NUL | vendor GUID | u32 attributes | EFI_TIME | list
//! ```

use jiff::{Timestamp, tz::TimeZone};
use livery_contract::{Fault, Result};
use uuid::{Uuid, uuid};

use super::{pkcs7, signer::Signer};

/// EFI_GLOBAL_VARIABLE, the vendor of PK and KEK.
const GLOBAL: Uuid = uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");
/// EFI_IMAGE_SECURITY_DATABASE_GUID, the vendor of db.
const IMAGE_SECURITY: Uuid = uuid!("d719b2cb-3d3a-4596-a3bc-dad00e67656f");
const CERT_X509: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
const CERT_TYPE_PKCS7: Uuid = uuid!("4aafd29d-68df-49ee-8aa9-347d375665a7");
/// NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS | TIME_BASED_AUTHENTICATED_WRITE_ACCESS.
const ATTRIBUTES: u32 = 0x27;

/// A variable that decides what starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// The platform key: who may change KEK; with it set, Secure Boot is enforced.
    Pk,
    /// Key exchange keys: who may change db.
    Kek,
    /// Signatures database: whose programs start.
    Db,
}

impl Variable {
    /// All of them, each after the one that signs it.
    pub(crate) const ALL: [Self; 3] = [Self::Pk, Self::Kek, Self::Db];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pk => "PK",
            Self::Kek => "KEK",
            Self::Db => "db",
        }
    }

    const fn vendor(self) -> Uuid {
        match self {
            Self::Pk | Self::Kek => GLOBAL,
            Self::Db => IMAGE_SECURITY,
        }
    }
}

/// A signature list with this one certificate (DER).
///
/// # Errors
/// Exit 1 where the certificate is longer than a list can say.
pub(crate) fn list(certificate: &[u8], owner: Uuid) -> Result<Vec<u8>> {
    let long = |_| Fault::internal("a certificate is too long for a signature list");
    let entry = u32::try_from(16 + certificate.len()).map_err(long)?;
    let total = entry.checked_add(28).ok_or_else(|| Fault::internal("a certificate is too long for a signature list"))?;
    let mut bytes = CERT_X509.to_bytes_le().to_vec();
    bytes.extend([total, 0, entry].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend(owner.to_bytes_le());
    bytes.extend(certificate);
    Ok(bytes)
}

/// The list as a value for `variable` that `signer` stands for. Firmware takes it only where it is later than what it has.
///
/// # Errors
/// Exit 1 where the key does not sign.
pub(crate) fn authenticated(variable: Variable, list: &[u8], signer: &Signer, at: Timestamp) -> Result<Vec<u8>> {
    let time = efi_time(at)?;
    let name: Vec<u8> = variable.name().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let vendor = variable.vendor().to_bytes_le();
    let signed = [name.as_slice(), &vendor, &ATTRIBUTES.to_le_bytes(), &time, list].concat();
    let signature = pkcs7::detached(signer, &signed)?;
    let length = u32::try_from(24 + signature.len()).map_err(|_| Fault::internal("a signature is too long"))?;
    let mut bytes = time.to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend([0x0200_u16, 0x0ef1].into_iter().flat_map(u16::to_le_bytes));
    bytes.extend(CERT_TYPE_PKCS7.to_bytes_le());
    bytes.extend(signature);
    bytes.extend(list);
    Ok(bytes)
}

/// EFI_TIME in UTC; what is smaller than a second, time zone and daylight saving must be 0 here.
fn efi_time(at: Timestamp) -> Result<[u8; 16]> {
    let time = at.to_zoned(TimeZone::UTC);
    let year = u16::try_from(time.year()).map_err(|error| Fault::internal("a date is out of range").cause(error))?;
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&year.to_le_bytes());
    let parts = [time.month(), time.day(), time.hour(), time.minute(), time.second()];
    for (byte, part) in bytes[2..7].iter_mut().zip(parts) {
        *byte = part.unsigned_abs();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lists_and_times_are_laid_out_as_the_specification_draws_them() {
        let bytes = list(&[7; 100], Uuid::from_u128(1)).unwrap();
        assert_eq!(bytes.len(), 28 + 16 + 100);
        assert_eq!(bytes[..16], CERT_X509.to_bytes_le());
        assert_eq!(bytes[16..28], [144, 0, 0, 0, 0, 0, 0, 0, 116, 0, 0, 0]);
        assert_eq!(bytes[44..], [7; 100]);
        let time = efi_time("2026-11-24T17:05:59.5Z".parse().unwrap()).unwrap();
        assert_eq!(time, [0xea, 7, 11, 24, 17, 5, 59, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
