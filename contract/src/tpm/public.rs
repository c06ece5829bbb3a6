//! A key's public area (`TPMT_PUBLIC`, Part 2, section 12.2.4), of the two kinds that admission knows: RSA with 2048 bits, and NIST P-256;
//! with SHA-256 as the digest of its name.

use super::{NULL, Reader, SHA256};
use crate::{digest::Digest, fault::Result};

const RSA: u16 = 0x0001;
const AES: u16 = 0x0006;
const RSASSA: u16 = 0x0014;
const ECDSA: u16 = 0x0018;
const ECC: u16 = 0x0023;
const CFB: u16 = 0x0043;
const P256: u16 = 0x0003;

/// `TPMA_OBJECT` (Part 2, section 8.3).
mod attribute {
    pub(super) const FIXED_TPM: u32 = 1 << 1;
    pub(super) const FIXED_PARENT: u32 = 1 << 4;
    pub(super) const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
    pub(super) const RESTRICTED: u32 = 1 << 16;
    pub(super) const DECRYPT: u32 = 1 << 17;
    pub(super) const SIGN: u32 = 1 << 18;
}

/// A key's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// RSA with the exponent 65537: the modulus, 256 bytes.
    Rsa(Vec<u8>),
    /// A point on P-256: both coordinates, 32 bytes each.
    P256([u8; 32], [u8; 32]),
}

/// A key's public area, checked for being what it is used as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// Its numbers.
    pub numbers: Numbers,
    name: Digest,
}

impl Public {
    /// An attestation key: one that its TPM made, that never leaves it, and that signs only what the TPM itself puts together.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) for any other.
    pub fn attestation_key(area: &[u8]) -> Result<Self> {
        use attribute::{FIXED_PARENT, FIXED_TPM, RESTRICTED, SENSITIVE_DATA_ORIGIN, SIGN};
        Self::parse("an attestation key", area, FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | SIGN)
    }

    /// An endorsement key after the standard templates L-1 and L-2 (TCG EK Credential Profile, appendix B): one that only decrypts.
    ///
    /// # Errors
    /// As [`attestation_key`](Self::attestation_key).
    pub fn endorsement_key(area: &[u8]) -> Result<Self> {
        use attribute::{DECRYPT, FIXED_PARENT, FIXED_TPM, RESTRICTED, SENSITIVE_DATA_ORIGIN};
        Self::parse("an endorsement key", area, FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | DECRYPT)
    }

    /// The digest in the key's name: SHA-256 over its public area. By it the TPM itself knows the key (Part 1, section 16).
    pub fn name(&self) -> Digest {
        self.name
    }

    /// The name as the TPM writes it: the digest's algorithm, then the digest.
    pub fn name_bytes(&self) -> [u8; 34] {
        let mut name = [0; 34];
        name[..2].copy_from_slice(&SHA256.to_be_bytes());
        name[2..].copy_from_slice(self.name.as_bytes());
        name
    }

    fn parse(what: &'static str, area: &[u8], wanted: u32) -> Result<Self> {
        let mut reader = Reader::new(what, area);
        let kind = reader.u16()?;
        let digest = reader.u16()?;
        reader.is("name's digest", digest, SHA256)?;
        let attributes = reader.u32()?;
        let asked = wanted | attribute::SIGN | attribute::DECRYPT;
        if attributes & asked != wanted {
            return Err(reader.wrong(format!("its attributes are {attributes:#x}")));
        }
        reader.sized(64)?; // the policy
        let signs = wanted & attribute::SIGN != 0;
        symmetric(&mut reader, signs)?;
        let scheme = reader.u16()?;
        let numbers = match kind {
            RSA => {
                Self::scheme(&mut reader, scheme, signs, RSASSA)?;
                let bits = reader.u16()?;
                reader.is("key size", bits, 2048_u16)?;
                let exponent = reader.u32()?;
                if !matches!(exponent, 0 | 65537) {
                    return Err(reader.wrong(format!("its exponent is {exponent}")));
                }
                let modulus = reader.sized(256)?;
                if modulus.len() != 256 || modulus[0] < 0x80 {
                    return Err(reader.wrong("its modulus is not of 2048 bits"));
                }
                Numbers::Rsa(modulus.to_vec())
            }
            ECC => {
                Self::scheme(&mut reader, scheme, signs, ECDSA)?;
                let curve = reader.u16()?;
                reader.is("curve", curve, P256)?;
                let kdf = reader.u16()?;
                reader.is("key derivation", kdf, NULL)?;
                let (x, y) = (coordinate(&mut reader)?, coordinate(&mut reader)?);
                Numbers::P256(x, y)
            }
            other => return Err(reader.wrong(format!("it is of kind {other:#x}"))),
        };
        reader.end()?;
        Ok(Self { numbers, name: Digest::of(area) })
    }

