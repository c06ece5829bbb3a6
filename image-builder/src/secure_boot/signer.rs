//! A private RSA key and its certificate: read from files, and checked to be a pair that firmware can use.

use std::{fs::File, io::Read as _, path::Path};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_contract::{Digest, Fault, Result};
use x509_parser::{
    pem::Pem,
    prelude::{FromDer as _, X509Certificate},
};

/// The private key that signs EFI programs, in the keys' folder.
pub(crate) const KEY: &str = "secure-boot.key";
/// Its certificate.
pub(crate) const CERTIFICATE: &str = "secure-boot.pem";
/// RSA moduli in bytes: less is broken, more is refused by some firmware.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;
/// The most bytes that such a file has.
const MOST: u64 = 64 << 10;

pub(crate) struct Signer {
    key: RsaKeyPair,
    certificate: Vec<u8>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("certificate", &self.digest()).finish_non_exhaustive()
    }
}

impl Signer {
    /// The pair that signs EFI programs, of the folder that `livery keygen` made. One's own pair may lie there instead.
    ///
    /// # Errors
    /// Exit 2 where it is not there, 3 where it is no pair, or not one that firmware takes.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        Self::open_pair(folder, KEY, CERTIFICATE)
    }

    /// Another pair of that folder.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_pair(folder: &Path, key: &str, certificate: &str) -> Result<Self> {
        let (key_path, certificate_path) = (folder.join(key), folder.join(certificate));
        let key = pem(&key_path, "PRIVATE KEY")?;
        let certificate = pem(&certificate_path, "CERTIFICATE")?;
        Self::new(&key, certificate).map_err(|fault| fault.at(format!("{}, {}", key_path.display(), certificate_path.display())))
    }

    /// From a private key (PKCS #8, DER) and a certificate (DER).
    ///
    /// # Errors
    /// Exit 3 where they are no pair, or not one that firmware takes.
    pub(crate) fn new(key: &[u8], certificate: Vec<u8>) -> Result<Self> {
        const FIX: &str = "restore the pair that `livery keygen` made; firmware takes RSA keys of 2048 to 4096 bits";
        let key = RsaKeyPair::from_pkcs8(key)
            .map_err(|error| Fault::refused("not an RSA private key (PKCS #8)").cause(error.to_string()).fix(FIX))?;
        if !MODULUS.contains(&key.public_modulus_len()) {
            return Err(Fault::refused(format!("an RSA key of {} bits can't be used", key.public_modulus_len() * 8)).fix(FIX));
        }
        let bad = |error: String| Fault::refused("the certificate does not parse").cause(error).fix(FIX);
        let (rest, parsed) = X509Certificate::from_der(&certificate).map_err(|error| bad(error.to_string()))?;
        if !rest.is_empty() {
            return Err(bad(format!("{} bytes follow it", rest.len())));
        }
        if *parsed.public_key().subject_public_key.data != *key.public_key().as_ref() {
            return Err(Fault::refused("key and certificate do not belong together").fix(FIX));
        }
        let (issuer, serial) = (parsed.issuer().as_raw().to_vec(), parsed.raw_serial().to_vec());
        Ok(Self { key, certificate, issuer, serial })
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2): the same bytes for the same message.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| Fault::internal("the key does not sign"))?;
        Ok(signature)
    }

    /// The certificate, DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate, PEM.
    pub(crate) fn certificate_pem(&self) -> String {
        to_pem(&self.certificate)
    }

    /// SHA-256 of the certificate: what firmware setup pages and browsers show as its fingerprint.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.certificate)
    }

    /// The issuer's name, DER.
    pub(super) fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The serial number, as its INTEGER's content.
    pub(super) fn serial(&self) -> &[u8] {
        &self.serial
    }
}

/// DER as a PEM block (RFC 7468).
fn to_pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

/// The one PEM block of a file.
fn pem(path: &Path, label: &str) -> Result<Vec<u8>> {
    let missing = |error: std::io::Error| {
        Fault::usage("a signing key can't be read")
            .at(path.display())
            .cause(error)
            .fix("`livery keygen --out DIR` adds the missing key to a key folder and does not change the others")
    };
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut text)).map_err(missing)?;
    let wrong = |what: String| Fault::refused(what).at(path.display()).fix(format!("it must be one PEM block: {label}"));
    let mut blocks = Pem::iter_from_buffer(&text);
    let block = match blocks.next() {
        Some(Ok(block)) => block,
        Some(Err(error)) => return Err(wrong("the file is not PEM".into()).cause(error.to_string())),
        None => return Err(wrong("there is no PEM block in the file".into())),
    };
    if blocks.next().is_some() {
        return Err(wrong("the file holds more than one PEM block".into()));
    }
    if block.label == label {
        Ok(block.contents)
    } else {
        Err(wrong(format!("the file holds {:?}", block.label.chars().take(40).collect::<String>())))
    }
}
