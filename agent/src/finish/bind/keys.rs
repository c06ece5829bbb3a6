//! Keys of the device's own, made here and never seen by anyone else: what it signs with once it is in use, and its WireGuard key.
//!
//! The private halves go into one credential in the EFI system partition, as `NAME=VALUE` lines; the public ones into the record, from
//! where the concentrator's configuration is made (`livery-station peers`).

use aws_lc_rs::{
    agreement::{PrivateKey, X25519},
    encoding::{AsBigEndian as _, Curve25519SeedBin},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::SigningKey;
use livery_contract::{Fault, Result, envelope::PublicKey, manifest::Keys, record::DeviceKeys};

use super::credential::{self, Place};
use crate::fit::patch::Patch;

/// As in the units on the device that read it.
const NAME: &str = "livery.device";

#[derive(Debug)]
pub(crate) struct Made {
    /// The private halves, for their place on the disk.
    pub credential: Patch,
    /// The public ones.
    pub public: DeviceKeys,
}

/// Makes them; `tpm` says whether there is one to seal them to.
///
/// # Errors
/// Exit 6 where the TPM does not seal.
pub(crate) fn make(wanted: &Keys, tpm: bool) -> Result<Made> {
    let (text, public) = pair(wanted.tunnel, tpm)?;
    let place = Place { reason: "the device's own keys, made on this machine", offset: wanted.room };
    Ok(Made { credential: credential::block(NAME, text.as_bytes(), tpm, place)?, public })
}

/// The credential's text, and the public halves.
fn pair(tunnel: bool, sealed: bool) -> Result<(String, DeviceKeys)> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Fault::internal("the kernel did not provide random numbers").cause(error))?;
    let device = PublicKey::of(&SigningKey::from_bytes(&seed));
    let mut text = format!("LIVERY_DEVICE_KEY={}\n", hex::encode(seed));
    let mut public = DeviceKeys { device, tunnel: None, sealed };
    if tunnel {
        let failed = |_| Fault::internal("an X25519 key can't be made");
        let key = PrivateKey::generate(&X25519).map_err(failed)?;
        let private: Curve25519SeedBin<'_> = key.as_be_bytes().map_err(failed)?;
        text.push_str(&format!("LIVERY_TUNNEL_KEY={}\n", BASE64_STANDARD.encode(private.as_ref())));
        public.tunnel = Some(key.compute_public_key().map_err(failed)?.as_ref().try_into()?);
    }
    Ok((text, public))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn public_halves_belong_to_private_ones_and_no_two_devices_share_any() {
        let (text, public) = pair(true, false).unwrap();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned();
        let seed: [u8; 32] = hex::decode(value("LIVERY_DEVICE_KEY")).unwrap().try_into().unwrap();
        assert_eq!(PublicKey::of(&SigningKey::from_bytes(&seed)), public.device);
        let private = BASE64_STANDARD.decode(value("LIVERY_TUNNEL_KEY")).unwrap();
        let again = PrivateKey::from_private_key(&X25519, &private).unwrap();
        assert_eq!(public.tunnel.unwrap().to_string(), BASE64_STANDARD.encode(again.compute_public_key().unwrap()));
        assert_ne!(pair(true, false).unwrap().1, public);
        let (text, public) = pair(false, true).unwrap();
        assert!(public.tunnel.is_none() && public.sealed && !text.contains("TUNNEL"));
    }
}
