//! Certificates of authorities, as PEM (RFC 7468) in files that IT hands in: the organisation's roots, a station's own.
//!
//! What the browser or `TLS` on the device would refuse months later is refused here: no CA, expired, not a certificate.
//! A private key in such a file is refused before anything else is said about it: an image is read by everyone who holds
//! the device.

use std::path::Path;

use jiff::Timestamp;
use livery_contract::Digest;
use serde::Serialize;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::report::{problem::Problem, source::read_text, text::quoted};

/// One certificate of an authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authority {
    /// A file name without its ending, unique in its list: from the file that it came from, such as `insurer-root`.
    pub name: String,
    /// The certificate as one PEM block with LF line ends.
    pub pem: String,
    /// Its subject, for people.
    pub subject: String,
    /// SHA-256 of its DER form: what browsers show as its fingerprint.
    pub sha256: Digest,
    /// When it expires.
    pub not_after: Timestamp,
}

/// Reads all certificates of a file.
pub(crate) fn read(path: &Path, now: Timestamp) -> Result<Vec<Authority>, Problem> {
    let text = read_text(path).map_err(|why| Problem::unreadable(path, &why))?;
    parse(&text, &stem(path), now)
}

/// Parses all certificates of a text; `name` names the first, `name-2` the second.
fn parse(text: &str, name: &str, now: Timestamp) -> Result<Vec<Authority>, Problem> {
    if text.contains("PRIVATE KEY-----") {
        return Err(Problem::new("the file holds a private key")
            .help("remove the key and store it where only its owner can read it; if this file was ever shared, replace the key"));
    }
    let mut authorities: Vec<Authority> = Vec::new();
    for block in blocks(text)? {
        let number = authorities.len() + 1;
        let name = if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
        let authority = one(&block, name, now).map_err(|problem| {
            if number == 1 { problem } else { Problem { cause: format!("certificate {number}: {}", problem.cause), ..problem } }
        })?;
        if authorities.iter().any(|other| other.sha256 == authority.sha256) {
            return Err(Problem::new(format!("certificate {number} is in the file twice")).help("remove one"));
        }
        authorities.push(authority);
    }
    if authorities.is_empty() {
        return Err(Problem::new("the file holds no certificate")
            .help("it needs the authority's certificate as PEM: -----BEGIN CERTIFICATE-----; convert DER with openssl x509"));
    }
    Ok(authorities)
}

/// The PEM blocks of a text, each normalised; what stands between them is commentary (RFC 7468 section 5.2).
fn blocks(text: &str) -> Result<Vec<String>, Problem> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim) {
        let begins = line.starts_with("-----BEGIN ");
        if begins && line != "-----BEGIN CERTIFICATE-----" {
            return Err(Problem::new(format!("{} is not a certificate", quoted(line.trim_matches('-'))))
                .help("supply only the authority's certificate: -----BEGIN CERTIFICATE-----"));
        }
        match &mut open {
            None if begins => open = Some(format!("{line}\n")),
            None => {}
            Some(_) if begins => return Err(Problem::new("a certificate begins before the one above has ended")),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
                if line == "-----END CERTIFICATE-----" {
                    blocks.extend(open.take());
                }
            }
        }
    }
    if open.is_some() {
        return Err(Problem::new("the last certificate has no end: the file is truncated").help("copy the file again"));
    }
    Ok(blocks)
}

