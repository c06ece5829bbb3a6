//! An EFI program's signature: a PKCS #7 over its digest, in the certificate table at its end (Windows Authenticode Portable
//! Executable Signature Format, 2008; PE/COFF 8.3; UEFI 2.10, section 32.2.4).
//!
//! In: a program for 64-bit UEFI without a signature. Out: the same with one, all else unchanged but the checksum and the
//! table's place in the header. Both are left out of the digest, so it is the same before and after. Fails on what is no
//! such program.

use std::ops::Range;

use livery_contract::{Digest, Fault, Result, digest::Hasher};
use yasna::{Tag, construct_der};

use super::{
    pkcs7::{self, oid},
    signer::Signer,
};

/// SPC_INDIRECT_DATA_OBJID, SPC_PE_IMAGE_DATA_OBJID, SPC_SP_OPUS_INFO_OBJID.
const INDIRECT_DATA: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 4];
const PE_IMAGE_DATA: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 15];
const OPUS_INFO: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 2, 1, 12];
/// WIN_CERT_REVISION_2_0 and WIN_CERT_TYPE_PKCS_SIGNED_DATA.
const REVISION: u16 = 0x0200;
const PKCS_SIGNED_DATA: u16 = 0x0002;
/// The most sections that a program may have (PE/COFF 8.3, section 3.3).
const SECTIONS: u16 = 96;

/// Where a program's parts lie in its file.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// The checksum, four bytes.
    checksum: usize,
    /// The certificate table's entry among the data directories, eight bytes.
    entry: usize,
    /// Bytes of all headers.
    headers: usize,
    /// Content of the sections, in the file's order; none touches another.
    sections: Vec<Range<usize>>,
    /// The certificate table: at the end of the file; empty where there is none.
    table: Range<usize>,
}

fn layout(image: &[u8]) -> Result<Layout> {
    let bad = |what: &str| Fault::refused(format!("not an EFI program that can be signed: {what}"));
    let cut = || bad("it is truncated");
    let bytes = |at: usize, length: usize| at.checked_add(length).and_then(|end| image.get(at..end)).ok_or_else(cut);
    let u16_at = |at: usize| bytes(at, 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    let u32_at = |at: usize| bytes(at, 4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize);

    if bytes(0, 2)? != b"MZ" {
        return Err(bad("no MZ at its beginning"));
    }
    let header = u32_at(0x3c)?;
    if bytes(header, 4)? != b"PE\0\0" {
        return Err(bad("no PE header"));
    }
    let count = u16_at(header + 6)?;
    let optional = header + 24;
    let optional_length = usize::from(u16_at(header + 20)?);
    if u16_at(optional)? != 0x20b {
        return Err(bad("it is not PE32+"));
    }
    if count > SECTIONS || u32_at(optional + 108)? < 5 || optional_length < 112 + 5 * 8 {
        return Err(bad("its header has too many sections, or no place for a certificate table"));
    }
    let (checksum, entry, headers) = (optional + 64, optional + 112 + 4 * 8, u32_at(optional + 60)?);
    let mut sections = Vec::new();
    for number in 0..usize::from(count) {
        let section = optional + optional_length + number * 40;
        let (length, at) = (u32_at(section + 16)?, u32_at(section + 20)?);
        bytes(at, length)?;
        if length > 0 {
            sections.push(at..at + length);
        }
    }
    sections.sort_by_key(|section| section.start);
    let (at, length) = (u32_at(entry)?, u32_at(entry + 4)?);
    let table = if length == 0 { image.len()..image.len() } else { at..at + length };
    if table.end != image.len() {
        return Err(bad("its certificate table is not at its end"));
    }
    // Bytes that two sections share, or that a section shares with the header or the table, would be hashed twice.
    let mut last = headers;
    for part in sections.iter().chain([&table]) {
        if part.start < last {
            return Err(bad("its sections overlap"));
        }
        last = part.end;
    }
    if headers < optional + optional_length + usize::from(count) * 40 {
        return Err(bad("its headers are longer than they claim"));
    }
    Ok(Layout { checksum, entry, headers, sections, table })
}

/// A program's digest: everything but the checksum, the certificate table and its entry. A signature already in it does
/// not change it.
fn hash(image: &[u8], layout: &Layout) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(&image[..layout.checksum]);
    hasher.update(&image[layout.checksum + 4..layout.entry]);
    hasher.update(&image[layout.entry + 8..layout.headers]);
    let mut hashed = layout.headers;
    for section in &layout.sections {
        hasher.update(&image[section.clone()]);
        hashed += section.len();
    }
    // What lies outside all sections is taken for as long as it is, from the file's end (step 13 of the specification).
    hasher.update(&image[hashed.min(layout.table.start)..layout.table.start]);
    hasher.finish()
}

