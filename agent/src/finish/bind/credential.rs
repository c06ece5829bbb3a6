//! The personal layer's root hash as a credential that only this machine's TPM opens (systemd-creds(1)), for the file that systemd's
//! stub reads at each start.
//!
//! Sealed to the TPM, not to the state of its PCRs: an update of the firmware must not make a device nobody's. What it protects from is
//! a layer or a disk of another device.

use livery_contract::{
    Fault, Result,
    manifest::{BLOCK, Identity},
};

use super::tool::Tool;
use crate::fit::patch::Patch;

pub(crate) const SEAL: Tool = Tool("systemd-creds");
/// As in the initrd's unit that opens it.
const NAME: &str = "livery.identity";

/// The block of the ESP that holds the credential.
///
/// # Errors
/// Exit 6 where the TPM does not seal.
pub(crate) fn sealed(identity: &Identity) -> Result<Patch> {
    let content = format!("LIVERY_IDENTITY={}\n", identity.root_hash);
    let reason = "credential that binds the personal layer to this machine's TPM";
    block(NAME, content.as_bytes(), true, Place { reason, offset: identity.binding })
}

/// Where a credential goes, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// For the record.
    pub reason: &'static str,
    /// First byte of its block on the disk.
    pub offset: u64,
}

/// A block with the credential `name`: sealed to the TPM, or, where there is none, readable by whoever has the disk.
///
/// # Errors
/// Exit 6 where the TPM does not seal.
pub(crate) fn block(name: &str, content: &[u8], tpm: bool, place: Place) -> Result<Patch> {
    let name = format!("--name={name}");
    let key: &[&str] = if tpm { &["--with-key=tpm2", "--tpm2-device=auto", "--tpm2-pcrs="] } else { &["--with-key=null"] };
    let mut bytes = SEAL.run(&[&["encrypt"][..], key, &[&name, "-", "-"]].concat(), content)?;
    let room = usize::try_from(BLOCK).map_err(|_| Fault::internal("a small number"))?;
    if bytes.len() > room || bytes.is_empty() {
        return Err(Fault::device(format!("a credential of {} bytes does not fit into its block", bytes.len())));
    }
    // White space is nothing in Base64.
    bytes.resize(room, b'\n');
    Ok(Patch { reason: place.reason, offset: place.offset, bytes })
}
