//! Signed bytes: a DSSE envelope (Dead Simple Signing Envelope v1) with Ed25519 (RFC 8032).
//!
//! The payload's type is signed along with it, so that a record can never be taken for a job.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    digest::Digest,
    fault::{Fault, Result},
};

/// The most bytes that a payload may have.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// A type that travels signed.
pub trait Payload: Serialize + DeserializeOwned {
    /// DSSE `payloadType`.
    const TYPE: &'static str;
}

/// A DSSE envelope with exactly one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Base64 of the payload's bytes.
    payload: String,
    /// Which type the payload is.
    #[serde(rename = "payloadType")]
    payload_type: String,
    /// The signatures; we make and accept one.
    signatures: [EnvelopeSignature; 1],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    keyid: String,
    sig: String,
}

/// A public key, as text: 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The public half of a private key.
    pub fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key())
    }

    /// Names the key: the first digits of the digest of its bytes. A hint for people, never a proof.
    pub fn id(&self) -> String {
        Digest::of(self.0.as_bytes()).short()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes)
            .map_err(|_| Fault::untrusted("not an Ed25519 public key (64 hexadecimal digits)"))?;
        let key = VerifyingKey::from_bytes(&bytes)
            .map_err(|error| Fault::untrusted("not an Ed25519 public key").cause(error.to_string()))?;
        Ok(Self(key))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// DSSE's pre-authentication encoding: what is signed.
fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs a payload.
    pub fn sign<P: Payload>(payload: &P, key: &SigningKey) -> Self {
        let bytes = serde_json::to_vec(payload).unwrap_or_else(|error| unreachable!("plain data: {error}"));
        let signature = key.sign(&pae(P::TYPE, &bytes));
        Self {
            payload: BASE64_STANDARD.encode(&bytes),
            payload_type: P::TYPE.to_owned(),
            signatures: [EnvelopeSignature { keyid: PublicKey::of(key).id(), sig: BASE64_STANDARD.encode(signature.to_bytes()) }],
        }
    }

    /// The payload, if `key` signed it as a `P`.
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) for another type, another key, or anything malformed.
    pub fn open<P: Payload>(&self, key: &PublicKey) -> Result<P> {
        let bytes = self.payload_bytes::<P>()?;
        let bad = || Fault::untrusted(format!("the signature of a {} is not by the trusted key ({})", P::TYPE, key.id()));
        let signature = BASE64_STANDARD.decode(&self.signatures[0].sig).map_err(|_| bad())?;
        let signature = Signature::from_slice(&signature).map_err(|_| bad())?;
        // `verify_strict` refuses small-order keys, with which one signature would fit several messages.
        key.0.verify_strict(&pae(P::TYPE, &bytes), &signature).map_err(|_| bad())?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Fault::untrusted(format!("a signed {} does not parse", P::TYPE)).cause(error))
    }

    /// The payload *before* its signature is checked: only to learn which key it claims, then call [`open`](Self::open).
    ///
    /// # Errors
    /// [`Exit::Untrusted`](crate::Exit::Untrusted) for another type or anything malformed.
    pub fn peek<P: Payload>(&self) -> Result<P> {
        serde_json::from_slice(&self.payload_bytes::<P>()?)
            .map_err(|error| Fault::untrusted(format!("a signed {} does not parse", P::TYPE)).cause(error))
    }

    fn payload_bytes<P: Payload>(&self) -> Result<Vec<u8>> {
        if self.payload_type != P::TYPE {
            return Err(Fault::untrusted(format!("expected a signed {}, got a {:.100}", P::TYPE, self.payload_type)));
        }
        if self.payload.len() / 4 * 3 > MAX_PAYLOAD {
            return Err(Fault::untrusted(format!("a signed {} is over the limit of {MAX_PAYLOAD} bytes", P::TYPE)));
        }
        BASE64_STANDARD.decode(&self.payload).map_err(|error| Fault::untrusted("an envelope's payload is not Base64").cause(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note(String);
    impl Payload for Note {
        const TYPE: &'static str = "application/vnd.livery.note+json";
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Other(String);
    impl Payload for Other {
        const TYPE: &'static str = "application/vnd.livery.other+json";
    }

    #[test]
    fn only_the_right_key_and_type_open_it() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let envelope = Envelope::sign(&Note("hello".into()), &key);
        let public = PublicKey::of(&key);
        assert_eq!(envelope.open::<Note>(&public).unwrap(), Note("hello".into()));
        assert!(envelope.open::<Other>(&public).is_err());
        assert!(envelope.open::<Note>(&PublicKey::of(&SigningKey::from_bytes(&[8; 32]))).is_err());

        let text = serde_json::to_string(&envelope).unwrap();
        let mut forged: Envelope = serde_json::from_str(&text).unwrap();
        forged.payload = BASE64_STANDARD.encode(br#""hellp""#);
        assert!(forged.open::<Note>(&public).is_err());
        forged = envelope.clone();
        forged.payload_type = Other::TYPE.into();
        assert!(forged.open::<Other>(&public).is_err(), "the type is signed too");
    }

    #[test]
    fn keys_round_trip_as_text() {
        let public = PublicKey::of(&SigningKey::from_bytes(&[7; 32]));
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        assert!("zz".parse::<PublicKey>().is_err());
    }
}
