//! A secret that only the organisation can read: RSAES-OAEP with SHA-256 (RFC 8017, section 7.1), the one public-key encryption that
//! every key store and `openssl pkeyutl` know.

use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::{Fault, Result};

/// Encrypts `secret` to a public key (SubjectPublicKeyInfo, PEM). Base64.
///
/// # Errors
/// Exit 4 where the key is none that can be used.
pub(crate) fn encrypt(secret: &[u8], public: &str) -> Result<String> {
    let bad = || {
        Fault::untrusted("the image's recovery key is not an RSA public key (SubjectPublicKeyInfo, PEM)")
            .fix("put the recovery.pem that `livery keygen` made into the key folder, and build the master again")
    };
    let body: String = public.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = BASE64_STANDARD.decode(body).map_err(|_| bad())?;
    let key = PublicEncryptingKey::from_der(&der).map_err(|_| bad())?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| bad())?;
    let mut room = vec![0; key.ciphertext_size()];
    let sealed = key
        .encrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut room, None)
        .map_err(|_| Fault::internal("the recovery key can't be encrypted"))?;
    Ok(BASE64_STANDARD.encode(sealed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_lc_rs::{
        encoding::{AsDer as _, PublicKeyX509Der},
        rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey},
    };

    use super::*;

    #[test]
    fn only_the_private_key_reads_it() {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(der.as_ref()));
        let (one, other) = (encrypt(b"secret", &pem).unwrap(), encrypt(b"secret", &pem).unwrap());
        assert_ne!(one, other, "the padding is random");
        let key = OaepPrivateDecryptingKey::new(key).unwrap();
        let mut room = vec![0; key.min_output_size()];
        let sealed = BASE64_STANDARD.decode(one).unwrap();
        assert_eq!(key.decrypt(&OAEP_SHA256_MGF1SHA256, &sealed, &mut room, None).unwrap(), b"secret");
        for bad in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "%"] {
            assert_eq!(encrypt(b"secret", bad).unwrap_err().exit().code(), 4, "{bad}");
        }
    }
}
