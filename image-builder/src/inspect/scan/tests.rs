//! One of each, and what looks like it and is none. What a test looks for is put together here: no file of ours holds a key.

use livery_profile::Exception;

use super::{verdict::judge, *};
use crate::{
    inspect::volume::tree::{Tree, tests::file},
    progress::Progress,
};

/// A volume of these files.
fn volume(files: &[(&str, u32, Vec<u8>)]) -> Volume {
    let (mut tree, mut bytes) = (Tree::new(), Vec::new());
    for (path, mode, content) in files {
        let mut entry = file(vec![(bytes.len() as u64, content.len() as u64)]);
        entry.mode = *mode;
        bytes.extend_from_slice(content);
        tree.insert((*path).to_owned(), entry);
    }
    Volume { tree, bytes: Box::new(bytes) }
}

fn found(path: &str, content: impl Into<Vec<u8>>) -> Vec<(String, String)> {
    let findings = scan(&volume(&[(path, 0o644, content.into())])).unwrap();
    findings.into_iter().map(|finding| (finding.rule, finding.what)).collect()
}

fn rule(path: &str, content: impl Into<Vec<u8>>) -> Option<String> {
    let mut found = found(path, content);
    assert!(found.len() < 2, "{found:?}");
    found.pop().map(|(rule, _)| rule)
}

/// `-----BEGIN … PRIVATE KEY-----`, in two parts: no private key stands in our sources.
fn pem(label: &str, line_end: &str) -> String {
    let body = "MC4CAQAwBQYDK2VwBCIEIFFsG8rQ5OeW7kvTnJ0eYAk2Kj9mX1cVbL4sZpQdRtUv".to_owned();
    ["-----BEGIN ", label, "PRIVATE", " KEY-----", line_end, &body, line_end, "-----END ", label, "PRIVATE", " KEY-----", line_end]
        .concat()
}

