//! The server's TLS certificate, read back.

use std::path::Path;

use axum_server::tls_rustls::RustlsConfig;
use livery_contract::{Fault, Result};

use super::files;

/// Reads `tls.pem` and `tls.key` of a folder made by `keygen`.
///
/// # Errors
/// `Refused` where they are not there, `Untrusted` where they do not fit each other.
pub async fn load(keys: &Path) -> Result<RustlsConfig> {
    let certificate = files::read(&keys.join("tls.pem"))?;
    let key = files::read_private(&keys.join("tls.key"))?;
    RustlsConfig::from_pem(certificate.into_bytes(), key.into_bytes()).await.map_err(|error| {
        Fault::untrusted("tls.pem and tls.key are not a certificate and its private key")
            .at(keys.display())
            .fix("make keys with `livery-station keygen`, or install a certificate for the station's names with its key (PEM)")
            .cause(error)
    })
}
