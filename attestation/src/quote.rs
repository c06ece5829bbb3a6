//! Whether a quote is by that attestation key, about that, on that boot; and keys as aws-lc takes them.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use livery_contract::{
    Digest, Fault, Result,
    tpm::{
        public::{Numbers, Public},
        quote::{Quote, Signature},
    },
};

/// Checks a quote: by this key, and about `extra`.
///
/// # Errors
/// `Untrusted`, for the first thing that does not hold.
pub fn check(key: &Public, message: &[u8], signature: &[u8], extra: &Digest) -> Result<Quote> {
    // Over the raw bytes, before anything in them is looked at.
    if !is_signed(key, message, &Signature::parse(signature)?) {
        return Err(Fault::untrusted("the quote is not signed by the device's attestation key"));
    }
    let quote = Quote::parse(message)?;
    if quote.extra != *extra {
        return Err(Fault::untrusted("the quote answers another question: an old one, or another device's"));
    }
    if !quote.clock.safe {
        return Err(Fault::untrusted("the TPM says that its clock may have gone back")
            .fix("switch the device off and on, and start the agent again"));
    }
    Ok(quote)
}

fn is_signed(key: &Public, message: &[u8], signature: &Signature) -> bool {
    match (&key.numbers, signature) {
        (Numbers::Rsa(modulus), Signature::Rsa(signature)) => {
            RsaPublicKeyComponents { n: modulus.as_slice(), e: EXPONENT.as_slice() }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok()
        }
        (Numbers::P256(x, y), Signature::P256(signature)) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(x, y)).verify(message, signature).is_ok()
        }
        _ => false,
    }
}

const EXPONENT: [u8; 3] = [1, 0, 1];

/// A point as X9.62 writes it, uncompressed.
pub(crate) fn point(x: &[u8; 32], y: &[u8; 32]) -> [u8; 65] {
    let mut point = [4; 65];
    point[1..33].copy_from_slice(x);
    point[33..].copy_from_slice(y);
    point
}
