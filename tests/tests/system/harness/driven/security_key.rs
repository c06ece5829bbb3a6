//! A security key that only the browser believes in: a virtual authenticator (W3C Web Authentication, section 11) of CTAP2 on
//! USB, touched at once whenever it is asked.

use base64::Engine as _;
use livery_contract::{Fault, Result};
use reqwest::Method;
use serde_json::{Value, json};
use thirtyfour::{RequestData, SessionId, common::command::FormatRequestData};

use super::{Browser, said};
use livery_tests::{gateway::webauthn::BASE64URL, security_key::PrivateCredential};

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
        let private = credential.private()?;
        self.authenticator(
            &format!("/{number}/credential"),
            json!({
                "credentialId": BASE64URL.encode(credential.id()), "isResidentCredential": false, "rpId": party,
                "privateKey": BASE64URL.encode(private), "signCount": count,
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
