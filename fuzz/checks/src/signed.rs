//! Messages as JSON, and in an envelope that is made here, by the DSSE specification and not by our own code.

use std::fmt::Debug;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use livery_contract::envelope::{Envelope, Payload, PublicKey};
use serde::{Serialize, de::DeserializeOwned};

/// A type that no message has.
const OTHER: &str = "application/vnd.livery.other+json";

/// The key that signs the envelopes among the seeds.
pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// A `T` in JSON, if it is one.
///
/// # Panics
/// Where it is not written and read back the same.
pub fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(input).ok()?;
    let bytes = serde_json::to_vec(&value).unwrap_or_else(|error| panic!("{value:?} cannot be written: {error}"));
    let again: T = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{value:?} cannot be read back: {error}"));
    assert_eq!(again, value, "written and read back it is another");
    Some(value)
}

/// As [`json`], and signed.
///
/// # Panics
/// Where it does not open under its key and type, or opens after a change.
pub fn message<T: Payload + PartialEq + Debug>(input: &[u8]) -> Option<T> {
    let value: T = json(input)?;
    let public = PublicKey::of(&key());
    let open = |envelope: &Envelope| envelope.open::<T>(&public);

    let ours = signature(T::TYPE, input);
    let envelope = envelope_of(T::TYPE, input, &ours);
    assert_eq!(open(&envelope).ok().as_ref(), Some(&value), "a signed message does not open");
    assert_eq!(open(&Envelope::sign(&value, &key())).ok().as_ref(), Some(&value), "one that we sign does not open");

    let stranger = PublicKey::of(&SigningKey::from_bytes(&[8; 32]));
    assert!(envelope.open::<T>(&stranger).is_err(), "it opens under another key");
    let other = envelope_of(OTHER, input, &signature(OTHER, input));
    assert!(open(&other).is_err() && other.peek::<T>().is_err(), "another type opens as this one");
    assert!(open(&envelope_of(OTHER, input, &ours)).is_err(), "it opens under the name of another type");
    // The same message to a parser, but not what was signed.
    let changed = [input, b" "].concat();
    assert!(open(&envelope_of(T::TYPE, &changed, &ours)).is_err(), "it opens after a change");
    Some(value)
}

/// DSSE v1, "Signature Definition": over `"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`.
fn signature(payload_type: &str, payload: &[u8]) -> String {
    let mut signed = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    signed.extend_from_slice(payload);
    BASE64_STANDARD.encode(key().sign(&signed).to_bytes())
}

fn envelope_of(payload_type: &str, payload: &[u8], signature: &str) -> Envelope {
    let json = serde_json::json!({
        "payload": BASE64_STANDARD.encode(payload),
        "payloadType": payload_type,
        "signatures": [{ "keyid": "", "sig": signature }],
    });
    serde_json::from_value(json).unwrap_or_else(|error| panic!("an envelope by the specification does not parse: {error}"))
}
