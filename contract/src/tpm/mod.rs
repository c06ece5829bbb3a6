//! What a TPM 2.0 says of itself, as far as admission asks: key areas, quotes and their signatures (TCG, Trusted Platform Module Library,
//! Part 2: Structures).
//!
//! Read from a device that nobody has admitted yet: so each reader takes exactly one structure, of the kinds that admission knows, and
//! nothing behind it. Big-endian, as a TPM writes.
//!
//! | module | what it is |
//! |---|---|
//! | [`public`] | a key's public area, and its name |
//! | [`quote`] | what an attestation key signs about PCRs |

pub mod public;
pub mod quote;

use crate::fault::{Fault, Result};

/// `TPM_ALG_SHA256`.
pub(crate) const SHA256: u16 = 0x000b;
/// `TPM_ALG_NULL`.
pub(crate) const NULL: u16 = 0x0010;

/// Bytes that are taken from the front.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over bytes that should be a `what`.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes }
    }

    /// The fault of bytes that are none.
    pub(crate) fn wrong(&self, why: impl std::fmt::Display) -> Fault {
        Fault::untrusted(format!("not {} as admission takes it: {why}", self.what))
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(|| self.wrong("it ends too soon"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A `TPM2B`: its length in two bytes, then its bytes, at most `most`.
    pub(crate) fn sized(&mut self, most: usize) -> Result<&'a [u8]> {
        let length = usize::from(self.u16()?);
        if length > most { Err(self.wrong(format!("{length} bytes where at most {most} fit"))) } else { self.take(length) }
    }

    /// Whether a number is the one that admission takes.
    pub(crate) fn is(&self, field: &str, found: impl Into<u64>, wanted: impl Into<u64>) -> Result<()> {
        let (found, wanted) = (found.into(), wanted.into());
        if found == wanted { Ok(()) } else { Err(self.wrong(format!("its {field} is {found:#x}, not {wanted:#x}"))) }
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<()> {
        if self.bytes.is_empty() { Ok(()) } else { Err(self.wrong(format!("{} bytes follow", self.bytes.len()))) }
    }
}
