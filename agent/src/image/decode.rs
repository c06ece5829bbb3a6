//! One chunk: a zstd frame into a buffer of exactly its length, and its digest checked before anybody uses it.

use livery_contract::{Digest, Fault, Result};
use zstd::bulk::Decompressor;

/// Decodes chunks, one after another.
pub(crate) struct Decoder(Decompressor<'static>);

impl Decoder {
    /// A decoder.
    ///
    /// # Errors
    /// Exit 1 where zstd cannot be set up (no memory).
    pub(crate) fn new() -> Result<Self> {
        Decompressor::new().map(Self).map_err(|error| Fault::internal("zstd cannot be set up").cause(error))
    }

    /// Decodes `frame` into all of `into`. Never writes more, whatever the frame says about itself.
    ///
    /// # Errors
    /// In words, what is wrong with the frame: the caller knows where it came from.
    pub(crate) fn decode(&mut self, frame: &[u8], digest: &Digest, into: &mut [u8]) -> std::result::Result<(), String> {
        match self.0.decompress_to_buffer(frame, into) {
            Ok(length) if length == into.len() => {}
            Ok(length) => return Err(format!("it decodes to {length} bytes, not {}", into.len())),
            Err(error) => return Err(format!("it does not decode: {error}")),
        }
        let found = Digest::of(into);
        if found != *digest {
            return Err(format!("its digest is {found}, the chunk map says {digest}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_right_bytes_in_the_right_length() {
        let bytes = vec![7_u8; 8192];
        let (frame, digest) = (zstd::bulk::compress(&bytes, 3).unwrap(), Digest::of(&bytes));
        let mut decoder = Decoder::new().unwrap();
        let mut into = vec![0; 8192];
        decoder.decode(&frame, &digest, &mut into).unwrap();
        assert_eq!(into, bytes);
        assert!(decoder.decode(&frame, &digest, &mut [0; 4096]).is_err(), "a bomb stops at the buffer");
        assert!(decoder.decode(&frame, &digest, &mut vec![0; 12288]).unwrap_err().contains("not 12288"));
        assert!(decoder.decode(&frame, &Digest::of(b""), &mut into).unwrap_err().contains("digest"));
    }

    proptest! {
        #[test]
        fn damage_is_always_seen(at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let bytes: Vec<u8> = (0..4096_u32).map(|i| u8::try_from(i * i % 251).unwrap()).collect();
            let mut frame = zstd::bulk::compress(&bytes, 3).unwrap();
            let at = at.index(frame.len());
            frame[at] ^= flip;
            let mut into = vec![0; 4096];
            // A flipped bit in an unused header field may still decode to the same bytes; then those are the right ones.
            if Decoder::new().unwrap().decode(&frame, &Digest::of(&bytes), &mut into).is_ok() {
                prop_assert_eq!(into, bytes);
            }
        }
    }
}
