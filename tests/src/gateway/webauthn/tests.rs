#![allow(clippy::unwrap_used)]
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::json;

use super::*;

const PARTY: &str = "gateway.assurance.example";
const CHALLENGE: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A security key, and what it is told to say.
struct Key {
    pair: EcdsaKeyPair,
    r#type: &'static str,
    challenge: &'static [u8],
    origin: &'static str,
    cross: bool,
    party: &'static str,
    flags: u8,
    count: u32,
}

impl Key {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let origin = "https://gateway.assurance.example:8443";
        Self { pair, r#type: "webauthn.get", challenge: CHALLENGE, origin, cross: false, party: PARTY, flags: 1, count: 7 }
    }

    fn credential(&self) -> PublicKeyCredential {
        PublicKeyCredential::of_point(b"key", self.pair.public_key().as_ref())
    }

    fn signs(&self) -> Assertion {
        let client_data = json!({
            "type": self.r#type, "challenge": BASE64URL.encode(self.challenge), "origin": self.origin, "crossOrigin": self.cross,
        });
        let client_data = client_data.to_string();
        let data = [&Sha256::digest(self.party)[..], &[self.flags], &self.count.to_be_bytes()].concat();
        let signed = [&data[..], &Sha256::digest(&client_data)[..]].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        Assertion {
            id: BASE64URL.encode("key"),
            client_data: BASE64URL.encode(client_data),
            authenticator_data: BASE64URL.encode(data),
            signature: BASE64URL.encode(signature),
        }
    }

    fn judged(&self, count: u32) -> std::result::Result<u32, Refusal> {
        verify(&self.credential(), count, PARTY, CHALLENGE, &self.signs())
    }
}

#[test]
fn a_right_answer() {
    let key = Key::new();
    key.credential().check().unwrap();
    assert_eq!(key.judged(0), Ok(7));
    assert_eq!(Key { flags: 0b101, ..Key::new() }.judged(6), Ok(7), "user verified as well");
    assert_eq!(Key { origin: "https://gateway.assurance.example", ..Key::new() }.judged(0), Ok(7));
}

#[test]
fn each_wrong_part() {
    for (key, refusal) in [
        (Key { r#type: "webauthn.create", ..Key::new() }, Refusal::OtherType),
        (Key { challenge: b"another", ..Key::new() }, Refusal::OtherChallenge),
        (Key { origin: "https://evil.example", ..Key::new() }, Refusal::OtherOrigin),
        (Key { origin: "http://gateway.assurance.example", ..Key::new() }, Refusal::OtherOrigin),
        (Key { origin: "https://gateway.assurance.example.evil.example", ..Key::new() }, Refusal::OtherOrigin),
        (Key { origin: "https://gateway.assurance.example@evil.example", ..Key::new() }, Refusal::OtherOrigin),
        (Key { origin: "https://gateway.assurance.example/", ..Key::new() }, Refusal::OtherOrigin),
        (Key { cross: true, ..Key::new() }, Refusal::OtherOrigin),
        (Key { party: "evil.example", ..Key::new() }, Refusal::OtherParty),
        (Key { flags: 0b100, ..Key::new() }, Refusal::NobodyPresent),
    ] {
        assert_eq!(key.judged(0), Err(refusal));
    }
}

#[test]
fn only_the_accounts_key() {
    let (key, other) = (Key::new(), Key::new());
    assert_eq!(verify(&key.credential(), 0, PARTY, CHALLENGE, &other.signs()), Err(Refusal::WrongSignature));
    let credential = PublicKeyCredential { id: BASE64URL.encode("other"), ..key.credential() };
    assert_eq!(verify(&credential, 0, PARTY, CHALLENGE, &key.signs()), Err(Refusal::OtherCredential));
    // What is signed may not be changed after.
    let (mut changed, newer) = (key.signs(), Key { count: 8, ..Key::new() }.signs());
    changed.authenticator_data = newer.authenticator_data;
    assert_eq!(verify(&key.credential(), 0, PARTY, CHALLENGE, &changed), Err(Refusal::WrongSignature));
}

#[test]
fn the_counter_grows() {
    assert_eq!(Key::new().judged(7), Err(Refusal::CounterStuck));
    assert_eq!(Key::new().judged(8), Err(Refusal::CounterStuck));
    assert_eq!(Key { count: 0, ..Key::new() }.judged(1), Err(Refusal::CounterStuck), "once counted, always");
    assert_eq!(Key { count: 0, ..Key::new() }.judged(0), Ok(0), "a key that does not count");
}

#[test]
fn malformed_ones() {
    let key = Key::new();
    let good = key.signs();
    for bad in [
        Assertion { client_data: "%".into(), ..good.clone() },
        Assertion { client_data: BASE64URL.encode("{}"), ..good.clone() },
        Assertion { authenticator_data: BASE64URL.encode([0; 36]), ..good.clone() },
        Assertion { id: "%".into(), ..good.clone() },
    ] {
        assert_eq!(verify(&key.credential(), 0, PARTY, CHALLENGE, &bad), Err(Refusal::Malformed), "{bad:?}");
    }
    let bad = Assertion { signature: String::new(), ..good };
    assert_eq!(verify(&key.credential(), 0, PARTY, CHALLENGE, &bad), Err(Refusal::WrongSignature));
    for bad in ["", "%", "BAAA"] {
        assert!(PublicKeyCredential { public_key: bad.into(), ..key.credential() }.check().is_err());
        assert!(PublicKeyCredential { id: if bad == "BAAA" { "" } else { bad }.into(), ..key.credential() }.check().is_err());
    }
}
