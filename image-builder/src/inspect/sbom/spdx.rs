//! The document: SPDX 2.3 (<https://spdx.github.io/spdx-spec/v2.3/>), in its JSON form. The same image, the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use livery_contract::{Digest, Fault, Reference, Result};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use uuid::Uuid;

use super::{Materials, Package, Where};

/// Derives documents' namespaces (RFC 9562, version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x6c69_7665_7279_5f73_626f_6d5f_7370_6478);
/// What nobody asserted (section 7.13 and others).
const UNKNOWN: &str = "NOASSERTION";
/// The identifier of the image itself, and of all of its files that are of no package.
const IMAGE: &str = "SPDXRef-Image";
const BUILT: &str = "SPDXRef-Own";

/// What the document is about.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) reference: &'a Reference,
    /// Its time: `SOURCE_DATE_EPOCH`.
    pub(crate) created: Timestamp,
    /// What the image was made from, as one digest.
    pub(crate) image: Digest,
    /// Debian's release, such as `trixie`.
    pub(crate) suite: &'a str,
}

/// Writes the document.
///
/// # Errors
/// Exit 1 where it does not encode.
pub(crate) fn document(materials: &Materials, subject: &Subject) -> Result<Vec<u8>> {
    let mut ids = Ids::default();
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE)];
    let mut packages = vec![json!({
        "SPDXID": IMAGE,
        "name": subject.reference.name.as_str(),
        "versionInfo": subject.reference.version.as_str(),
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
    })];
    let mut sources: BTreeMap<(&str, &str, bool), String> = BTreeMap::new();
    for package in &materials.packages {
        let debian = !package.origin.is_empty();
        let source = sources
            .entry((&package.source, &package.source_version, debian))
            .or_insert_with(|| ids.new_one(&format!("source-{}-{}", package.source, package.source_version)));
        let id = ids.new_one(&format!("deb-{}", package.name));
        relationships.push(relationship(IMAGE, "CONTAINS", &id));
        relationships.push(relationship(&id, "GENERATED_FROM", source));
        packages.push(binary(&id, package, subject.suite));
    }
    for ((name, version, debian), id) in &sources {
        let purl = debian.then(|| purl(name, version, "source", subject.suite));
        packages.push(package(id, name, version, *debian, purl, UNKNOWN, "Debian source package"));
    }
    let mut files = Vec::new();
    for file in &materials.files {
        let (place, prefix) = match file.within {
            Where::Root => ("the root file system", "."),
            Where::Boot => ("the initrd", "./initrd"),
        };
        let id = ids.new_one(&format!("file-{}", file.path.trim_matches('/')));
        relationships.push(relationship(BUILT, "CONTAINS", &id));
        files.push(json!({
            "SPDXID": id,
            "fileName": format!("{prefix}{}", file.path),
            "checksums": [
                {"algorithm": "SHA1", "checksumValue": file.sha1},
                {"algorithm": "SHA256", "checksumValue": file.sha256},
            ],
            "licenseConcluded": UNKNOWN,
            "licenseInfoInFiles": [UNKNOWN],
            "copyrightText": UNKNOWN,
            "comment": format!("in {place}; of no package: made when the image was built"),
        }));
    }
    if !files.is_empty() {
        relationships.push(relationship(IMAGE, "CONTAINS", BUILT));
        packages.push(built(materials, subject.reference));
    }
    let licences: Vec<Value> = materials
        .licences
        .iter()
        .map(|(id, text)| json!({"licenseId": id, "name": id.trim_start_matches("LicenseRef-"), "extractedText": text}))
        .collect();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.reference.to_string(),
        "documentNamespace": format!("urn:uuid:{}", Uuid::new_v5(&NAMESPACE, format!("{}/{}", subject.reference, subject.image).as_bytes())),
        "creationInfo": {
            "created": subject.created.strftime("%FT%TZ").to_string(),
            "creators": [concat!("Tool: livery-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "files": files,
        "relationships": relationships,
    });
    if !licences.is_empty() {
        document["hasExtractedLicensingInfos"] = licences.into();
    }
    let mut bytes =
        serde_json::to_vec_pretty(&document).map_err(|error| Fault::internal("the SBOM does not encode").cause(error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

/// The files of no package, as a package: only one whose files were analysed may contain files (section 7.8), and it says so by a
/// code over their SHA-1 (section 7.9).
fn built(materials: &Materials, reference: &Reference) -> Value {
    let mut digests: Vec<&str> = materials.files.iter().map(|file| file.sha1.as_str()).collect();
    digests.sort_unstable();
    json!({
        "SPDXID": BUILT,
        "name": format!("{}-own-files", reference.name),
        "versionInfo": reference.version.as_str(),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": true,
        "packageVerificationCode": {"packageVerificationCodeValue": super::hex(&Sha1::digest(digests.concat()))},
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "licenseInfoFromFiles": [UNKNOWN],
        "copyrightText": UNKNOWN,
        "comment": "files of no package: made when the image was built, from the profile and by the packages' own tools",
    })
}

/// A package as it was installed.
fn binary(id: &str, package_: &Package, suite: &str) -> Value {
    let debian = !package_.origin.is_empty();
    let purl = debian.then(|| purl(&package_.name, &package_.version, &package_.architecture, suite));
    let places: Vec<&str> = package_
        .within
        .iter()
        .map(|place| match place {
            Where::Root => "the root file system",
            Where::Boot => "kernel and initrd",
        })
        .collect();
    let licence = package_.licence.as_deref().unwrap_or(UNKNOWN);
    let comment = format!("in {}", places.join(" and in "));
    let mut value = package(id, &package_.name, &package_.version, debian, purl, licence, &comment);
    value["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": package_.sha256}]);
    let origin = if debian { format!("; from {}", package_.origin) } else { "; supplied".to_owned() };
    value["sourceInfo"] = format!("built from source package {} {}{origin}", package_.source, package_.source_version).into();
    value
}

fn package(id: &str, name: &str, version: &str, debian: bool, purl: Option<String>, licence: &str, comment: &str) -> Value {
    let mut value = json!({
        "SPDXID": id,
        "name": name,
        "versionInfo": version,
        "supplier": if debian { "Organization: Debian" } else { UNKNOWN },
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": licence,
        "copyrightText": UNKNOWN,
        "comment": comment,
    });
    if let Some(purl) = purl {
        value["externalRefs"] =
            json!([{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]);
    }
    value
}

/// A package URL of type `deb` (<https://github.com/package-url/purl-spec>).
fn purl(name: &str, version: &str, architecture: &str, suite: &str) -> String {
    format!("pkg:deb/debian/{}@{}?arch={architecture}&distro={suite}", encoded(name), encoded(version))
}

/// Percent-encoded but for what a package URL leaves as it is.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Identifiers: letters, digits, dots and dashes (section 3.2), each once.
#[derive(Default)]
struct Ids(BTreeSet<String>);

impl Ids {
    fn new_one(&mut self, wish: &str) -> String {
        let letter = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
        let stem: String = wish.chars().map(letter).collect();
        let mut id = format!("SPDXRef-{stem}");
        let mut number = 1;
        while !self.0.insert(id.clone()) {
            number += 1;
            id = format!("SPDXRef-{stem}-{number}");
        }
        id
    }
}
