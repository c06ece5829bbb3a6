//! To the station, by HTTPS. Only the authorities that the image names may vouch for it; there is no way to switch the check off.

use std::{fs, time::Duration};

use futures::StreamExt as _;
use livery_contract::{Exit, Fault, Result, envelope::Envelope, fault::FaultReport};
use reqwest::{Certificate, Client, StatusCode, header, redirect};

use super::settings::Settings;

/// How long it may take in all.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of an answer that are read.
const MOST: usize = 64 << 10;
/// Where the station takes it.
const PATH: &str = "/api/v1/confirmations";

/// Sends it; whether the station knew it already.
///
/// # Errors
/// Exit 3 where the authorities can't be read, 5 where the station does not answer; else what it says.
pub(crate) async fn send(settings: &Settings, envelope: &Envelope) -> Result<bool> {
    let url = settings.station.join(PATH).map_err(|error| Fault::refused("the station's URL takes no path").cause(error))?;
    let body = serde_json::to_vec(envelope).map_err(|error| Fault::internal("an envelope is plain data").cause(error))?;
    let unreachable = |error: reqwest::Error| {
        Fault::source("the station does not answer").at(&url).cause(error.without_url()).fix(
            "without a network, the device tries again later. Otherwise check whether devices at home can reach the station (confirm.station)",
        )
    };
    let request = client(settings)?.post(url.clone()).header(header::CONTENT_TYPE, "application/json").body(body);
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let (mut answer, mut parts) = (Vec::new(), response.bytes_stream());
    while let Some(part) = parts.next().await {
        answer.extend_from_slice(&part.map_err(unreachable)?);
        if answer.len() > MOST {
            return Err(Fault::source("the station's answer is over the limit").at(&url));
        }
    }
    match status {
        StatusCode::CREATED => Ok(false),
        StatusCode::OK => Ok(true),
        _ => Err(refusal(status, &answer).at(&url)),
    }
}

fn client(settings: &Settings) -> Result<Client> {
    let broken = |what: &str| Fault::refused(what).at(&settings.authorities);
    let pem = fs::read(&settings.authorities)
        .map_err(|error| broken("the certificate of the station's authority can't be read").cause(error))?;
    let certificates = Certificate::from_pem_bundle(&pem)
        .map_err(|error| broken("the certificate of the station's authority does not parse").cause(error))?;
    Client::builder()
        .tls_certs_only(certificates)
        .https_only(true)
        // A redirection would carry the word to somebody whom nobody named.
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| Fault::internal("HTTPS does not start").cause(error))
}

/// The station's own words where it has some. Something between here and it, such as a network's sign-in page, has none.
fn refusal(status: StatusCode, body: &[u8]) -> Fault {
    match serde_json::from_slice::<FaultReport>(body) {
        Ok(report) => {
            let exit = if report.exit == Exit::Done { Exit::Refused } else { report.exit };
            let fault = Fault::new(exit, format!("the station says: {}", report.what));
            report.fix.into_iter().fold(fault, Fault::fix)
        }
        Err(_) => Fault::source(format!("the server that answers is not a station: {status}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refusal_is_in_the_stations_words_and_never_a_success() {
        let body = serde_json::to_vec(&Fault::untrusted("clock").fix("set it").report()).unwrap();
        let fault = refusal(StatusCode::FORBIDDEN, &body);
        assert_eq!(fault.exit(), Exit::Untrusted);
        assert!(fault.render().contains("the station says: clock") && fault.render().contains("set it"));
        assert_eq!(refusal(StatusCode::FOUND, b"<html>").exit(), Exit::Source);
        let odd = br#"{"exit": "done", "what": "x"}"#;
        assert_eq!(refusal(StatusCode::BAD_REQUEST, odd).exit(), Exit::Refused);
    }
}
