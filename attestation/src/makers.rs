//! Whether an endorsement key is of a TPM by a maker that the site trusts.
//!
//! The site's folder holds the certificates of makers' authorities (roots and intermediates, `*.pem`, `*.crt`, `*.der`, `*.cer`), and under
//! `ek/`, for TPMs that do not carry theirs (AMD's firmware TPM, older ones of Intel), the certificates of endorsement keys as fetched from
//! the makers' servers. `ek/allowed.txt`, where it is there, lists the only endorsement keys that are admitted.
//!
//! Not by a library for web servers' certificates: makers' authorities have policies marked critical, and no server's usage, which such a
//! library refuses (rustls-webpki: 21 of 143). What is checked: signatures, validity, who may sign for whom, and that the last one is for an
//! endorsement key (TCG EK Credential Profile, section 3.2).

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use livery_contract::{
    Digest, Fault, Result,
    tpm::public::{Numbers, Public},
};
use x509_parser::{
    certificate::X509Certificate,
    oid_registry::{self as oid, Oid},
    prelude::FromDer as _,
    public_key::PublicKey,
    time::ASN1Time,
};

/// The most authorities between an endorsement key and a trusted one.
const MOST_BETWEEN: usize = 4;
/// The most bytes of one certificate.
pub const MAX_CERTIFICATE: usize = 8 << 10;
/// The most files of the folder.
const MOST_FILES: usize = 10_000;
/// `tcg-kp-EKCertificate` (TCG EK Credential Profile, section 3.2.16).
const FOR_EK: &str = "2.23.133.8.1";

/// Makers' authorities, and what is known of single endorsement keys.
#[derive(Debug, Default)]
pub struct Makers {
    /// Each a certificate in DER.
    authorities: Vec<Vec<u8>>,
    /// Certificates of endorsement keys that do not carry theirs, by [`id`].
    fetched: HashMap<Digest, Vec<u8>>,
    /// The only ones that are admitted, by [`id`]; all of these makers where there is no such list.
    allowed: Option<HashSet<Digest>>,
}

/// Names an endorsement key: SHA-256 over its modulus, or over both its coordinates.
pub fn id(key: &Public) -> Digest {
    match &key.numbers {
        Numbers::Rsa(modulus) => Digest::of(modulus),
        Numbers::P256(x, y) => Digest::of(&[&x[..], y].concat()),
    }
}