#[test]
fn private_keys_are_found_and_the_words_alone_are_not() {
    for label in ["", "RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED "] {
        assert_eq!(rule("/usr/share/x", pem(label, "\n")).as_deref(), Some("private-key"), "{label}");
    }
    assert_eq!(rule("/opt/account.json", pem("", r"\n")).as_deref(), Some("private-key"), "in JSON");
    assert_eq!(rule("/x", pem("", "\r\n")).as_deref(), Some("private-key"));
    let old = pem("RSA ", "\n").replacen("\nMC4", "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0011\n\nMC4", 1);
    assert_eq!(rule("/x", old).as_deref(), Some("private-key"), "with headers");
    let pgp = pem("PGP ", "\n").replace(" KEY-----\n", " KEY BLOCK-----\nVersion: 1\n\n");
    assert_eq!(found("/x", pgp), [("private-key".to_owned(), "OpenPGP private key".to_owned())]);
    assert_eq!(
        rule("/x", format!("AGE-SECRET-KEY-1{}\n", "QPZRY9X8".repeat(8).get(..58).unwrap())).as_deref(),
        Some("private-key")
    );
    let wireguard = format!("[Interface]\nPrivateKey = {}A=\n", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBm");
    assert_eq!(rule("/etc/wireguard/wg0.conf", wireguard).as_deref(), Some("private-key"));
    // A library, a certificate, a public key, a text about keys.
    let library = ["\0-----BEGIN RSA PRIVATE", " KEY-----\0-----END RSA PRIVATE", " KEY-----\0"].concat();
    assert_eq!(rule("/usr/lib/libssl.so", library), None);
    assert_eq!(rule("/x", pem("", "\n").replace("PRIVATE KEY", "CERTIFICATE")), None);
    assert_eq!(rule("/x", pem("", "\n").replace("PRIVATE KEY", "PUBLIC KEY")), None);
    assert_eq!(rule("/x", ["it begins with -----BEGIN PRIVATE", " KEY-----\nand ends so"].concat()), None);
}

#[test]
fn tokens_are_found_by_their_forms_and_nothing_longer() {
    let letters = "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cF3hJ6".to_owned();
    let cases = [
        format!("AKIA{}", "ABCDEFGHIJKLMNOP"),
        format!("ghp_{letters}"),
        format!("github_pat_{}_{}", &letters[..22], format!("{letters}{letters}").get(..59).unwrap()),
        format!("glpat-{}", &letters[..20]),
        format!("xoxb-{}-{}", "123456789012", &letters[..24]),
        format!("https://hooks.slack.com/services/T{}/B{}/{}", "0A1B2C3D4", "0A1B2C3D4", &letters[..24]),
        format!("eyJhbGciOi{}.eyJzdWIiOi{}.{}", &letters[..20], &letters[..10], &letters[..30]),
        format!("npm_{letters}"),
        format!("sk_live_{}", &letters[..24]),
        format!("pypi-AgEIcHlwaS5vcmc{letters}{letters}"),
        format!("hvs.{letters}{letters}"),
        format!("SG.{}.{}", &letters[..22], format!("{letters}{letters}").get(..43).unwrap()),
        format!("dop_v1_{}", "0123456789abcdef".repeat(4)),
        format!("dckr_pat_{}", &letters[..27]),
        format!("DefaultEndpointsProtocol=https;AccountKey={}==;", format!("{letters}{letters}{letters}").get(..86).unwrap()),
    ];
    for token in cases {
        assert_eq!(rule("/usr/share/x", format!("token = \"{token}\"\n")).as_deref(), Some("token"), "{token}");
        // In these the token itself does not come first.
        if !token.contains("://") && !token.contains('=') {
            assert_eq!(rule("/usr/share/x", format!("a = x{token}\n")), None, "behind a letter: {token}");
        }
    }
    assert_eq!(rule("/x", "AKIAIOSFODNN7EXAMPLE"), None);
    assert_eq!(rule("/x", format!("ghp_{letters}ABC")), None, "longer than a token");
    assert_eq!(rule("/x", format!("AKIA{}", "abcdefghijklmnop")), None);
}

#[test]
fn a_secret_on_a_windows_edge_is_found_once_with_its_place() {
    let mut content = vec![b'.'; WINDOW * 2];
    for at in [WINDOW - OVERLAP - 20, WINDOW - 10, 100] {
        let key = pem("", "\n");
        content[at..at + key.len()].copy_from_slice(key.as_bytes());
    }
    let findings = scan(&volume(&[("/big", 0o644, content)])).unwrap();
    let places: Vec<_> = findings.iter().filter_map(|finding| finding.place.clone()).collect();
    assert!(places.contains(&format!("byte {}", WINDOW - 10)), "{places:?}");
    assert!(places.contains(&"line 1".to_owned()), "{places:?}");
    let text = scan(&volume(&[("/etc/x", 0o644, format!("one\n\n{}", pem("", "\n")).into_bytes())])).unwrap();
    assert_eq!(text[0].place.as_deref(), Some("line 3"));
}

#[test]
fn what_each_device_makes_for_itself_must_not_be_there() {
    assert_eq!(rule("/etc/machine-id", "0123456789abcdef0123456789abcdef\n").as_deref(), Some("machine-id"));
    assert_eq!(rule("/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n").as_deref(), Some("machine-id"));
    assert_eq!(rule("/etc/machine-id", ""), None);
    assert_eq!(rule("/etc/machine-id", "uninitialized\n"), None);
    assert_eq!(rule("/var/lib/systemd/random-seed", [1; 32]).as_deref(), Some("random-seed"));
    assert_eq!(rule("/var/lib/systemd/credential.secret", [1; 32]).as_deref(), Some("random-seed"));
    assert_eq!(rule("/etc/ssh/ssh_host_ed25519_key", "not even PEM").as_deref(), Some("host-key"));
    assert_eq!(rule("/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA"), None);
    let shadow = "root:*:20758:0:99999:7:::\nann:!*:20758::::::\nbob:!:1::::::\njim:!unprovisioned:1::::::\n";
    assert_eq!(rule("/etc/shadow", shadow), None);
    let hash = format!("{shadow}eve:{}6$salt$abcdefgh:20758::::::\n", '$');
    assert_eq!(found("/etc/shadow", hash), [("password-hash".to_owned(), "password hash of account eve".to_owned())]);
    assert_eq!(
        rule("/etc/shadow", format!("{shadow}eve:!{}y$salt$abcdefgh:1:::::::\n", '$')).as_deref(),
        Some("password-hash"),
        "locked"
    );
    assert_eq!(rule("/etc/shadow", "eve:ab0123456789.:1::::::\n").as_deref(), Some("password-hash"), "DES");
    assert_eq!(rule("/etc/shadow", "eve::1::::::\n").as_deref(), Some("empty-password"));
    assert_eq!(rule("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"), None);
    assert_eq!(rule("/etc/passwd", "eve::0:0::/root:/bin/bash\n").as_deref(), Some("empty-password"));
    assert_eq!(rule("/etc/gshadow", "adm:*::\naudio:!::\nx:::\n"), None);
}

#[test]
fn passwords_in_settings_are_found_and_examples_elsewhere_are_not() {
    let line = "proxy = http://ann:s3cret@proxy.assurance.example:3128/\n";
    assert_eq!(rule("/etc/apt/apt.conf.d/proxy", line).as_deref(), Some("password"));
    assert_eq!(rule("/root/.config/pip/pip.conf", line).as_deref(), Some("password"));
    assert_eq!(rule("/usr/share/doc/x/README", line), None);
    assert_eq!(
        rule("/etc/x", "url = http://ann@host/ and http://host:3128/ and http://$user:$pass@host/ and http://[::1]:80/a@b\n"),
        None
    );
    assert_eq!(
        rule("/etc/apt/auth.conf.d/mirror.conf", "machine mirror.example login ann password s3cret\n").as_deref(),
        Some("password")
    );
    assert_eq!(rule("/root/.netrc", "machine a.example\n  login ann\n  password s3cret\n").as_deref(), Some("password"));
    let wifi = "[wifi-security]\nkey-mgmt=wpa-psk\npsk=s3cret-s3cret\n";
    assert_eq!(rule("/etc/NetworkManager/system-connections/office.nmconnection", wifi).as_deref(), Some("password"));
    assert_eq!(rule("/etc/other.conf", wifi), None);
}

#[test]
fn permissions_are_looked_at() {
    let one = |path: &str, mode: u32| {
        let mut findings = scan(&volume(&[(path, mode, b"x".to_vec())])).unwrap();
        findings.pop().map(|finding| finding.rule)
    };
    assert_eq!(one("/usr/bin/x", 0o666).as_deref(), Some("world-writable"));
    assert_eq!(one("/usr/bin/x", 0o755), None);
    assert_eq!(one("/usr/bin/x", 0o4755).as_deref(), Some("setuid"));
    assert_eq!(one("/usr/bin/x", 0o2755).as_deref(), Some("setuid"));
    assert_eq!(one("/usr/bin/su", 0o4755), None);
    let folder = |path: &str, mode: u32| {
        let mut volume = volume(&[(path, mode, Vec::new())]);
        volume.tree.values_mut().for_each(|entry| entry.kind = Kind::Folder);
        scan(&volume).unwrap().pop().map(|finding| finding.rule)
    };
    assert_eq!(folder("/tmp", 0o1777), None);
    assert_eq!(folder("/tmp", 0o777).as_deref(), Some("world-writable"));
    assert_eq!(folder("/opt/x", 0o1777).as_deref(), Some("shared-folder"));
    assert_eq!(folder("/var/mail", 0o2775), None);
    let mut capable = volume(&[("/usr/bin/x", 0o755, b"x".to_vec())]);
    capable.tree.values_mut().for_each(|entry| drop(entry.attributes.insert("security.capability".into(), vec![1])));
    assert_eq!(scan(&capable).unwrap()[0].rule, "capabilities");
}

#[test]
fn exceptions_have_a_path_and_a_reason_and_cover_just_that() {
    let exception = |text: &str| Exception::parse(text);
    for bad in [
        "",
        "/etc/x",
        "/etc/x: ",
        "/etc/x: short",
        "etc/x: it is a test key",
        "/a/../b: it is a test key",
        "/a b: it is a test key",
    ] {
        assert_eq!(exception(bad), None, "{bad}");
    }
    let snakeoil = exception("/etc/ssl/private/*.key: snake oil that nobody trusts").unwrap();
    let findings = scan(&volume(&[("/etc/ssl/private/snakeoil.key", 0o600, pem("", "\n").into_bytes())])).unwrap();
    let progress = Progress::new(false);
    judge(&findings, std::slice::from_ref(&snakeoil), "the image", &progress).unwrap();
    let fault = judge(&findings, &[], "the image", &progress).unwrap_err();
    assert_eq!(fault.exit().code(), 3);
    let said = fault.render();
    for part in ["/etc/ssl/private/snakeoil.key, line 1: private key", "why: ", "fix: ", "scan"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("MC4CAQ"), "the secret itself is not said");
    let other = scan(&volume(&[("/etc/ssl/snakeoil.key", 0o600, pem("", "\n").into_bytes())])).unwrap();
    assert!(judge(&other, &[snakeoil], "the image", &progress).is_err());
}
