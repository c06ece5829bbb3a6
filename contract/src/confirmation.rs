//! The confirmation: what took effect on a device once it is in use, as read back from its running system. Signed by the device's own
//! key ([`DeviceKeys::device`](crate::record::DeviceKeys::device)), which its record names; kept by the station.
//!
//! The device says what it *found*, and what its image wants where only the image knows; what its order wants is the station's to
//! compare, which has it from the roster and the signed manifest. So a device cannot vouch for itself with what it was told.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Payload,
    fault::{Fault, Result},
    inventory::usable_serial,
};

/// The only schema so far.
pub const SCHEMA: u32 = 1;
/// The most bytes of a signed confirmation: its envelope, as JSON.
pub const MAX_BYTES: usize = 64 << 10;
/// The most bytes of what was found or wanted of one setting.
pub const MAX_TEXT: usize = 512;

/// What is found where there is nothing: no personal layer, no verity.
pub const NONE: &str = "none";

/// What took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The machine's serial number (SMBIOS type 1), trimmed: by it the station finds the record that names the key.
    pub serial: String,
    /// When the system was started.
    pub booted: Timestamp,
    /// When this was signed, so that it cannot be sent again later as news.
    pub at: Timestamp,
    /// Whether the firmware enforces Secure Boot; `None` where it can't be read.
    pub secure_boot: Option<bool>,
    /// Each setting at most once.
    pub findings: Vec<Finding>,
    /// Version of the program that says so.
    pub desk: String,
}

impl Payload for Confirmation {
    const TYPE: &'static str = "application/vnd.livery.confirmation+json";
}

/// One setting as the running system has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Which.
    pub what: What,
    /// What the image wants; `None` where the order decides, or nobody wants anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What there is.
    pub found: String,
}

/// What a device reads back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// dm-verity root hash of the root file system, of the kernel's own table.
    Image,
    /// dm-verity root hash of the personal layer that is mounted, or [`NONE`].
    Layer,
    /// The order that the personal settings are of, or [`NONE`].
    Order,
    /// The kernel's host name.
    Hostname,
    /// The locale that services and sessions are started with.
    Locale,
    /// The keyboard as a roster writes it, such as `fr(oss)`: of the running screen.
    Keyboard,
    /// The time zone.
    Timezone,
    /// Whether the encrypted data partition is `open` or `closed`.
    Data,
    /// Whether what draws the desk is `active`, or else what is not.
    Screen,
    /// The page that the browser's policy opens.
    Page,
    /// `running`, or the services that failed.
    System,
}

impl What {
    /// As on the wire and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Layer => "layer",
            Self::Order => "order",
            Self::Hostname => "hostname",
            Self::Locale => "locale",
            Self::Keyboard => "keyboard",
            Self::Timezone => "timezone",
            Self::Data => "data",
            Self::Screen => "screen",
            Self::Page => "page",
            Self::System => "system",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Confirmation {
    /// Whether it is of the form that stations keep.
    ///
    /// # Errors
    /// [`Exit::Refused`](crate::Exit::Refused), saying which rule it breaks.
    pub fn check(&self) -> Result<()> {
        let no = |what: String| Err(Fault::refused(format!("the confirmation {what}")));
        if self.schema != SCHEMA {
            return no(format!("has schema {}, this program knows {SCHEMA}", self.schema));
        }
        if usable_serial(&self.serial) != Some(self.serial.as_str()) {
            return no(format!("has the serial number {:?}, which identifies no machine", self.serial));
        }
        if self.booted > self.at {
            return no(format!("is dated {:.0}, before its system started at {:.0}", self.at, self.booted));
        }
        if self.findings.is_empty() {
            return no("says nothing".into());
        }
        let mut seen = BTreeSet::new();
        for Finding { what, wanted, found } in &self.findings {
            if !seen.insert(*what) {
                return no(format!("reports twice on {what}"));
            }
            if !is_line(found) || !wanted.as_deref().is_none_or(is_line) {
                return no(format!("has no text of 1 to {MAX_TEXT} bytes for {what}"));
            }
        }
        if !is_line(&self.desk) {
            return no("does not name the program that made it".into());
        }
        Ok(())
    }

    /// Whether another one says the same, at whatever time.
    pub fn says_as(&self, other: &Self) -> bool {
        (&self.serial, self.secure_boot, &self.findings) == (&other.serial, other.secure_boot, &other.findings)
    }
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TEXT && text.trim() == text && !text.chars().any(char::is_control)
}

/// A text as a finding may have it: one line, not too long, never empty, no space at either end.
pub fn line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if line.len() + letter.len_utf8() > MAX_TEXT {
            break;
        }
        line.push(letter);
    }
    match line.trim() {
        "" => NONE.into(),
        text => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Confirmation {
        let finding = |what, found: &str| Finding { what, wanted: None, found: found.into() };
        Confirmation {
            schema: SCHEMA,
            serial: "WT-1".into(),
            booted: "2026-11-26T08:00:00Z".parse().unwrap(),
            at: "2026-11-26T08:01:00Z".parse().unwrap(),
            secure_boot: Some(true),
            findings: vec![finding(What::Hostname, "wt-1"), finding(What::Keyboard, "fr(oss)")],
            desk: "0.1.0".into(),
        }
    }

    #[test]
    fn a_good_one_is_taken_and_its_time_is_no_news() {
        let good = sample();
        good.check().unwrap();
        let later = Confirmation { at: Timestamp::MAX, ..good.clone() };
        assert!(good.says_as(&later));
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Confirmation>(&text).unwrap(), good);
        assert!(text.contains(r#"{"what":"keyboard","found":"fr(oss)"}"#), "{text}");
    }

    #[test]
    fn what_is_endless_doubled_or_nothing_is_refused() {
        type Spoil = fn(&mut Confirmation);
        let cases: [(&str, Spoil); 9] = [
            ("schema", |c| c.schema = 2),
            ("serial", |c| c.serial = "Default string".into()),
            ("serial", |c| c.serial = " WT-1".into()),
            ("before its system started", |c| c.at = Timestamp::UNIX_EPOCH),
            ("nothing", |c| c.findings.clear()),
            ("twice", |c| c.findings[1].what = What::Hostname),
            ("hostname", |c| c.findings[0].found = "x".repeat(MAX_TEXT + 1)),
            ("hostname", |c| c.findings[0].wanted = Some("a\nb".into())),
            ("program", |c| c.desk.clear()),
        ];
        for (word, spoil) in cases {
            let mut bad = sample();
            spoil(&mut bad);
            let fault = bad.check().unwrap_err().to_string();
            assert!(fault.contains(word), "{word}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_line_that_is_taken(text in any::<String>()) {
            prop_assert!(is_line(&line(&text)));
            prop_assert_eq!(line(&line(&text)), line(&text));
        }

        #[test]
        fn a_line_of_a_setting_stays_as_it_is(text in "[a-z][a-z0-9().:/_-]{0,80}") {
            prop_assert_eq!(line(&text), text);
        }
    }
}
