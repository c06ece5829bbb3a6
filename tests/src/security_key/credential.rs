//! The key pair in a security key, and what it signs: a WebAuthn assertion (W3C Web Authentication, section 6.3.3).

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::Engine as _;
use livery_contract::{Fault, Result};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::gateway::webauthn::{Assertion, BASE64URL, PublicKeyCredential};

/// User present, in the flags of the authenticator data.
const USER_PRESENT: u8 = 1;

/// A person's key pair.
pub struct PrivateCredential {
    id: Vec<u8>,
    pair: EcdsaKeyPair,
}

impl PrivateCredential {
    /// A new one under this credential ID.
    ///
    /// # Errors
    /// Where the system gives no randomness.
    pub fn generate(id: &[u8]) -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| Fault::internal("can't make a key"))?;
        Ok(Self { id: id.to_owned(), pair })
    }

    /// Its ID.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// The secret half, PKCS#8.
    ///
    /// # Errors
    /// Where it does not encode.
    pub fn private(&self) -> Result<Vec<u8>> {
        let private = self.pair.to_pkcs8v1().map_err(|_| Fault::internal("a private key does not encode"))?;
        Ok(private.as_ref().to_vec())
    }

    /// The half that the server knows.
    pub fn public(&self) -> PublicKeyCredential {
        PublicKeyCredential::of_point(&self.id, self.pair.public_key().as_ref())
    }

    /// What a browser would send for it: signed for a page of this origin, a relying party, a challenge (Base64url) and a count.
    ///
    /// # Errors
    /// Where it can't be signed.
    pub fn sign(&self, origin: &str, party: &str, challenge: &str, count: u32) -> Result<Assertion> {
        let client_data =
            json!({ "type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": false }).to_string();
        let (data, signature) = self.assert(party, &Sha256::digest(&client_data), true, count)?;
        Ok(Assertion {
            id: BASE64URL.encode(&self.id),
            client_data: BASE64URL.encode(client_data),
            authenticator_data: BASE64URL.encode(data),
            signature: BASE64URL.encode(signature),
        })
    }

    /// What the key itself gives: the authenticator data for a relying party, whether somebody has touched it, and a count; and its
    /// signature over these and the client data's SHA-256.
    ///
    /// # Errors
    /// Where it can't be signed.
    pub fn assert(&self, party: &str, client_data: &[u8], present: bool, count: u32) -> Result<(Vec<u8>, Vec<u8>)> {
        let flags = if present { USER_PRESENT } else { 0 };
        let data = [&Sha256::digest(party)[..], &[flags], &count.to_be_bytes()].concat();
        let signed = [&data[..], client_data].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).map_err(|_| Fault::internal("can't sign"))?;
        Ok((data, signature.as_ref().to_vec()))
    }
}

impl fmt::Debug for PrivateCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateCredential(…)")
    }
}
