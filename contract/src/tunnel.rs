//! A WireGuard public key, as `wg` writes and reads it.
//!
//! A type and no text: it goes from a device's record into the concentrator's configuration, where a line break would begin a setting
//! of the sender's choice.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Result};

/// A Curve25519 public key (RFC 7748). As text: its 32 bytes in Base64, 44 characters, in the one spelling that `wg` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TunnelKey([u8; 32]);

impl std::fmt::Display for TunnelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl std::str::FromStr for TunnelKey {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        // Before decoding: whatever a stranger sends is not worth more than 44 bytes.
        let bytes = if text.len() == 44 { BASE64_STANDARD.decode(text).ok() } else { None };
        Self::try_from(bytes.unwrap_or_default().as_slice())
    }
}

impl TryFrom<&[u8]> for TunnelKey {
    type Error = Fault;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        match bytes.try_into() {
            // WireGuard takes zeros for "no key".
            Ok(key) if key != [0; 32] => Ok(Self(key)),
            _ => Err(Fault::untrusted("not a WireGuard public key (32 bytes in Base64)")),
        }
    }
}

impl TryFrom<String> for TunnelKey {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TunnelKey> for String {
    fn from(key: TunnelKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_in_the_one_spelling_is_a_key() {
        let good = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
        assert_eq!(good.parse::<TunnelKey>().unwrap().to_string(), good);
        assert_eq!(serde_json::from_str::<TunnelKey>(&format!("{good:?}")).unwrap().to_string(), good);
        for bad in [
            "",
            "KEY=",
            "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg",
            "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dh=",
            "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n",
            " xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "x\nAllowedIPs = 0.0.0.0/0\nPostUp = touch /x\n#=",
        ] {
            assert_eq!(bad.parse::<TunnelKey>().unwrap_err().exit().code(), 4, "{bad:?}");
        }
    }
}
