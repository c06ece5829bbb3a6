//! The conversation with the station: HTTPS, JSON, each message an envelope signed by this boot's key.
//!
//! In: a payload. Out: the answer's bytes, bounded. Fails with exit 5 where the station does not answer or is in trouble
//! (asking again may help), and with the fault that the station itself gives where it refuses (asking again will not).
//! TLS trusts only the authority that is configured; there is no way to switch the check off.

use std::{str::FromStr as _, time::Duration};

use ed25519_dalek::SigningKey;
use futures::StreamExt as _;
use livery_contract::{
    Digest, Exit, Fault, Result,
    envelope::{Envelope, Payload, PublicKey},
    fault::FaultReport,
    wire::MAX_BODY,
};
use livery_store::{Access, Location};
use reqwest::{Client, StatusCode, header};
use url::Url;

/// How long a message may take in all.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The station, and the key that signs what goes there.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    base: Url,
    client: Client,
    key: SigningKey,
}

impl Station {
    /// Reaches the station at `base`, trusting only these authorities (PEM).
    ///
    /// # Errors
    /// Exit 2 where URL or certificate do not fit.
    pub(crate) fn new(base: &str, access: &Access, key: SigningKey) -> Result<Self> {
        // The same rule as for stores: https, or http on the loopback.
        let Location::Web(base) = Location::from_str(base)? else {
            return Err(Fault::usage("the station's address is not a URL").at(base).fix("give https://HOST:PORT"));
        };
        if base.scheme() == "https" && access.authorities.is_empty() {
            return Err(Fault::usage("the configuration names no authority for the station's certificate")
                .fix("set its certificate: `ca = \"/etc/livery/station-ca.pem\"`, --ca FILE"));
        }
        Ok(Self { base, client: access.client()?, key })
    }

    /// Where the station's store is.
    ///
    /// # Errors
    /// Exit 1; a base URL can always be joined to.
    pub(crate) fn store(&self) -> Result<Location> {
        self.url("store/")?.as_str().parse()
    }

    /// The public half of the key that signs.
    pub(crate) fn key(&self) -> PublicKey {
        PublicKey::of(&self.key)
    }

    /// Signs and sends; gives the answer's body, and the digest of the envelope's bytes as sent.
    ///
    /// # Errors
    /// Exit 5 for no answer or one of 5xx, 408, 429; else what the station says.
    pub(crate) async fn send<P: Payload>(&self, path: &str, payload: &P) -> Result<(Vec<u8>, Digest)> {
        let body = serde_json::to_vec(&Envelope::sign(payload, &self.key))
            .map_err(|error| Fault::internal("an envelope is plain data").cause(error))?;
        let digest = Digest::of(&body);
        let url = self.url(path)?;
        let unreachable = |error: reqwest::Error| {
            Fault::source("the station does not answer")
                .at(&url)
                .cause(error.without_url())
                .fix("check the network cable and the station, and that the authority on this medium has issued its certificate")
        };
        let request = self.client.post(url.clone()).header(header::CONTENT_TYPE, "application/json").timeout(TIMEOUT).body(body);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(part) = stream.next().await {
            bytes.extend_from_slice(&part.map_err(unreachable)?);
            if bytes.len() > MAX_BODY {
                return Err(Fault::source("the station's answer is over the limit").at(&url));
            }
        }
        if status.is_success() { Ok((bytes, digest)) } else { Err(refusal(&url, status, &bytes)) }
    }

    fn url(&self, path: &str) -> Result<Url> {
        self.base.join(path).map_err(|error| Fault::internal("the station's URL").at(path).cause(error))
    }
}

/// The station's own words where it has some; its exit code only where it is no trouble that passes.
fn refusal(url: &Url, status: StatusCode, body: &[u8]) -> Fault {
    let passes = status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    let report: Option<FaultReport> = serde_json::from_slice(body).ok();
    let exit = match &report {
        _ if passes => Exit::Source,
        // A refusal that calls itself a success, or a source fault (which would be asked again for ever), is neither.
        Some(report) if !matches!(report.exit, Exit::Done | Exit::Source) => report.exit,
        _ => Exit::Refused,
    };
    match report {
        Some(report) => {
            let fault = Fault::new(exit, format!("the station says: {}", report.what))
                .at(report.at.map_or_else(|| url.to_string(), |at| format!("{url}: {at}")));
            match report.fix {
                Some(fix) => fault.fix(fix),
                None => fault,
            }
        }
        None => Fault::new(exit, format!("the station answers {status}")).at(url).fix("check the station's log"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn https_needs_its_authority_and_http_is_for_the_loopback() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let access = Access::default();
        assert_eq!(Station::new("https://station.example", &access, key.clone()).unwrap_err().exit().code(), 2);
        assert_eq!(Station::new("http://station.example", &access, key.clone()).unwrap_err().exit().code(), 2);
        assert_eq!(Station::new("/a/folder", &access, key.clone()).unwrap_err().exit().code(), 2);
        let station = Station::new("http://127.0.0.1:1", &access, key).unwrap();
        assert_eq!(station.store().unwrap().to_string(), "http://127.0.0.1:1/store/");
    }

    #[test]
    fn a_refusal_is_final_and_trouble_is_not() {
        let url: Url = "https://station.example/".parse().unwrap();
        let body = serde_json::to_vec(&Fault::untrusted("clock").fix("set it").report()).unwrap();
        assert_eq!(refusal(&url, StatusCode::FORBIDDEN, &body).exit(), Exit::Untrusted);
        assert_eq!(refusal(&url, StatusCode::BAD_GATEWAY, &body).exit(), Exit::Source);
        assert_eq!(refusal(&url, StatusCode::NOT_FOUND, b"<html>").exit(), Exit::Refused);
        let odd = serde_json::to_vec(&Fault::source("x").report()).unwrap();
        assert_eq!(refusal(&url, StatusCode::BAD_REQUEST, &odd).exit(), Exit::Refused);
    }
}
