//! Whether bytes are what the image says.

use livery_contract::{Digest, chunkmap::Content};

/// Whether bytes are not what they should be: from which byte on, and in words.
pub(crate) fn differs(bytes: &[u8], content: &Content) -> Option<(usize, String)> {
    match content {
        Content::Skip => None,
        Content::Zero => first_not_zero(bytes).map(|first| (first, "it is not zero, although the image says so".into())),
        Content::Data { digest, .. } => {
            let found = Digest::of(bytes);
            (found != *digest).then(|| (0, format!("its digest is {found}, the image says {digest}")))
        }
    }
}

fn first_not_zero(bytes: &[u8]) -> Option<usize> {
    // A block at a time without branches, which the compiler turns into vector code.
    let block = bytes.chunks(4096).position(|block| block.iter().fold(0, |all, byte| all | byte) != 0)?;
    bytes[block * 4096..].iter().position(|byte| *byte != 0).map(|at| block * 4096 + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_is_not_zero() {
        let mut bytes = vec![0; 10000];
        assert_eq!(first_not_zero(&bytes), None);
        bytes[9999] = 1;
        assert_eq!(first_not_zero(&bytes), Some(9999));
    }
}