    /// What signs does so over SHA-256; what decrypts has no scheme.
    fn scheme(reader: &mut Reader<'_>, scheme: u16, signs: bool, signature: u16) -> Result<()> {
        reader.is("scheme", scheme, if signs { signature } else { NULL })?;
        if signs {
            let digest = reader.u16()?;
            reader.is("scheme's digest", digest, SHA256)?;
        }
        Ok(())
    }
}

/// What signs protects nothing below it; a storage key does so by AES-128 in CFB mode.
fn symmetric(reader: &mut Reader<'_>, signs: bool) -> Result<()> {
    let algorithm = reader.u16()?;
    if signs {
        return reader.is("symmetric algorithm", algorithm, NULL);
    }
    reader.is("symmetric algorithm", algorithm, AES)?;
    let (bits, mode) = (reader.u16()?, reader.u16()?);
    reader.is("symmetric key's size", bits, 128_u16)?;
    reader.is("symmetric mode", mode, CFB)
}

/// Leading zeros may be left out (Part 1, annex C.8).
fn coordinate(reader: &mut Reader<'_>) -> Result<[u8; 32]> {
    let bytes = reader.sized(32)?;
    let mut all = [0; 32];
    all[32 - bytes.len()..].copy_from_slice(bytes);
    Ok(all)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The area of an attestation key on P-256, with these attributes.
    pub(crate) fn area(attributes: u32) -> Vec<u8> {
        let mut area = Vec::new();
        area.extend(ECC.to_be_bytes());
        area.extend(SHA256.to_be_bytes());
        area.extend(attributes.to_be_bytes());
        area.extend([0, 0]);
        area.extend(NULL.to_be_bytes());
        area.extend(ECDSA.to_be_bytes());
        area.extend(SHA256.to_be_bytes());
        area.extend(P256.to_be_bytes());
        area.extend(NULL.to_be_bytes());
        for _ in 0..2 {
            area.extend([0, 32]);
            area.extend([7; 32]);
        }
        area
    }

    const GOOD: u32 = 0x0005_0072;

    #[test]
    fn only_a_restricted_key_of_the_tpms_own_attests() {
        let good = area(GOOD);
        let key = Public::attestation_key(&good).unwrap();
        assert_eq!((key.numbers.clone(), key.name()), (Numbers::P256([7; 32], [7; 32]), Digest::of(&good)));
        assert_eq!(key.name_bytes()[..2], [0, 0x0b]);
        Public::attestation_key(&area(GOOD | 0x400)).unwrap();
        // Made outside, movable, free to sign anything, able to decrypt: each is none.
        for attributes in [GOOD & !0x2, GOOD & !0x10, GOOD & !0x20, GOOD & !0x1_0000, GOOD & !0x4_0000, GOOD | 0x2_0000] {
            assert_eq!(Public::attestation_key(&area(attributes)).unwrap_err().exit().code(), 4, "{attributes:#x}");
        }
        assert!(Public::endorsement_key(&good).is_err());
    }

    #[test]
    fn anything_else_is_refused_and_nothing_panics() {
        let good = area(GOOD);
        for length in 0..good.len() {
            assert!(Public::attestation_key(&good[..length]).is_err(), "{length}");
        }
        assert!(Public::attestation_key(&[good.clone(), vec![0]].concat()).is_err());
        for at in 0..good.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                let _ = Public::attestation_key(&bad);
                let _ = Public::endorsement_key(&bad);
            }
        }
    }
}
