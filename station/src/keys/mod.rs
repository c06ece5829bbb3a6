//! `livery-station keygen`: makes the station's keys, and reads them back.
//!
//! Out come `job.key` (Ed25519, PKCS #8 PEM), `job.pub` (64 hexadecimal digits; what the agent's medium carries),
//! and from [`authority`] `ca.pem`, `ca.key`, `tls.pem`, `tls.key`. Private files are 0600.
//! Fails with `Refused` where any of them is there already: overwriting a key cuts off every medium made with it.

mod authority;
mod files;
pub mod tls;

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes, spki::der::pem::LineEnding},
};
use livery_contract::{Fault, Result, envelope::PublicKey};

use self::files::{read, read_private, write_new};

/// What `keygen` made.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Made {
    /// The job-signing public key, as in `job.pub`.
    pub job_key: PublicKey,
    /// The files, private ones included.
    pub files: Vec<PathBuf>,
}

/// Makes all keys in `out`, for a server that is reached as any of `hosts` (DNS names or IP addresses).
///
/// # Errors
/// `Usage` for a bad host, `Refused` where a file is there already, `Source` where writing fails.
pub fn generate(out: &Path, hosts: &[String]) -> Result<Made> {
    let issued = authority::issue(hosts)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Fault::internal("the kernel returned no random bytes").cause(error.to_string()))?;
    let key = SigningKey::from_bytes(&seed);
    // PKCS #8 version 1, without the public half: version 2 is not read by every tool.
    let pem = KeypairBytes { secret_key: seed, public_key: None }
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| Fault::internal("the job key does not encode").cause(error.to_string()))?;
    let public = PublicKey::of(&key);

    const PRIVATE: u32 = 0o600;
    const PUBLIC: u32 = 0o644;
    let files = [
        ("job.key", PRIVATE, pem.as_bytes().to_vec()),
        ("job.pub", PUBLIC, format!("{public}\n").into_bytes()),
        ("ca.key", PRIVATE, issued.authority_key.into_bytes()),
        ("ca.pem", PUBLIC, issued.authority.into_bytes()),
        ("tls.key", PRIVATE, issued.key.into_bytes()),
        ("tls.pem", PUBLIC, issued.certificate.into_bytes()),
    ];
    let there: Vec<&str> = files.iter().map(|(name, ..)| *name).filter(|name| out.join(name).symlink_metadata().is_ok()).collect();
    if !there.is_empty() {
        return Err(Fault::refused(format!("keys already exist: {}", there.join(", ")))
            .at(out.display())
            .fix("keep them, because media carry their public halves, or choose another folder"));
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(out)
        .map_err(|error| Fault::source("the key folder cannot be created").at(out.display()).cause(error))?;
    let mut made = Vec::new();
    for (name, mode, bytes) in files {
        let path = out.join(name);
        write_new(&path, mode, &bytes)?;
        made.push(path);
    }
    Ok(Made { job_key: public, files: made })
}

/// Reads the job-signing key of a folder made by [`generate`].
///
/// # Errors
/// `Refused` where it is not there, `Untrusted` where it is no such key or not the one that `job.pub` names.
pub fn job_key(keys: &Path) -> Result<SigningKey> {
    let path = keys.join("job.key");
    let text = read_private(&path)?;
    let key = SigningKey::from_pkcs8_pem(&text).map_err(|error| {
        Fault::untrusted("this is not an Ed25519 private key in PKCS #8 PEM").at(path.display()).cause(error.to_string())
    })?;
    let public = public_keys(keys)?;
    if public.first() != Some(&PublicKey::of(&key)) {
        return Err(Fault::untrusted("job.pub is not the public half of job.key")
            .at(keys.display())
            .fix("devices trust job.pub: restore the pair that their media were made with"));
    }
    Ok(key)
}

/// The public keys of `job.pub`: the one in use, then earlier ones, whose records still stand.
///
/// # Errors
/// `Refused` where it is not there, `Untrusted` where a line is no key.
pub fn public_keys(keys: &Path) -> Result<Vec<PublicKey>> {
    let path = keys.join("job.pub");
    let text = read(&path)?;
    let keys = text
        .lines()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::parse)
        .collect::<Result<Vec<PublicKey>>>()
        .map_err(|fault| Fault::untrusted(fault.to_string()).at(path.display()))?;
    if keys.is_empty() {
        return Err(Fault::untrusted("the file contains no key").at(path.display()));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("keys");
        let made = generate(&out, &["station.factory.example".into(), "127.0.0.1".into()]).unwrap();
        assert_eq!(PublicKey::of(&job_key(&out).unwrap()), made.job_key);
        assert_eq!(public_keys(&out).unwrap(), [made.job_key]);
        for name in ["job.key", "ca.key", "tls.key"] {
            let mode = std::fs::metadata(out.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let before = std::fs::read(out.join("job.key")).unwrap();
        let fault = generate(&out, &["station.factory.example".into()]).unwrap_err();
        assert_eq!(fault.exit().code(), 3);
        assert_eq!(std::fs::read(out.join("job.key")).unwrap(), before);
    }

    #[test]
    fn a_pair_that_does_not_match_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            generate(&folder.path().join(name), &["s.example".into()]).unwrap();
        }
        std::fs::copy(folder.path().join("a/job.pub"), folder.path().join("b/job.pub")).unwrap();
        assert_eq!(job_key(&folder.path().join("b")).unwrap_err().exit().code(), 4);
        std::fs::write(folder.path().join("a/job.key"), "nonsense").unwrap();
        assert_eq!(job_key(&folder.path().join("a")).unwrap_err().exit().code(), 4);
        assert_eq!(job_key(&folder.path().join("c")).unwrap_err().exit().code(), 3);
    }
}
