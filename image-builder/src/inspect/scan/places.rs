//! Files that their path gives away: what each device must make for itself, and passwords.

use super::finding::Finding;

const EACH_ITS_OWN: &str = "every device with this image would have the same one, and whoever has one device knows it for all";

/// Whether a path's content must be looked at here.
pub(crate) fn concerns(path: &str) -> bool {
    is_host_key(path)
        || is_seed(path)
        || matches!(path, MACHINE_ID | DBUS_ID | SHADOW | GSHADOW | PASSWD | SHADOW_OLD | GSHADOW_OLD)
}

const MACHINE_ID: &str = "/etc/machine-id";
const DBUS_ID: &str = "/var/lib/dbus/machine-id";
const SHADOW: &str = "/etc/shadow";
const GSHADOW: &str = "/etc/gshadow";
const PASSWD: &str = "/etc/passwd";
const SHADOW_OLD: &str = "/etc/shadow-";
const GSHADOW_OLD: &str = "/etc/gshadow-";

fn is_host_key(path: &str) -> bool {
    let name = path.strip_prefix("/etc/ssh/").or_else(|| path.strip_prefix("/etc/dropbear/"));
    name.is_some_and(|name| {
        (name.starts_with("ssh_host_") && name.ends_with("_key")) || name.starts_with("dropbear_") && name.ends_with("_host_key")
    })
}

fn is_seed(path: &str) -> bool {
    matches!(
        path,
        "/var/lib/systemd/random-seed"
            | "/var/lib/systemd/credential.secret"
            | "/var/lib/urandom/random-seed"
            | "/var/lib/random-seed"
            | "/boot/loader/random-seed"
            | "/efi/loader/random-seed"
            | "/var/lib/cloud/data/instance-id"
    )
}

/// What is wrong with such a file.
pub(crate) fn look(path: &str, content: &[u8]) -> Vec<Finding> {
    if is_host_key(path) {
        return vec![Finding::new(
            path,
            "host-key",
            "SSH host key",
            "whoever has it can pretend to be any device that was made from the image",
            "keep it out of the image; each device makes its own when its SSH server first starts (ssh-keygen -A)",
        )];
    }
    if is_seed(path) {
        return vec![Finding::new(
            path,
            "random-seed",
            "random seed or secret of one system",
            EACH_ITS_OWN,
            "keep it out of the image; each device makes its own when it first starts",
        )];
    }
    match path {
        MACHINE_ID | DBUS_ID => {
            // What systemd knows as "not yet": machine-id(5).
            let text = String::from_utf8_lossy(content);
            if matches!(text.trim(), "" | "uninitialized") {
                return Vec::new();
            }
            vec![Finding::new(
                path,
                "machine-id",
                "machine id",
                "every device would have the same one: DHCP, journals and licences would see only one machine",
                "remove it or leave it empty; each device makes its own when it first starts",
            )]
        }
        _ => passwords(path, content),
    }
}

/// Whether this is what a password comes to (crypt(5)): `$id$…`, extended DES, or DES.
fn is_hash(text: &str) -> bool {
    let is_des = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    // By its length systemd's word for "none yet" could be one of DES.
    text.starts_with('$') || (text.len() == 20 && text.starts_with('_')) || (text.len() == 13 && is_des && text != "unprovisioned")
}

/// Accounts with a password, or that need none.
fn passwords(path: &str, content: &[u8]) -> Vec<Finding> {
    let text = String::from_utf8_lossy(content);
    let found = text.lines().zip(1..).filter_map(|(line, number): (&str, usize)| {
        let mut fields = line.split(':');
        let (name, password) = (fields.next()?, fields.next()?);
        let name: String = name.chars().take(32).filter(|letter| !letter.is_control()).collect();
        // shadow(5): what no password comes to locks the account; a "!" before a hash does, and the hash is there all the same.
        let hash = password.trim_start_matches('!');
        let finding = if path.starts_with(GSHADOW) && password.is_empty() {
            return None; // a group without a password: nobody joins by one
        } else if password.is_empty() {
            Finding::new(
                path,
                "empty-password",
                format!("account {name} without a password"),
                "anyone at a login prompt of the device gets in",
                "lock the account (passwd --lock), and let people sign in by a key or not at all",
            )
        } else if !is_hash(hash) {
            return None; // such as "*", "x", or systemd's "!unprovisioned": no password comes to it
        } else {
            Finding::new(
                path,
                "password-hash",
                format!("password hash of account {name}"),
                "every device would have the same password, and anyone with a device can try passwords at leisure",
                "lock the account (passwd --lock); set a password on the device if one is needed",
            )
        };
        Some(finding.at(format!("line {number}")))
    });
    found.collect()
}
