//! An employee's account on a laptop: what the personal layer says of it, so that systemd-homed has it from the first start on.
//!
//! In: a row of the roster. Out: files of the layer. The device registers a user record (systemd.io/USER_RECORD) with homed, which signs
//! it with a key of its own, and lays out the home that the record names. Registered, and not created: homed creates only what it has the
//! password of in the clear, and no image has that. From then on the account is the device's: its password, once changed, is in no image.

use std::collections::BTreeMap;

use livery_contract::roster::Employee;
use serde_json::json;

use super::erofs::Node;

/// The account's number, of those that systemd keeps for homed (60001 to 60513): a laptop has one employee, and it is the same at each
/// start whatever the device calls itself.
const UID: u32 = 60001;
/// The most bytes of an account's name (utmp(5), less one).
const LONGEST: usize = 31;
/// Names that systemd-homed, Debian or this image keep for themselves.
const TAKEN: [&str; 6] = ["root", "nobody", "nogroup", "users", "lpadmin", "netdev"];

/// The account's name of an employee who is known as `user`: homed takes letters, digits, `_` and `-` (systemd.io/USER_NAMES, strict), a
/// directory's names often have dots and a domain. `lea.martin@assurance.example` is `lea-martin`.
///
/// `None` where no name comes of it: it does not begin with a letter, or a system's account has it.
pub(crate) fn name(user: &str) -> Option<String> {
    let user = user.split('@').next().unwrap_or_default();
    let user = user.rsplit('\\').next().unwrap_or_default();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '_' { letter.to_ascii_lowercase() } else { '-' };
    let whole: String = user.chars().map(plain).collect();
    // What is cut off may leave a dash at the end.
    let name = whole.get(..LONGEST).map_or(whole.as_str(), |start| start.trim_end_matches('-'));
    let good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && !TAKEN.contains(&name)
        && !name.starts_with("systemd-");
    good.then(|| name.to_owned())
}

/// The layer's files; nothing where the roster gives no name or no first password. `epoch_seconds` is the record's age: what the device
/// changes is newer.
pub(crate) fn files(employee: &Employee, epoch_seconds: i64) -> BTreeMap<String, Node> {
    let (Some(name), Some(hash)) = (name(&employee.user), &employee.first_password) else { return BTreeMap::new() };
    let home = format!("/home/{name}.homedir");
    let record = json!({
        "userName": name,
        // A colon would end the field in passwd(5).
        "realName": employee.name.replace(':', " "),
        "disposition": "regular",
        "storage": "directory",
        "imagePath": home,
        "uid": UID,
        "gid": UID,
        "shell": "/bin/bash",
        "enforcePasswordPolicy": true,
        "passwordChangeNow": true,
        "lastChangeUSec": epoch_seconds.max(1) * 1_000_000,
        "privileged": {"hashedPassword": [hash]},
    })
    .to_string();
    let quoted = record.replace('\\', r"\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`");
    BTreeMap::from([
        (
            "etc/livery/account.env".to_owned(),
            Node::Private(format!("LIVERY_ACCOUNT={name}\nLIVERY_RECORD=\"{quoted}\"\n").into_bytes()),
        ),
        // What homed finds in a home is compared with what it registered (`~/.identity`).
        ("etc/livery/account.identity".to_owned(), Node::Private(format!("{record}\n").into_bytes())),
        (
            "etc/livery/account.conf".to_owned(),
            Node::File(
                format!(
                    "# tmpfiles.d(5): laid out once, then never touched.\n\
                     C {home} 0700 {UID} {UID} - /etc/skel\n\
                     C {home}/.identity 0600 {UID} {UID} - /etc/livery/account.identity\n"
                )
                .into_bytes(),
            ),
        ),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use livery_contract::roster::{Format, parse};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_sign_in_name_becomes_an_account_that_homed_takes() {
        for (user, account) in [
            ("lea.martin", Some("lea-martin")),
            ("Lea.Martin@assurance.example", Some("lea-martin")),
            (r"ASSURANCE\jan_p", Some("jan_p")),
            ("p123456", Some("p123456")),
            ("a.name-that.is-longer.than-any-account.may.be", Some("a-name-that-is-longer-than-any")),
            ("123456", None),
            ("élodie", None),
            ("root", None),
            ("systemd-network", None),
            ("@assurance.example", None),
            ("lea.", None),
        ] {
            assert_eq!(name(user).as_deref(), account, "{user}");
        }
    }

    #[test]
    fn the_record_has_a_hash_to_be_changed_and_survives_the_shell_like_quotes_of_a_unit() {
        let hash = format!("$y$j9T$LdJMENpBABJJ3hIHjB1Bi.${}", "a".repeat(43));
        let roster = format!(
            "order,user,name,hostname,locale,keyboard,first-password\nORD-1,lea.martin,\"Léa \"\"L\"\" M: \\ $x\",lt-1,fr_FR.UTF-8,fr,{hash}\n"
        );
        let mut employee = parse(&roster, Format::Csv).unwrap().remove(0);
        let files = files(&employee, 1_761_955_200);
        let text = |path: &str| match &files[path] {
            Node::File(bytes) | Node::Private(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            Node::Link(target) => target.clone(),
        };
        let record: Value = serde_json::from_str(&text("etc/livery/account.identity")).unwrap();
        assert_eq!(record["privileged"]["hashedPassword"][0], hash.as_str());
        assert_eq!((&record["userName"], &record["passwordChangeNow"]), (&json!("lea-martin"), &json!(true)));
        assert_eq!(record["realName"], "Léa \"L\" M  \\ $x");
        // As systemd reads it (systemd.exec(5), EnvironmentFile=): within double quotes a backslash takes the next letter as it is.
        let environment = text("etc/livery/account.env");
        let (before, quoted) = environment.split_once("LIVERY_RECORD=\"").unwrap();
        assert_eq!(before, "LIVERY_ACCOUNT=lea-martin\n");
        let mut read = String::new();
        let mut letters = quoted.strip_suffix("\"\n").unwrap().chars();
        while let Some(letter) = letters.next() {
            assert!(!matches!(letter, '"' | '$' | '`'), "not quoted: {quoted}");
            read.push(if letter == '\\' { letters.next().unwrap() } else { letter });
        }
        assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), record);
        for path in ["etc/livery/account.env", "etc/livery/account.identity"] {
            assert!(matches!(files[path], Node::Private(_)), "{path} is for root alone");
        }
        employee.first_password = None;
        assert!(super::files(&employee, 1).is_empty());
    }
}
