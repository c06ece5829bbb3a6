//! The document's structure, as the specification wants it.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    spdx::{Subject, document},
    *,
};

fn package(name: &str, version: &str, origin: &str) -> Package {
    Package {
        name: name.into(),
        version: version.into(),
        architecture: "amd64".into(),
        source: name.trim_end_matches("-bin").into(),
        source_version: version.into(),
        sha256: Digest::of(name.as_bytes()),
        origin: origin.into(),
        within: BTreeSet::from([Where::Root, Where::Boot]),
        licence: Some("MIT AND LicenseRef-Own".into()),
    }
}

fn materials() -> Materials {
    Materials {
        packages: vec![
            package("libstdc++6", "1:14.2.0-19+b1", "trixie/main"),
            package("tool", "1", "trixie-security/main"),
            package("tool-bin", "1", "trixie-security/main"),
            package("client", "24.11", ""),
        ],
        files: vec![BuiltFile { path: "/etc/x y".into(), within: Where::Root, sha256: Digest::of(b"x"), sha1: "0".repeat(40) }],
        licences: BTreeMap::from([("LicenseRef-Own".to_owned(), "Do what you like.".to_owned())]),
    }
}

fn subject(reference: &Reference) -> Subject<'_> {
    Subject { reference, created: "2026-11-01T00:00:00Z".parse().unwrap(), image: Digest::of(b"image"), suite: "trixie" }
}

#[test]
fn the_document_holds_together_and_is_the_same_each_time() {
    let reference: Reference = "terminal@1".parse().unwrap();
    let bytes = document(&materials(), &subject(&reference)).unwrap();
    assert_eq!(bytes, document(&materials(), &subject(&reference)).unwrap());
    let spdx: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((spdx["spdxVersion"].as_str(), spdx["dataLicense"].as_str()), (Some("SPDX-2.3"), Some("CC0-1.0")));
    assert_eq!(spdx["creationInfo"]["created"], "2026-11-01T00:00:00Z");
    assert!(spdx["documentNamespace"].as_str().unwrap().starts_with("urn:uuid:"));
    assert_eq!(spdx["name"], "terminal@1");

    // Each identifier is well formed, and there once; each relationship is between two that are there.
    let all = |key: &str| spdx[key].as_array().unwrap().clone();
    let ids: Vec<String> =
        [all("packages"), all("files")].concat().iter().map(|one| one["SPDXID"].as_str().unwrap().to_owned()).collect();
    let known: HashSet<String> = ids.iter().cloned().chain(["SPDXRef-DOCUMENT".to_owned()]).collect();
    assert_eq!(known.len(), ids.len() + 1, "{ids:?}");
    let good = |id: &String| {
        id.strip_prefix("SPDXRef-").is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)))
    };
    assert!(known.iter().all(good), "{known:?}");
    let mut kinds = HashSet::new();
    for one in all("relationships") {
        assert!(
            known.contains(one["spdxElementId"].as_str().unwrap()) && known.contains(one["relatedSpdxElement"].as_str().unwrap()),
            "{one}"
        );
        kinds.insert(one["relationshipType"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["DESCRIBES", "CONTAINS", "GENERATED_FROM"].map(str::to_owned).into());

    let by_name = |name: &str, purl: &str| {
        let fits = |one: &&Value| {
            one["name"] == name && one["externalRefs"][0]["referenceLocator"].as_str().unwrap_or_default().contains(purl)
        };
        all("packages").iter().find(fits).unwrap().clone()
    };
    let package = by_name("libstdc++6", "arch=amd64");
    assert_eq!(
        package["externalRefs"][0]["referenceLocator"],
        "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19%2Bb1?arch=amd64&distro=trixie"
    );
    assert_eq!(package["checksums"][0]["checksumValue"], Digest::of(b"libstdc++6").to_string());
    assert_eq!(package["licenseDeclared"], "MIT AND LicenseRef-Own");
    assert!(package["sourceInfo"].as_str().unwrap().contains("trixie/main"));
    by_name("tool", "arch=source");
    assert_eq!(
        all("packages").iter().filter(|one| one["comment"] == "Debian source package").count(),
        3,
        "two packages of one source"
    );
    let supplied = by_name("client", "");
    assert_eq!((supplied["supplier"].as_str(), supplied.get("externalRefs")), (Some("NOASSERTION"), None));
    assert_eq!(all("files")[0]["fileName"], "./etc/x y");
    // Only a package whose files were analysed may contain files, and its code is over their SHA-1.
    let built = by_name("terminal-own-files", "");
    assert_eq!(built["packageVerificationCode"]["packageVerificationCodeValue"], "9514e18b679622b8d59991a6298559cb03099d64");
    let files: HashSet<String> = all("files").iter().map(|file| file["SPDXID"].as_str().unwrap().to_owned()).collect();
    let analysed = |id: &str| all("packages").iter().any(|one| one["SPDXID"] == id && one["filesAnalyzed"] == true);
    for one in all("relationships") {
        let to_file = files.contains(one["relatedSpdxElement"].as_str().unwrap());
        assert!(!to_file || analysed(one["spdxElementId"].as_str().unwrap()), "{one}");
    }
    assert_eq!(all("hasExtractedLicensingInfos")[0]["licenseId"], "LicenseRef-Own");

    let other: Reference = "terminal@2".parse().unwrap();
    let other: Value = serde_json::from_slice(&document(&materials(), &subject(&other)).unwrap()).unwrap();
    assert_ne!(spdx["documentNamespace"], other["documentNamespace"]);
}