/// The program with a signature.
///
/// # Errors
/// Exit 3 where it is no EFI program, or has a signature already.
pub(crate) fn sign(image: &[u8], signer: &Signer) -> Result<Vec<u8>> {
    if !layout(image)?.table.is_empty() {
        return Err(Fault::refused("the EFI program has a signature already"));
    }
    let mut signed = image.to_vec();
    // The table begins on such a bound; what fills up to it belongs to the program, and is signed with it.
    signed.resize(image.len().next_multiple_of(8), 0);
    let layout = layout(&signed)?;
    let content = indirect_data(&hash(&signed, &layout));
    let opus = construct_der(|writer| writer.write_sequence(|_| ()));
    let mut signature = pkcs7::enclosing(signer, INDIRECT_DATA, &content, vec![(OPUS_INFO, opus)])?;
    signature.resize(signature.len().next_multiple_of(8), 0);
    let long = |_| Fault::refused("the EFI program is too long");
    let (at, length) = (u32::try_from(signed.len()).map_err(long)?, u32::try_from(signature.len() + 8).map_err(long)?);
    signed[layout.entry..layout.entry + 4].copy_from_slice(&at.to_le_bytes());
    signed[layout.entry + 4..layout.entry + 8].copy_from_slice(&length.to_le_bytes());
    signed.extend(length.to_le_bytes());
    signed.extend([REVISION, PKCS_SIGNED_DATA].into_iter().flat_map(u16::to_le_bytes));
    signed.extend(signature);
    let sum = checksum(&signed, layout.checksum);
    signed[layout.checksum..layout.checksum + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(signed)
}

/// SpcIndirectDataContent: the digest of what is signed, and that it is a PE image.
fn indirect_data(digest: &Digest) -> Vec<u8> {
    construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&oid(PE_IMAGE_DATA));
                writer.next().write_sequence(|writer| {
                    writer.next().write_bitvec_bytes(&[], 0);
                    // SpcLink by file name, a Unicode string that says nothing any more.
                    writer.next().write_tagged(Tag::context(0), |writer| {
                        writer.write_tagged(Tag::context(2), |writer| {
                            writer.write_tagged_implicit(Tag::context(0), |writer| writer.write_bmp_string("<<<Obsolete>>>"));
                        });
                    });
                });
            });
            writer.next().write_sequence(|writer| {
                pkcs7::sha256(writer.next());
                writer.next().write_bytes(digest.as_bytes());
            });
        });
    })
}

/// The checksum of a PE file (as ImageHlp's CheckSumMappedFile makes it), taken with its own four bytes as zeros.
fn checksum(image: &[u8], at: usize) -> u32 {
    let mut sum = 0_u32;
    for (number, pair) in image.chunks(2).enumerate() {
        if (at..at + 4).contains(&(number * 2)) {
            continue;
        }
        sum += u32::from(pair[0]) | u32::from(pair.get(1).copied().unwrap_or(0)) << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // A program is under 4 GiB: the table's place in it is a 32-bit number.
    sum.wrapping_add(u32::try_from(image.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