impl Makers {
    /// Reads the site's folder.
    ///
    /// # Errors
    /// `Refused` where it cannot be read, holds no authority, or a file of it is no certificate.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut makers = Self::default();
        for path in files(folder)? {
            makers.authorities.extend(certificates(&path)?);
        }
        if makers.authorities.is_empty() {
            return Err(Fault::refused("this folder holds no certificate of a TPM maker's authority")
                .at(folder.display())
                .fix("put the makers' root and intermediate certificates there, as *.pem or *.der"));
        }
        let of_keys = folder.join("ek");
        if of_keys.is_dir() {
            for path in files(&of_keys)? {
                for certificate in certificates(&path)? {
                    let (_, parsed) =
                        X509Certificate::from_der(&certificate).map_err(|error| no_certificate(&path).cause(error))?;
                    if let Some(id) = id_of(&parsed) {
                        makers.fetched.insert(id, certificate);
                    }
                }
            }
            makers.allowed = allowed(&of_keys.join("allowed.txt"))?;
        }
        Ok(makers)
    }

    /// Whether this endorsement key is of a trusted maker: by the certificate that the device sent, or else by one that was fetched;
    /// `between` are authorities' certificates that the device sent along.
    ///
    /// # Errors
    /// `Untrusted`, saying what is missing or does not hold.
    pub fn endorse(&self, key: &Public, certificate: Option<&[u8]>, between: &[Vec<u8>], now: i64) -> Result<Digest> {
        let id = id(key);
        let no = |what: String| Fault::untrusted(what).at(format!("endorsement key {id}"));
        let certificate = certificate.or_else(|| self.fetched.get(&id).map(Vec::as_slice)).ok_or_else(|| {
            no("the device's TPM carries no certificate of its maker, and none was fetched for it".into()).fix(
                "fetch it from the maker's server into the folder `ek` of the makers' folder, or admit this device by scanning",
            )
        })?;
        let leaf = one(certificate).map_err(|what| no(format!("the TPM's certificate is none: {what}")))?;
        if id_of(&leaf) != Some(id) {
            return Err(no("the TPM's certificate is for another key".into()));
        }
        if !is_for_ek(&leaf) {
            return Err(no("the TPM's certificate is not for an endorsement key".into()));
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&id)) {
            return Err(no("this TPM is not in the list of those that are admitted".into())
                .fix("add it to ek/allowed.txt of the makers' folder"));
        }
        self.path(&leaf, between, now).map_err(|what| {
            no(format!("{}: {what}", leaf.issuer()))
                .fix("if this maker's TPMs are to be admitted, put its authorities' certificates into the makers' folder")
        })?;
        Ok(id)
    }

    /// From a certificate up to a trusted authority.
    fn path(&self, leaf: &X509Certificate<'_>, between: &[Vec<u8>], now: i64) -> std::result::Result<(), String> {
        let at = ASN1Time::from_timestamp(now).map_err(|error| error.to_string())?;
        let trusted: Vec<X509Certificate<'_>> = self.authorities.iter().filter_map(|der| parsed(der)).collect();
        let sent: Vec<X509Certificate<'_>> = between.iter().take(MOST_BETWEEN).filter_map(|der| parsed(der)).collect();
        let mut current = leaf;
        if !leaf.validity().is_valid_at(at) {
            return Err("its validity is over, or has not begun".into());
        }
        for _ in 0..=MOST_BETWEEN {
            let signs = |authority: &&X509Certificate<'_>| {
                authority.subject() == current.issuer()
                    && may_sign(authority)
                    && authority.validity().is_valid_at(at)
                    && is_signed_by(current, authority)
            };
            if trusted.iter().any(|authority| signs(&authority)) {
                return Ok(());
            }
            match sent.iter().find(signs) {
                Some(authority) => current = authority,
                None => return Err("no authority of the makers' folder has signed it".into()),
            }
        }
        Err("there are too many authorities between it and a trusted one".into())
    }
}

/// A certificate, where it is one.
fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed)
}

/// The certificate at the front; some makers fill the rest of the NV index.
fn one(der: &[u8]) -> std::result::Result<X509Certificate<'_>, String> {
    if der.len() > MAX_CERTIFICATE {
        return Err(format!("it has {} bytes", der.len()));
    }
    X509Certificate::from_der(der).map(|(_, parsed)| parsed).map_err(|error| error.to_string())
}

/// [`id`] of a certificate's key; `None` for kinds that admission does not know.
fn id_of(certificate: &X509Certificate<'_>) -> Option<Digest> {
    match certificate.public_key().parsed().ok()? {
        PublicKey::RSA(key) => {
            let modulus = key.modulus.strip_prefix(&[0]).unwrap_or(key.modulus);
            let exponent = key.exponent.strip_prefix(&[0]).unwrap_or(key.exponent);
            (exponent == [1, 0, 1]).then(|| Digest::of(modulus))
        }
        PublicKey::EC(point) => match point.data() {
            [4, both @ ..] if both.len() == 64 => Some(Digest::of(both)),
            _ => None,
        },
        _ => None,
    }
}

fn is_for_ek(certificate: &X509Certificate<'_>) -> bool {
    certificate
        .extended_key_usage()
        .ok()
        .flatten()
        .is_some_and(|usage| usage.value.other.iter().any(|one| one.to_id_string() == FOR_EK))
}

