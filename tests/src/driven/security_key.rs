//! A security key that only the browser believes in: a virtual authenticator (W3C Web Authentication, section 11) of CTAP2 on
//! USB, touched at once whenever it is asked.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::Engine as _;
use livery_contract::{Fault, Result};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use thirtyfour::{RequestData, SessionId, common::command::FormatRequestData};

use super::{Browser, said};
use crate::gateway::webauthn::{Assertion, BASE64URL, PublicKeyCredential};

/// A person's key pair, as it lies in a security key.
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

    /// What a browser would send for it: signed for a page of this origin, a relying party, a challenge (Base64url) and a count.
    ///
    /// # Errors
    /// Where it can't be signed.
    pub fn sign(&self, origin: &str, party: &str, challenge: &str, count: u32) -> Result<Assertion> {
        let client_data =
            json!({ "type": "webauthn.get", "challenge": challenge, "origin": origin, "crossOrigin": false }).to_string();
        let data = [&Sha256::digest(party)[..], &[1], &count.to_be_bytes()].concat();
        let signed = [&data[..], &Sha256::digest(&client_data)[..]].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).map_err(|_| Fault::internal("can't sign"))?;
        Ok(Assertion {
            id: BASE64URL.encode(&self.id),
            client_data: BASE64URL.encode(client_data),
            authenticator_data: BASE64URL.encode(data),
            signature: BASE64URL.encode(signature),
        })
    }

    /// The half that the server knows.
    pub fn public(&self) -> PublicKeyCredential {
        PublicKeyCredential::of_point(&self.id, self.pair.public_key().as_ref())
    }
}

impl fmt::Debug for PrivateCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateCredential(…)")
    }
}

impl Browser {
    /// Plugs in a security key for the relying party `party`, with this key pair and this count of signatures in it.
    ///
    /// # Errors
    /// Where the browser takes none.
    pub async fn plug_in(&self, party: &str, credential: &PrivateCredential, count: u32) -> Result<()> {
        let plugged = self
            .authenticator(
                "",
                json!({
                    "protocol": "ctap2", "transport": "usb", "hasResidentKey": false, "hasUserVerification": false,
                    "isUserConsenting": true, "isUserVerified": false,
                }),
            )
            .await?;
        let number = plugged.as_str().ok_or_else(|| Fault::device(format!("a security key has no number: {plugged}")))?;
        let private = credential.pair.to_pkcs8v1().map_err(|_| Fault::internal("a private key does not encode"))?;
        self.authenticator(
            &format!("/{number}/credential"),
            json!({
                "credentialId": BASE64URL.encode(&credential.id), "isResidentCredential": false, "rpId": party,
                "privateKey": BASE64URL.encode(private.as_ref()), "signCount": count,
            }),
        )
        .await
        .map(|_| ())
    }

    async fn authenticator(&self, path: &str, parameters: Value) -> Result<Value> {
        let command = Authenticator { path: path.to_owned(), parameters };
        let answer = self.driver().handle().cmd(command).await.map_err(said("a security key"))?;
        answer.value_json().map_err(said("a security key"))
    }
}

/// WebDriver's commands for virtual authenticators.
#[derive(Debug)]
struct Authenticator {
    path: String,
    parameters: Value,
}

impl FormatRequestData for Authenticator {
    fn format_request(&self, session: &SessionId) -> RequestData {
        RequestData::new(Method::POST, format!("session/{session}/webauthn/authenticator{}", self.path))
            .add_body(self.parameters.clone())
    }
}
