//! A quote: what a TPM says of its PCRs and of this boot (`TPMS_ATTEST`, Part 2, section 10.12.12), and the signature under it
//! (`TPMT_SIGNATURE`, section 11.3.4).
//!
//! Nothing here is verified: that is for whoever knows the key.

use super::{Reader, SHA256};
use crate::{
    digest::{Digest, Hasher},
    fault::Result,
};

/// `TPM_GENERATED_VALUE`: only a TPM puts it in front of what a restricted key signs.
const GENERATED: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_QUOTE`.
const QUOTE: u16 = 0x8018;
const RSASSA: u16 = 0x0014;
const ECDSA: u16 = 0x0018;

/// The PCRs that admission asks for, in order: Secure Boot's policy; the UKI that was started; its command line's and its further
/// images' additions. Which measures what: UAPI.7, Linux TPM PCR Registry.
pub const PCRS: [u8; 4] = [7, 11, 12, 13];
/// The same as a TPM's selection of 24 PCRs (Part 2, section 10.6.1).
pub const SELECTION: [u8; 3] = [1 << 7, (1 << 3) | (1 << 4) | (1 << 5), 0];

/// What a TPM says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What its asker gave along: so that it is no older than that.
    pub extra: Digest,
    /// This boot.
    pub clock: Clock,
    /// SHA-256 over the values of [`PCRS`], one after the other.
    pub pcrs: Digest,
}

/// Which boot of the TPM it was, and when in it (`TPMS_CLOCK_INFO`, section 10.11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds that the TPM has been powered, ever.
    pub milliseconds: u64,
    /// Power cycles since the TPM was cleared.
    pub resets: u32,
    /// Resumes since the last of those.
    pub restarts: u32,
    /// Whether the clock has never gone back since.
    pub safe: bool,
}

impl Clock {
    /// Whether the other one is later in the same boot.
    pub fn goes_on(&self, later: &Self) -> bool {
        (self.resets, self.restarts) == (later.resets, later.restarts) && later.milliseconds >= self.milliseconds && later.safe
    }
}

impl Quote {
    /// Reads one over exactly [`PCRS`], by SHA-256.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) for anything else.
    pub fn parse(message: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("a quote", message);
        let magic = reader.u32()?;
        reader.is("magic", magic, GENERATED)?;
        let kind = reader.u16()?;
        reader.is("kind", kind, QUOTE)?;
        reader.sized(68)?; // the signer's qualified name
        let extra = digest(&mut reader)?;
        let clock = Clock { milliseconds: reader.u64()?, resets: reader.u32()?, restarts: reader.u32()?, safe: reader.u8()? == 1 };
        reader.u64()?; // the firmware's version
        let selections = reader.u32()?;
        reader.is("number of selections", selections, 1_u32)?;
        let bank = reader.u16()?;
        reader.is("bank", bank, SHA256)?;
        let length = reader.u8()?;
        let selected = reader.take(usize::from(length))?;
        if selected != SELECTION {
            return Err(reader.wrong("it is not over PCRs 7, 11, 12 and 13"));
        }
        let pcrs = digest(&mut reader)?;
        reader.end()?;
        Ok(Self { extra, clock, pcrs })
    }
}

/// The digest that a quote over these values has.
pub fn digest_of(values: &[Digest; 4]) -> Digest {
    let mut hasher = Hasher::default();
    values.iter().for_each(|value| hasher.update(value.as_bytes()));
    hasher.finish()
}

fn digest(reader: &mut Reader<'_>) -> Result<Digest> {
    let bytes = reader.sized(32)?;
    bytes.try_into().map(Digest::from_bytes).map_err(|_| reader.wrong("a digest is not one of SHA-256"))
}

/// A signature over a message's SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2): 256 bytes.
    Rsa(Vec<u8>),
    /// ECDSA on P-256: `r` and `s`, 32 bytes each.
    P256([u8; 64]),
}

impl Signature {
    /// Reads one.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) for any other scheme.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("a TPM's signature", bytes);
        let (scheme, digest) = (reader.u16()?, reader.u16()?);
        reader.is("digest", digest, SHA256)?;
        let signature = match scheme {
            RSASSA => Self::Rsa(reader.sized(256)?.to_vec()),
            ECDSA => {
                let mut both = [0; 64];
                for half in both.as_chunks_mut::<32>().0 {
                    let number = reader.sized(32)?;
                    half[32 - number.len()..].copy_from_slice(number);
                }
                Self::P256(both)
            }
            other => return Err(reader.wrong(format!("its scheme is {other:#x}"))),
        };
        reader.end()?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Vec<u8> {
        let mut message = Vec::new();
        message.extend(GENERATED.to_be_bytes());
        message.extend(QUOTE.to_be_bytes());
        message.extend([0, 2, 0, 0x0b]);
        message.extend([0, 32]);
        message.extend([1; 32]);
        message.extend(5000_u64.to_be_bytes());
        message.extend(3_u32.to_be_bytes());
        message.extend(1_u32.to_be_bytes());
        message.push(1);
        message.extend(9_u64.to_be_bytes());
        message.extend(1_u32.to_be_bytes());
        message.extend(SHA256.to_be_bytes());
        message.push(3);
        message.extend(SELECTION);
        message.extend([0, 32]);
        message.extend([2; 32]);
        message
    }

    #[test]
    fn exactly_these_pcrs_and_nothing_behind() {
        let quote = Quote::parse(&message()).unwrap();
        let clock = Clock { milliseconds: 5000, resets: 3, restarts: 1, safe: true };
        assert_eq!(quote, Quote { extra: Digest::from_bytes([1; 32]), clock, pcrs: Digest::from_bytes([2; 32]) });
        let spoilt = |at: usize, byte: u8| {
            let mut message = message();
            message[at] = byte;
            Quote::parse(&message)
        };
        for (what, at, byte) in
            [("magic", 0, 0xfe), ("kind", 5, 0x17), ("a short extra", 11, 31), ("two selections", 72, 2), ("bank", 74, 0x0c)]
        {
            assert_eq!(spoilt(at, byte).unwrap_err().exit().code(), 4, "{what}");
        }
        for at in 76..79 {
            assert!(spoilt(at, 0xff).is_err(), "other PCRs");
        }
        assert!(Quote::parse(&[message(), vec![0]].concat()).is_err());
        for length in 0..message().len() {
            assert!(Quote::parse(&message()[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_clock_goes_on_within_one_boot() {
        let clock = Clock { milliseconds: 5000, resets: 3, restarts: 1, safe: true };
        assert!(clock.goes_on(&Clock { milliseconds: 5001, ..clock }));
        for other in [
            Clock { milliseconds: 4999, ..clock },
            Clock { resets: 4, ..clock },
            Clock { restarts: 0, ..clock },
            Clock { safe: false, ..clock },
        ] {
            assert!(!clock.goes_on(&other), "{other:?}");
        }
    }

    #[test]
    fn signatures_of_two_kinds() {
        let ecdsa = [&[0, 0x18, 0, 0x0b, 0, 31][..], &[3; 31], &[0, 32], &[4; 32]].concat();
        let Signature::P256(both) = Signature::parse(&ecdsa).unwrap() else { panic!("ECDSA") };
        assert_eq!((both[0], both[1], both[32]), (0, 3, 4), "a leading zero is put back");
        let rsa = [&[0, 0x14, 0, 0x0b, 1, 0][..], &[5; 256]].concat();
        assert_eq!(Signature::parse(&rsa).unwrap(), Signature::Rsa(vec![5; 256]));
        for bad in [&ecdsa[..40], &[&rsa[..], &[0]].concat(), &[0, 0x16, 0, 0x0b, 0, 0], &[0, 0x18, 0, 4, 0, 0, 0, 0], &[]] {
            assert!(Signature::parse(bad).is_err());
        }
    }
}
