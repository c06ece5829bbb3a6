//! What a device in use says of itself: typed answers to one question. In: whatever runs a script in it, a virtual device's probe or a
//! container. Out: [`Facts`]. Fails where an answer is missing or is no answer.

use livery_contract::{Fault, Result};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::Value;

/// One question for all: each line is a key of [`Facts`].
pub const QUESTION: &str = r#"
say() { printf '%s=%s\n' "$1" "$2"; }
flag() { od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/$1-8be4df61-93ca-11d2-aa0d-00e098032b8c 2> /dev/null | tr -d ' \n'; }
yes() { "$@" > /dev/null 2>&1 && echo yes || echo no; }
. /usr/lib/os-release; say image "$IMAGE_ID@$IMAGE_VERSION"
say hostname "$(cat /proc/sys/kernel/hostname)"
say locale "$(systemctl show-environment | sed -n 's/^LANG=//p')"
say timezone "$(readlink /etc/localtime | sed 's,.*/zoneinfo/,,')"
say keyboard "$(. /etc/livery/keyboard.env 2> /dev/null; echo "$XKB_DEFAULT_LAYOUT")"
say order "$(. /etc/livery/identity.env 2> /dev/null; echo "$LIVERY_ORDER")"
say user "$(. /etc/livery/identity.env 2> /dev/null; echo "$LIVERY_USER")"
say root_hash "$(sed -n 's/.*roothash=\([0-9a-f]*\).*/\1/p' /proc/cmdline)"
say machine_id "$(cat /etc/machine-id)"
say layer "$(yes mountpoint -q /usr/lib/livery/identity)"
say verity "$(cat /sys/class/block/dm-*/dm/uuid 2> /dev/null | grep -c VERITY)"
say encrypted "$(yes grep -qs ^CRYPT-LUKS2 /sys/block/dm-*/dm/uuid)"
say secure_boot "$(flag SecureBoot)"
say setup_mode "$(flag SetupMode)"
say lockdown "$(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/security/lockdown)"
say failed "$(systemctl --failed --no-legend --plain | cut -d ' ' -f 1 | tr '\n' ' ')"
say loop_units "$(systemctl list-units --type=device --no-legend --plain 'dev-loop*' | cut -d ' ' -f 1 | tr '\n' ' ')"
"#;

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Facts {
    /// The image that runs, `NAME@VERSION`.
    pub image: String,
    /// The kernel's host name.
    pub hostname: String,
    /// `LANG` of its services.
    pub locale: String,
    /// By the name of the time zone database.
    pub timezone: String,
    /// The layout of a terminal's screen, as XKB calls it.
    pub keyboard: String,
    /// Its order, from the personal layer.
    pub order: String,
    /// Its employee's name, from the personal layer.
    pub user: String,
    /// The root hash of its kernel's command line.
    pub root_hash: String,
    /// Its machine id.
    pub machine_id: String,
    /// Whether its personal layer is applied.
    #[serde(deserialize_with = "yes")]
    pub layer: bool,
    /// How many dm-verity mappings it has.
    #[serde(deserialize_with = "number")]
    pub verity: u32,
    /// Whether a LUKS2 volume is open.
    #[serde(deserialize_with = "yes")]
    pub encrypted: bool,
    /// Whether its firmware enforces Secure Boot.
    #[serde(deserialize_with = "yes")]
    pub secure_boot: bool,
    /// Whether its firmware has no platform key.
    #[serde(deserialize_with = "yes")]
    pub setup_mode: bool,
    /// The kernel's lockdown mode.
    pub lockdown: String,
    /// Units that failed.
    pub failed: String,
    /// Units of loop devices, which PID 1 is to leave alone.
    pub loop_units: String,
}

impl Facts {
    /// From what [`QUESTION`] printed.
    ///
    /// # Errors
    /// Where a line is missing, or a value is not of its type.
    pub fn parse(text: &str) -> Result<Self> {
        parse(text)
    }
}

/// Lines of `KEY=VALUE` as what they are the fields of; all values are text.
///
/// # Errors
/// Where a line is missing, or a value is not of its type.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T> {
    let map = text.lines().filter_map(|line| line.split_once('='));
    let map = map.map(|(key, value)| (key.to_owned(), Value::from(value.trim()))).collect();
    serde_json::from_value(Value::Object(map))
        .map_err(|error| Fault::device(format!("the device does not say what it is: {text}")).cause(error))
}

/// `yes` and `no`, or a variable of the firmware's: 1, 0, or nothing where there is none.
fn yes<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<bool, D::Error> {
    match String::deserialize(from)?.as_str() {
        "yes" | "1" => Ok(true),
        "no" | "0" | "" => Ok(false),
        other => Err(D::Error::custom(format!("{other:?} is neither yes nor no"))),
    }
}

fn number<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<u32, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_missing_or_no_answer_is_an_error() {
        // Each key that the question prints, with a value that every type takes.
        let keys: Vec<&str> = QUESTION.lines().filter_map(|line| line.split("say ").nth(1)?.split(' ').next()).collect();
        let text: String = keys.iter().map(|key| format!("{key}=1\n")).collect();
        assert!(Facts::parse(&text).unwrap().secure_boot);
        assert!(Facts::parse(&text.replace("hostname=1\n", "")).is_err());
        assert!(Facts::parse(&text.replace("layer=1", "layer=perhaps")).is_err());
    }
}
