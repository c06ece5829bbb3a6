//! How a server is reached: whom it is trusted by, and how long it may take.

use std::time::Duration;

use livery_contract::{Fault, Result};
use reqwest::Client;

/// How long a server may say nothing before it counts as gone.
pub(super) const SILENCE: Duration = Duration::from_secs(20);

/// What is needed to reach a store behind HTTPS. An object store's credentials come from the environment.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Certificates (PEM) of the authorities that may vouch for the server. Where there is one, only these count;
    /// without any, the system's.
    pub authorities: Vec<Vec<u8>>,
}

impl Access {
    /// An HTTP client that trusts just these authorities and follows no redirect: a store lies where it was said to lie.
    ///
    /// # Errors
    /// [`Exit::Usage`](livery_contract::Exit::Usage) where a certificate does not parse.
    pub fn client(&self) -> Result<Client> {
        let mut builder = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("livery/", env!("CARGO_PKG_VERSION")));
        let mut certificates = Vec::new();
        for pem in &self.authorities {
            let bundle = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| Fault::usage("an authority's certificate does not parse").cause(error))?;
            if bundle.is_empty() {
                return Err(Fault::usage("the file of an authority holds no certificate")
                    .fix("give a PEM file: -----BEGIN CERTIFICATE-----"));
            }
            certificates.extend(bundle);
        }
        if !certificates.is_empty() {
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map_err(|error| Fault::internal("the HTTP client can't be set up").cause(error))
    }
}
