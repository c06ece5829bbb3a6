//! Passwords in files of settings: in URLs, in `netrc` files (apt's `auth.conf` is one), for wireless networks.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::finding::{Finding, place};

/// Where settings lie. Elsewhere a URL with a password is an example in a text.
const FOLDERS: [&str; 6] = ["/etc/", "/root/", "/home/", "/srv/", "/opt/", "/usr/local/etc/"];
/// Where the passwords of networks lie: NetworkManager, wpa_supplicant, iwd, connman.
const NETWORKS: [&str; 5] =
    ["/etc/NetworkManager/system-connections/", "/etc/wpa_supplicant", "/etc/iwd/", "/var/lib/iwd/", "/var/lib/connman/"];

static URL: LazyLock<Regex> =
    LazyLock::new(|| form(r#"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'"<>{}$%*\[\]]{1,100}:([^\s/@'"<>{}$*]{1,200})@[A-Za-z0-9\[]"#));
static NETRC: LazyLock<Regex> = LazyLock::new(|| {
    form(r"(?m)^\s{0,80}(?:machine\s{1,80}\S{1,300}|default)\s{1,80}login\s{1,80}\S{1,300}\s{1,80}password\s{1,80}\S{1,300}")
});
static NETWORK: LazyLock<Regex> = LazyLock::new(|| {
    form(
        r"(?m)^\s{0,80}(?:psk|password|Passphrase|PreSharedKey|sae_password|wep[-_]key[0-9]|private-key-password)\s{0,80}=\s{0,80}\S",
    )
});

fn form(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("a fixed form: {error}"))
}

/// Looks through a small file.
pub(crate) fn look(path: &str, content: &[u8]) -> Vec<Finding> {
    let mut found = Vec::new();
    let why = "anyone who has a device can read it, and sign in with it";
    if FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        for hit in URL.find_iter(content) {
            let fix = "remove it from the URL, and change it; give a device its secrets when it is enrolled";
            found.push(Finding::new(path, "password", "password in a URL", why, fix).at(place(content, 0, hit.start())));
        }
        for hit in NETRC.find_iter(content) {
            let fix = "remove the entry, and change the password; the build machine fetches packages, devices do not";
            let at = hit.start() + hit.as_bytes().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            found.push(Finding::new(path, "password", "password in a netrc file", why, fix).at(place(content, 0, at)));
        }
    }
    if NETWORKS.iter().any(|folder| path.starts_with(folder)) {
        for hit in NETWORK.find_iter(content) {
            let fix = "remove it, and change it; use a certificate for each device (802.1X, EAP-TLS)";
            let at = hit.start() + hit.as_bytes().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            found.push(Finding::new(path, "password", "password of a network", why, fix).at(place(content, 0, at)));
        }
    }
    found
}
