//! The device's own signing key: in the credential that the agent made when it wrote the device, and that systemd has opened for this
//! service (`ImportCredential=`). Never in an argument, a variable or a log.

use std::{env, fs, path::PathBuf};

use ed25519_dalek::SigningKey;
use livery_contract::{Fault, Result};

/// As in the unit, and in the agent.
const NAME: &str = "livery.device";

/// Reads it.
///
/// # Errors
/// Exit 3 where there is none, or not one.
pub(crate) fn read() -> Result<SigningKey> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY").unwrap_or_else(|| "/nowhere".into());
    let place = PathBuf::from(folder).join(NAME);
    let missing = || {
        Fault::refused("this device has no key to sign with")
            .at(place.display())
            .fix("its TPM does not decrypt the key, or livery-agent did not write this device: write it again")
    };
    let text = fs::read_to_string(&place).map_err(|error| missing().cause(error))?;
    parse(&text).ok_or_else(missing)
}

fn parse(text: &str) -> Option<SigningKey> {
    let digits = text.lines().find_map(|line| line.strip_prefix("LIVERY_DEVICE_KEY="))?;
    let mut seed = [0; 32];
    hex::decode_to_slice(digits.trim(), &mut seed).ok()?;
    Some(SigningKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_the_credential_is_the_key() {
        let good = format!("LIVERY_TUNNEL_KEY=x\nLIVERY_DEVICE_KEY={}\n", "07".repeat(32));
        assert_eq!(parse(&good), Some(SigningKey::from_bytes(&[7; 32])));
        for bad in ["", "LIVERY_DEVICE_KEY=", "LIVERY_DEVICE_KEY=07", "LIVERY_TUNNEL_KEY=07"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