fn may_sign(authority: &X509Certificate<'_>) -> bool {
    authority.is_ca() && authority.key_usage().ok().is_some_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

fn is_signed_by(certificate: &X509Certificate<'_>, authority: &X509Certificate<'_>) -> bool {
    let key = authority.public_key();
    let Some(algorithm) = algorithm(&certificate.signature_algorithm.algorithm, authority) else { return false };
    certificate.signature_algorithm == certificate.tbs_certificate.signature
        && UnparsedPublicKey::new(algorithm, &key.subject_public_key.data)
            .verify(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data)
            .is_ok()
}

/// How such a signature by this authority's key is verified; `None` for what is too weak, or unknown.
fn algorithm(signature: &Oid<'_>, authority: &X509Certificate<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let curve = || authority.public_key().algorithm.parameters.as_ref()?.as_oid().ok();
    let rsa: [(&Oid<'_>, &'static dyn VerificationAlgorithm); 3] = [
        (&oid::OID_PKCS1_SHA256WITHRSA, &signature::RSA_PKCS1_2048_8192_SHA256),
        (&oid::OID_PKCS1_SHA384WITHRSA, &signature::RSA_PKCS1_2048_8192_SHA384),
        (&oid::OID_PKCS1_SHA512WITHRSA, &signature::RSA_PKCS1_2048_8192_SHA512),
    ];
    if let Some((_, algorithm)) = rsa.into_iter().find(|(oid, _)| *oid == signature) {
        return Some(algorithm);
    }
    let curve = curve()?;
    let ecdsa: [(&Oid<'_>, &Oid<'_>, &'static dyn VerificationAlgorithm); 7] = [
        (&oid::OID_SIG_ECDSA_WITH_SHA256, &oid::OID_EC_P256, &signature::ECDSA_P256_SHA256_ASN1),
        (&oid::OID_SIG_ECDSA_WITH_SHA384, &oid::OID_EC_P256, &signature::ECDSA_P256_SHA384_ASN1),
        (&oid::OID_SIG_ECDSA_WITH_SHA256, &oid::OID_NIST_EC_P384, &signature::ECDSA_P384_SHA256_ASN1),
        (&oid::OID_SIG_ECDSA_WITH_SHA384, &oid::OID_NIST_EC_P384, &signature::ECDSA_P384_SHA384_ASN1),
        (&oid::OID_SIG_ECDSA_WITH_SHA256, &oid::OID_NIST_EC_P521, &signature::ECDSA_P521_SHA256_ASN1),
        (&oid::OID_SIG_ECDSA_WITH_SHA384, &oid::OID_NIST_EC_P521, &signature::ECDSA_P521_SHA384_ASN1),
        (&oid::OID_SIG_ECDSA_WITH_SHA512, &oid::OID_NIST_EC_P521, &signature::ECDSA_P521_SHA512_ASN1),
    ];
    ecdsa.into_iter().find(|(oid, on, _)| *oid == signature && **on == curve).map(|(.., algorithm)| algorithm)
}

/// The folder's certificate files, by name.
fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let fault = |error: std::io::Error| {
        Fault::refused("the folder of makers' certificates cannot be read").at(folder.display()).cause(error)
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)?.take(MOST_FILES) {
        let path = entry.map_err(fault)?.path();
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_ascii_lowercase();
        if matches!(kind.as_str(), "pem" | "crt" | "cer" | "der") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The certificates of a file: PEM, or one in DER.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path)
        .map_err(|error| Fault::refused("a maker's certificate cannot be read").at(path.display()).cause(error))?;
    if bytes.len() > MAX_CERTIFICATE * 256 {
        return Err(no_certificate(path));
    }
    let all: Vec<Vec<u8>> = if bytes.starts_with(b"-----BEGIN") || bytes.windows(11).any(|part| part == b"-----BEGIN ") {
        x509_parser::pem::Pem::iter_from_buffer(&bytes)
            .filter(|pem| pem.as_ref().map_or(true, |pem| pem.label == "CERTIFICATE"))
            .map(|pem| pem.map(|pem| pem.contents).map_err(|error| no_certificate(path).cause(error)))
            .collect::<Result<_>>()?
    } else {
        vec![bytes]
    };
    for certificate in &all {
        one(certificate).map_err(|what| no_certificate(path).cause(what))?;
    }
    Ok(all)
}

fn no_certificate(path: &Path) -> Fault {
    Fault::refused("this is no certificate").at(path.display()).fix("take it out of the folder, or fetch it again from the maker")
}

/// The list of endorsement keys that are admitted: one [`id`] a line, what follows it or a `#` being for people.
fn allowed(path: &Path) -> Result<Option<HashSet<Digest>>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::refused("the list of admitted TPMs cannot be read").at(path.display()).cause(error)),
    };
    let lines =
        text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, line.split('#').next()?.split_whitespace().next()?)));
    lines
        .map(|(line, word)| {
            word.parse().map_err(|_| {
                Fault::refused(format!("{word:.80} does not name an endorsement key (64 lower-case hexadecimal digits)"))
                    .at(format!("{}, line {line}", path.display()))
            })
        })
        .collect::<Result<_>>()
        .map(Some)
}
