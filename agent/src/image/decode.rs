//! One chunk: a zstd frame into a buffer of exactly its length.
//!
//! Nothing untrusted is decoded: the frame's own digest is checked before zstd sees a byte of it. What comes out of a signed frame is
//! as good as signed; that it came out right is told by zstd's checksum in the frame, and in the end by the digests of what the
//! medium holds.

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

    /// Decodes `frame`, whose SHA-256 is `digest`, into all of `into`. Never writes more, whatever the frame says about itself.
    ///
    /// # Errors
    /// In words, what is wrong with the frame: the caller knows where it came from.
    pub(crate) fn decode(&mut self, frame: &[u8], digest: &Digest, into: &mut [u8]) -> std::result::Result<(), String> {
        let found = Digest::of(frame);
        if found != *digest {
            return Err(format!("its digest is {found}, the chunk map says {digest}"));
        }
        match self.0.decompress_to_buffer(frame, into) {
            Ok(length) if length == into.len() => Ok(()),
            Ok(length) => Err(format!("it decodes to {length} bytes, not {}", into.len())),
            Err(error) => Err(format!("it does not decode: {error}")),
        }
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
        let frame = zstd::bulk::compress(&bytes, 3).unwrap();
        let digest = Digest::of(&frame);
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
        fn damage_is_always_seen_and_never_decoded(at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let bytes: Vec<u8> = (0..4096_u32).map(|i| u8::try_from(i * i % 251).unwrap()).collect();
            let mut frame = zstd::bulk::compress(&bytes, 3).unwrap();
            let digest = Digest::of(&frame);
            let at = at.index(frame.len());
            frame[at] ^= flip;
            let mut into = vec![0xa5; 4096];
            prop_assert!(Decoder::new().unwrap().decode(&frame, &digest, &mut into).is_err());
            prop_assert!(into.iter().all(|byte| *byte == 0xa5), "zstd has seen it");
        }
    }
}
