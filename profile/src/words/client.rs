//! Settings of Citrix's client in its own files, as its documentation names them: `module.ini [ICA 3.0] FIDO2=On`.

use serde::Serialize;

use crate::report::{problem::Problem, text::quoted};

/// The name of the client's package.
pub const PACKAGE: &str = "icaclient";
/// The files that settings go into (docs.citrix.com, "App preferences").
pub(crate) const FILES: [&str; 3] = ["module.ini", "wfclient.ini", "All_Regions.ini"];

/// How Citrix's client is set up, where IT supplies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Client {
    /// Whether FIDO2 keys of the device work in sessions.
    pub fido2: bool,
    /// Whether App Protection is installed.
    pub app_protection: bool,
    /// Whether Device Trust is installed.
    pub device_trust: bool,
    /// Whether Endpoint Analysis is installed.
    pub endpoint_analysis: bool,
    /// Further settings, in order.
    pub settings: Vec<ClientSetting>,
}

/// One setting in one of the client's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientSetting {
    /// One of [`FILES`].
    pub file: String,
    /// The section, without its brackets.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

impl ClientSetting {
    /// From `FILE [SECTION] KEY=VALUE`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bad = || {
            Problem::new(format!("{} is not a setting of Citrix's client", quoted(text)))
                .help("write FILE [SECTION] KEY=VALUE, such as \"wfclient.ini [Thinwire3.0] InvertCursorEnabled=True\"; FILE is module.ini, wfclient.ini or All_Regions.ini")
        };
        let (file, rest) = text.split_once(" [").ok_or_else(bad)?;
        let (section, rest) = rest.split_once("] ").ok_or_else(bad)?;
        let (key, value) = rest.split_once('=').ok_or_else(bad)?;
        let word = |text: &str, more: &[u8]| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
            (1..=80).contains(&text.len()) && text.as_bytes()[0].is_ascii_alphanumeric() && text.bytes().all(allowed)
        };
        let printable = value.len() <= 200 && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !FILES.contains(&file) || !word(section, b" ._\\/-") || !word(key, b"_.-") || !printable {
            return Err(bad());
        }
        if file == "module.ini" && section == "ICA 3.0" && key.eq_ignore_ascii_case("FIDO2") {
            return Err(Problem::new("this has its own setting").help("write citrix.fido2 = true or false"));
        }
        Ok(Self { file: file.into(), section: section.into(), key: key.into(), value: value.into() })
    }
}

/// The JSON Schema's pattern of [`ClientSetting::parse`].
pub(crate) const PATTERN: &str = r"^(module\.ini|wfclient\.ini|All_Regions\.ini) \[[A-Za-z0-9][A-Za-z0-9 ._\\/-]{0,79}\] [A-Za-z0-9][A-Za-z0-9_.-]{0,79}=[ -~]{0,200}$";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn settings_name_file_section_and_key() {
        let setting = ClientSetting::parse(r"All_Regions.ini [Virtual Channels\Thinwire Graphics] InvertCursorEnabled=*").unwrap();
        assert_eq!((setting.section.as_str(), setting.value.as_str()), (r"Virtual Channels\Thinwire Graphics", "*"));
        for bad in [
            "",
            "module.ini FIDO2=On",
            "other.ini [A] b=c",
            "module.ini [A]b=c",
            "module.ini [] b=c",
            "module.ini [A] b",
            "module.ini [A] =c",
            "module.ini [A] b=c\nd=e",
            "../module.ini [A] b=c",
            "module.ini [ICA 3.0] fido2=Off",
        ] {
            assert!(ClientSetting::parse(bad).is_err(), "{bad}");
        }
    }
}
