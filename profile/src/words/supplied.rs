//! Software that IT supplies: what is known of one .deb, and what an item of `packages.supplied` says.

use std::path::PathBuf;

use livery_contract::Digest;
use serde::Serialize;

/// What an item says, all of it.
pub(crate) const KEYS: [&str; 6] = ["path", "sha256", "package", "version", "licence", "accept-licence"];
/// The most characters of a licence's name.
pub(crate) const MAX_LICENCE: usize = 200;
/// What an acknowledgement begins with; the licence's name follows.
pub(crate) const ACCEPT: &str = "I have read and accept ";

/// One .deb that IT supplies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Supplied {
    /// The file, from here.
    #[serde(skip)]
    pub file: PathBuf,
    /// The same as the profile writes it.
    #[serde(skip)]
    pub path: String,
    /// Digest of the file.
    pub sha256: Digest,
    /// Bytes of the file.
    pub size: u64,
    /// The package's name (Debian Policy 5.6.7), as the file itself says too.
    pub package: String,
    /// Its version (5.6.12), as the file itself says too.
    pub version: String,
    /// Its architecture, or `all`, as the file says.
    pub architecture: String,
    /// The licence that was accepted, as IT names it.
    pub licence: String,
}

impl Supplied {
    /// The item as TOML in one line.
    pub fn to_toml(&self) -> String {
        let text = |text: &str| toml::Value::from(text).to_string();
        let accept = format!("{ACCEPT}{}", self.licence);
        let values = [&self.path, &self.sha256.to_string(), &self.package, &self.version, &self.licence, &accept];
        let members: Vec<String> = KEYS.iter().zip(values).map(|(key, value)| format!("{key} = {}", text(value))).collect();
        format!("{{ {} }}", members.join(", "))
    }

    /// What makes an image restricted, for people: package, version, licence.
    pub fn restriction(&self) -> String {
        format!("{} {} ({})", self.package, self.version, self.licence)
    }
}

/// What an item looks like, as TOML.
pub(crate) fn example() -> String {
    let licence = "Citrix End User License Agreement";
    let item = Supplied {
        file: PathBuf::new(),
        path: "icaclient_24.11.0.85_amd64.deb".into(),
        sha256: Digest::of(b""),
        size: 0,
        package: "icaclient".into(),
        version: "24.11.0.85".into(),
        architecture: "amd64".into(),
        licence: licence.into(),
    };
    item.to_toml()
}

/// What is expected of an item, in words.
pub(crate) fn wanted() -> String {
    format!("a table `[[packages.supplied]]` with {}", KEYS.map(|key| format!("`{key}`")).join(", "))
}

/// An item's JSON Schema.
pub(crate) fn schema() -> serde_json::Value {
    let text = |about: &str, pattern: &str| serde_json::json!({"type": "string", "description": about, "pattern": pattern});
    serde_json::json!({
        "type": "object",
        "required": KEYS,
        "additionalProperties": false,
        "properties": {
            "path": text("The .deb, relative to this file's folder.", "."),
            "sha256": text("Its SHA-256: what sha256sum prints.", "^[0-9a-f]{64}$"),
            "package": text("The package's name, as in the .deb.", "^[a-z0-9][a-z0-9+.-]{1,127}$"),
            "version": text("Its version, as in the .deb.", "^[A-Za-z0-9.+~:-]{1,200}$"),
            "licence": text("The licence's name.", "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,200}$"),
            "accept-licence": text("\"I have read and accept \" and the licence's name, once you have.", &format!("^{ACCEPT}")),
        },
    })
}
