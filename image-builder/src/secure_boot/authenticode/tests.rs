#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::secure_boot::keygen;

fn digest(image: &[u8]) -> Result<Digest> {
    Ok(hash(image, &layout(image)?))
}

const HEADERS: usize = 0x400;
const OPTIONAL: usize = 0x80 + 24;

/// A program of two sections, laid down in the other order than listed, and `trailing` bytes after them.
fn program(trailing: usize) -> Vec<u8> {
    let mut image = vec![0; HEADERS];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x80 + 6, &2_u16.to_le_bytes());
    put(0x80 + 20, &240_u16.to_le_bytes());
    put(OPTIONAL, &0x20b_u16.to_le_bytes());
    put(OPTIONAL + 60, &u32::try_from(HEADERS).unwrap().to_le_bytes());
    put(OPTIONAL + 108, &16_u32.to_le_bytes());
    for (number, (length, at)) in [(0x300_u32, 0x600_u32), (0x200, 0x400)].into_iter().enumerate() {
        put(OPTIONAL + 240 + number * 40 + 16, &length.to_le_bytes());
        put(OPTIONAL + 240 + number * 40 + 20, &at.to_le_bytes());
    }
    image.extend((0..0x500).map(|number: usize| number.to_le_bytes()[0]));
    image.extend(vec![0x55; trailing]);
    image
}

fn signer(folder: &std::path::Path) -> Signer {
    keygen::generate(folder).unwrap();
    Signer::open(folder).unwrap()
}

#[test]
fn a_signature_is_added_the_same_each_time_and_changes_no_digest() {
    let folder = tempfile::tempdir().unwrap();
    let signer = signer(folder.path());
    for trailing in [0, 5, 8] {
        let image = program(trailing);
        let signed = sign(&image, &signer).unwrap();
        assert_eq!(signed, sign(&image, &signer).unwrap());
        let padded = [image.clone(), vec![0; image.len().next_multiple_of(8) - image.len()]].concat();
        assert_eq!(digest(&signed).unwrap(), digest(&padded).unwrap());
        let table = layout(&signed).unwrap().table;
        assert_eq!(table, padded.len()..signed.len());
        assert_eq!(signed.len() % 8, 0);
        let length = u32::try_from(table.len()).unwrap().to_le_bytes();
        assert_eq!(signed[table.start..table.start + 8], [&length[..], &[0, 2, 2, 0]].concat());
        let name = digest(&signed).unwrap();
        assert!(signed[table.clone()].windows(32).any(|window| window == name.as_bytes()));
        // As CheckSumMappedFile says it: 16-bit words added up, and the length.
        let at = layout(&signed).unwrap().checksum;
        let mut sum = 0_u64;
        for (number, pair) in signed.as_chunks::<2>().0.iter().enumerate() {
            if number * 2 != at && number * 2 != at + 2 {
                sum += u64::from(u16::from_le_bytes(*pair));
            }
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let stamped = u32::from_le_bytes(signed[at..at + 4].try_into().unwrap());
        assert_eq!(u64::from(stamped), sum + signed.len() as u64);
        assert!(sign(&signed, &signer).unwrap_err().to_string().contains("already"));
    }
}

#[test]
fn every_byte_counts_but_those_that_signing_changes() {
    let image = program(8);
    let good = digest(&image).unwrap();
    let Layout { checksum, entry, .. } = layout(&image).unwrap();
    for at in 0..image.len() {
        let mut changed = image.clone();
        changed[at] ^= 1;
        let excluded = (checksum..checksum + 4).contains(&at) || (entry..entry + 8).contains(&at);
        match digest(&changed) {
            Ok(digest) => assert_eq!(digest == good, excluded, "byte {at}"),
            Err(fault) => assert!(at < HEADERS, "{fault}"),
        }
    }
}

#[test]
fn what_is_no_program_is_refused_with_its_reason() {
    let cases = [
        ("no MZ", 0, 0),
        ("no PE header", 0x80, 0),
        ("PE32+", OPTIONAL, 0),
        ("overlap", OPTIONAL + 240 + 20 + 1, 5),
        ("not at its end", OPTIONAL + 112 + 36, 8),
    ];
    for (wanted, at, value) in cases {
        let mut image = program(0);
        image[at] = value;
        let fault = digest(&image).unwrap_err();
        assert!(fault.to_string().contains(wanted), "{wanted}: {fault}");
    }
    assert!(digest(&program(0)[..0x700]).unwrap_err().to_string().contains("truncated"));
}

proptest! {
    #[test]
    fn no_bytes_panic(at in 0..HEADERS, value in any::<u8>(), more in 0..HEADERS, other in any::<u32>(), end in 0..0x1000_usize) {
        let mut image = program(3);
        image[at] = value;
        let place = more.min(HEADERS - 4);
        image[place..place + 4].copy_from_slice(&other.to_le_bytes());
        let _ = digest(&image);
        image.truncate(end);
        let _ = digest(&image);
    }
}
