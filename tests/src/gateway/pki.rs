//! The organisation's own certificate authority, and the Gateway's certificate under it.
//!
//! The authority lies in a folder (`ca.pem`, `ca.key`) and is made when absent: its `ca.pem` goes into the profile. The
//! server's certificate is made anew at each start and kept in memory only, so that it can never be an expired one.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::{Fault, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

/// A server's certificate and key, and the authority that vouches for it.
pub struct Identity {
    /// The authority, PEM.
    pub ca_pem: String,
    /// The server's certificate, PEM.
    pub certificate_pem: String,
    /// The server's private key, PEM.
    pub key_pem: String,
    /// Base64 of the SHA-256 over the server's public key (SubjectPublicKeyInfo), as browsers pin it.
    pub spki: String,
}

/// The authority in `folder`, made if absent, and a certificate by it for `hosts` (names or IP addresses).
///
/// # Errors
/// Where the folder can't be read or written, a file in it is damaged, or only one of the two files is there.
pub fn identity(folder: &Path, organisation: &str, hosts: &[String]) -> Result<Identity> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    match (certificate.exists(), key.exists()) {
        (true, true) => {}
        (false, false) => make_authority(folder, organisation)?,
        _ => {
            return Err(Fault::refused("half of a certificate authority: of ca.pem and ca.key only one is there")
                .at(folder.display())
                .fix("bring back the missing file, or remove the other one to have both made anew"));
        }
    }
    let ca_pem = read(&certificate)?;
    let ca_key = KeyPair::from_pem(&read(&key)?).map_err(|error| broken(&key, error))?;
    // An issuer is its name and key; the parameters give the same name as when it was made.
    let issuer = Issuer::new(authority_params(organisation), ca_key);
    let server_key = KeyPair::generate().map_err(|error| Fault::internal("can't make a key").cause(error))?;
    let mut params = CertificateParams::new(hosts).map_err(|error| Fault::usage("not a host name or address").cause(error))?;
    params.distinguished_name.push(DnType::CommonName, hosts.first().map_or("gateway", String::as_str));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = OffsetDateTime::now_utc();
    // A device's clock may be some hours off before it has seen a time server.
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(30);
    let signed = params
        .signed_by(&server_key, &issuer)
        .map_err(|error| Fault::internal("can't sign the server's certificate").cause(error))?;
    let spki = pin(&server_key);
    Ok(Identity { ca_pem, certificate_pem: signed.pem(), key_pem: server_key.serialize_pem(), spki })
}

/// The pin of a server whose private key (PEM) is in this file.
///
/// # Errors
/// Where it can't be read or is no key.
pub fn pin_of_key(path: &Path) -> Result<String> {
    KeyPair::from_pem(&read(path)?).map(|key| pin(&key)).map_err(|error| broken(path, error))
}

fn pin(key: &KeyPair) -> String {
    BASE64_STANDARD.encode(Sha256::digest(key.subject_public_key_info()))
}

fn make_authority(folder: &Path, organisation: &str) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| broken(folder, error))?;
    let key = KeyPair::generate().map_err(|error| Fault::internal("can't make a key").cause(error))?;
    let certificate = authority_params(organisation)
        .self_signed(&key)
        .map_err(|error| Fault::internal("can't make a certificate authority").cause(error))?;
    write(&folder.join("ca.key"), &key.serialize_pem(), 0o600)?;
    write(&folder.join("ca.pem"), &certificate.pem(), 0o644)
}

fn authority_params(organisation: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, organisation);
    params.distinguished_name.push(DnType::CommonName, format!("{organisation} Root CA"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(3650);
    params
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| broken(path, error))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| broken(path, error))
}

fn broken(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::refused("the certificate authority can't be used").cause(error).at(path.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_authority_stays_the_server_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let first = identity(folder.path(), "Assurance", &["gateway.example".into()]).unwrap();
        let second = identity(folder.path(), "Assurance", &["gateway.example".into()]).unwrap();
        assert_eq!(first.ca_pem, second.ca_pem);
        assert_ne!(first.spki, second.spki);
        fs::remove_file(folder.path().join("ca.key")).unwrap();
        assert!(identity(folder.path(), "Assurance", &["gateway.example".into()]).is_err());
    }
}