fn one(pem: &str, name: String, now: Timestamp) -> Result<Authority, Problem> {
    let damaged = |error: String| Problem::new(format!("the certificate does not parse: {error}")).help("copy the file again");
    let (_, decoded) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|error| damaged(error.to_string()))?;
    let (rest, certificate) = X509Certificate::from_der(&decoded.contents).map_err(|error| damaged(error.to_string()))?;
    if !rest.is_empty() {
        return Err(damaged(format!("{} bytes follow it", rest.len())));
    }
    let subject = certificate.subject().to_string();
    let time = |at: i64| Timestamp::from_second(at).map_err(|error| damaged(error.to_string()));
    let not_before = time(certificate.validity().not_before.timestamp())?;
    let not_after = time(certificate.validity().not_after.timestamp())?;
    let constraints = certificate.basic_constraints().map_err(|error| damaged(error.to_string()))?;
    let usage = certificate.key_usage().map_err(|error| damaged(error.to_string()))?;
    // RFC 5280 section 4.2.1.9: without CA:TRUE no client lets it vouch for another certificate; 4.2.1.3 for the usage.
    if !constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(Problem::new(format!("{} is not an authority's certificate (no CA:TRUE)", quoted(&subject)))
            .help("supply the certificate of the authority that signed it, not the server's own"));
    }
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(Problem::new(format!("{} may not sign certificates (key usage)", quoted(&subject)))
            .help("supply a certificate of the authority that may sign others"));
    }
    if not_after <= now {
        return Err(Problem::new(format!("{} has expired: {not_after}", quoted(&subject)))
            .help("supply the authority's current certificate"));
    }
    if not_before > now {
        return Err(Problem::new(format!("{} is valid only from {not_before}", quoted(&subject)))
            .help("check this machine's clock, or supply a certificate that is valid now"));
    }
    Ok(Authority { name, pem: pem.to_owned(), subject, sha256: Digest::of(&decoded.contents), not_after })
}

/// The file's name without its ending, safe in a file name.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let safe: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).take(48).collect();
    let safe = safe.trim_matches('-');
    if safe.is_empty() { "authority".to_owned() } else { safe.to_owned() }
}

/// Makes the names of several files' authorities unique among them.
pub(crate) fn name_apart(authorities: &mut [Authority]) {
    let mut taken = std::collections::HashSet::new();
    for authority in authorities {
        let (base, mut number) = (authority.name.clone(), 1);
        while !taken.insert(authority.name.clone()) {
            number += 1;
            authority.name = format!("{base}-{number}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const ROOT: &str = include_str!("../../../profiles/ca/assurance-root.pem");

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_bundle_is_read_with_its_commentary_and_names() {
        let crlf = format!("Example Root\r\n{}", ROOT.replace('\n', "\r\n"));
        let authorities = parse(&crlf, "root", now()).unwrap();
        assert_eq!(authorities.len(), 1);
        assert_eq!(authorities[0].subject, "C=FR, O=Assurance Example SA, CN=Assurance Example Root CA");
        assert_eq!(authorities[0].pem, ROOT);
        let mut twice = [authorities.clone(), authorities].concat();
        name_apart(&mut twice);
        assert_eq!(twice.iter().map(|authority| authority.name.as_str()).collect::<Vec<_>>(), ["root", "root-2"]);
        assert_eq!(stem(Path::new("ca/Insurer Root_é.pem")), "insurer-root");
    }

    #[test]
    fn what_is_no_use_is_refused_with_its_reason() {
        let key = format!("{ROOT}-----BEGIN PRIVATE {}-----\nAAAA\n", "KEY"); // two parts: not to look like one here
        let cases = [
            (key.as_str(), "private key"),
            ("", "no certificate"),
            (&ROOT[..200], "truncated"),
            (&ROOT.replace("CERTIFICATE", "CERTIFICATE REQUEST"), "is not a certificate"),
            (&ROOT.replacen("MII", "MIJ", 1), "does not parse"),
            (&format!("{ROOT}{ROOT}"), "twice"),
        ];
        for (text, wanted) in cases {
            let problem = parse(text, "x", now()).unwrap_err();
            assert!(problem.cause.contains(wanted), "{wanted}: {problem:?}");
        }
        let far = "2090-01-01T00:00:00Z".parse().unwrap();
        assert!(parse(ROOT, "x", far).unwrap_err().cause.contains("has expired"));
        assert!(parse(ROOT, "x", Timestamp::UNIX_EPOCH).unwrap_err().cause.contains("valid only from"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,400}", at in 0..1000usize, byte in any::<u8>()) {
            let _ = parse(&text, "x", now());
            let mut damaged = ROOT.as_bytes().to_vec();
            let length = damaged.len();
            damaged[at % length] = byte;
            let _ = parse(&String::from_utf8_lossy(&damaged), "x", now());
        }
    }
}
