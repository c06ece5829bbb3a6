//! A range of a pack, as it comes over the network: one zstd frame, decoded by the agent's own decoder.
//!
//! ```text
//! u32 length of the chunk, little-endian | SHA-256 of the frame [32] | the frame
//! ```

use livery_contract::{
    Digest,
    chunkmap::{MAX_CHUNK, MAX_FRAME},
};

use crate::decode::Decoder;

/// Bytes around the chunk that nobody may touch.
const GUARD: usize = 4096;
const UNTOUCHED: [u8; GUARD] = [0xa5; GUARD];
/// Less than this many bytes are a short chunk.
const SHORT: u32 = 16 << 10;

/// Checks one input; whether its frame holds the chunk with its digest.
///
/// # Panics
/// Where the decoder takes a wrong chunk, refuses a right one, or writes beside it.
pub fn check(input: &[u8]) -> bool {
    let Some((length, rest)) = input.split_first_chunk::<4>() else { return false };
    let Some((digest, frame)) = rest.split_first_chunk::<32>() else { return false };
    // No chunk map that decodes names a longer frame or chunk.
    let frame = &frame[..frame.len().min(MAX_FRAME as usize)];
    // Nor does it name a longer chunk: such a number stands for a short one, with which a fuzzer is quick.
    let length = match u32::from_le_bytes(*length) {
        length @ 0..=MAX_CHUNK => length as usize,
        length => (length % SHORT) as usize,
    };

    let taken = decode(frame, &Digest::from_bytes(*digest), length).is_some();

    // What the frame holds by zstd itself, with room for more than the chunk.
    let mut whole = vec![0; length + GUARD];
    let held = zstd::bulk::decompress_to_buffer(frame, &mut whole).ok();
    let right = held == Some(length);
    whole.truncate(length);
    let digest = Digest::of(frame);
    match decode(frame, &digest, length) {
        Some(chunk) => assert!(right && chunk == whole, "another chunk was taken for this one"),
        None => assert!(!right, "the right chunk was refused"),
    }
    let mut other = *digest.as_bytes();
    other[31] ^= 1;
    assert!(decode(frame, &Digest::from_bytes(other), length).is_none(), "taken with a wrong digest");
    taken
}

fn decode(frame: &[u8], digest: &Digest, length: usize) -> Option<Vec<u8>> {
    let mut buffer = [&UNTOUCHED[..], &vec![0; length], &UNTOUCHED].concat();
    let mut decoder = Decoder::new().unwrap_or_else(|fault| panic!("{fault}"));
    let result = decoder.decode(frame, digest, &mut buffer[GUARD..GUARD + length]);
    assert!(buffer.starts_with(&UNTOUCHED) && buffer.ends_with(&UNTOUCHED), "bytes beside the chunk were written");
    result.is_ok().then(|| buffer[GUARD..GUARD + length].to_vec())
}
