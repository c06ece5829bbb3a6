//! What a device's firmware hands over to systemd.

/// A systemd credential, handed over in SMBIOS type 11 (systemd.system-credentials(7)).
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its name, such as `network.hosts`.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

impl Credential {
    /// With this content.
    pub fn new(name: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), content: content.into() }
    }

    /// The string as systemd reads it; Base64, since SMBIOS strings hold no newlines.
    pub(super) fn smbios(&self) -> String {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        format!("io.systemd.credential.binary:{}={}", self.name, BASE64_STANDARD.encode(&self.content))
    }
}
