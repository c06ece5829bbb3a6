//! Judges what a security key has signed: a WebAuthn assertion (W3C Web Authentication, section 7.2) by an ES256 key.
//!
//! In: the credential that the account holds, the challenge that the server gave, what the browser sent. Out: the key's new
//! count of signatures, or why not.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

/// Base64url as WebAuthn writes it: without padding, which is taken all the same.
pub const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// User present, in the flags of the authenticator data (section 6.1).
const USER_PRESENT: u8 = 1;
/// RP ID hash, flags, counter; what follows are extensions.
const SHORTEST: usize = 32 + 1 + 4;
/// A key on the P-256 curve as SubjectPublicKeyInfo (RFC 5480): 26 bytes that are always the same, then the point.
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The public half of a person's security key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PublicKeyCredential {
    /// Credential ID, Base64url.
    pub id: String,
    /// ES256 public key: SubjectPublicKeyInfo, Base64url, as a browser's `getPublicKey()` gives it at registration.
    pub public_key: String,
    /// How often the key had signed when it was registered.
    #[serde(default)]
    pub counter: u32,
}

impl PublicKeyCredential {
    /// Of a key on P-256, given as its uncompressed point.
    pub fn of_point(id: &[u8], point: &[u8]) -> Self {
        Self { id: BASE64URL.encode(id), public_key: BASE64URL.encode([&P256_SPKI, point].concat()), counter: 0 }
    }

    /// Whether it can be used at all.
    ///
    /// # Errors
    /// Where its ID is none, or the key is no public key on P-256.
    pub fn check(&self) -> Result<()> {
        if !BASE64URL.decode(&self.id).is_ok_and(|id| (1..=1023).contains(&id.len())) {
            return Err(Fault::refused("a credential's id is not 1 to 1023 bytes in Base64url"));
        }
        self.point()
            .map(|_| ())
            .ok_or_else(|| Fault::refused("a credential's public-key is no P-256 key (SubjectPublicKeyInfo, Base64url)"))
    }

    fn point(&self) -> Option<Vec<u8>> {
        let spki = BASE64URL.decode(&self.public_key).ok()?;
        let point = spki.strip_prefix(&P256_SPKI)?;
        (point.len() == 65 && point[0] == 4).then(|| point.to_vec())
    }
}

/// What a browser sends back, each part in Base64url.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// Credential ID.
    pub id: String,
    /// `clientDataJSON`.
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    /// `authenticatorData`.
    #[serde(rename = "authenticatorData")]
    pub authenticator_data: String,
    /// ECDSA over both, ASN.1.
    pub signature: String,
}

/// Why an assertion is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Not of the form that it must have.
    Malformed,
    /// Of another credential than the account's.
    OtherCredential,
    /// Made for something else than a sign-in.
    OtherType,
    /// Not over the challenge that was given.
    OtherChallenge,
    /// Made for another site's page.
    OtherOrigin,
    /// Made for another relying party.
    OtherParty,
    /// Nobody has touched the key.
    NobodyPresent,
    /// Not by the account's key.
    WrongSignature,
    /// The count has not grown: there may be a copy of the key.
    CounterStuck,
}

#[derive(Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
}

/// Judges an assertion for the relying party `party` (a host name); `count` is the key's last known one.
///
/// # Errors
/// Why it is refused.
pub fn verify(
    credential: &PublicKeyCredential,
    count: u32,
    party: &str,
    challenge: &[u8],
    assertion: &Assertion,
) -> std::result::Result<u32, Refusal> {
    let decode = |text: &str| BASE64URL.decode(text).map_err(|_| Refusal::Malformed);
    if decode(&assertion.id)? != decode(&credential.id)? {
        return Err(Refusal::OtherCredential);
    }
    let client_data = decode(&assertion.client_data)?;
    let said: ClientData = serde_json::from_slice(&client_data).map_err(|_| Refusal::Malformed)?;
    if said.r#type != "webauthn.get" {
        return Err(Refusal::OtherType);
    }
    if decode(&said.challenge)? != challenge {
        return Err(Refusal::OtherChallenge);
    }
    if said.cross_origin || !is_of(&said.origin, party) {
        return Err(Refusal::OtherOrigin);
    }
    let data = decode(&assertion.authenticator_data)?;
    if data.len() < SHORTEST {
        return Err(Refusal::Malformed);
    }
    if data[..32] != Sha256::digest(party)[..] {
        return Err(Refusal::OtherParty);
    }
    if data[32] & USER_PRESENT == 0 {
        return Err(Refusal::NobodyPresent);
    }
    let point = credential.point().ok_or(Refusal::Malformed)?;
    let signed = [&data[..], &Sha256::digest(&client_data)[..]].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
        .verify(&signed, &decode(&assertion.signature)?)
        .map_err(|_| Refusal::WrongSignature)?;
    let new = u32::from_be_bytes([data[33], data[34], data[35], data[36]]);
    // Zero both times: a key that does not count (section 7.2, step 22).
    if (new, count) != (0, 0) && new <= count {
        return Err(Refusal::CounterStuck);
    }
    Ok(new)
}

/// Whether an origin is this host's own, by HTTPS. Any port: virtual devices reach the stand-in by a forwarded one.
pub fn is_of(origin: &str, host: &str) -> bool {
    Url::parse(origin)
        .is_ok_and(|url| url.scheme() == "https" && url.host_str() == Some(host) && url.origin().ascii_serialization() == origin)
}

#[cfg(test)]
mod tests;
