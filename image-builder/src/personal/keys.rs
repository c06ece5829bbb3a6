//! The keys of what is each device's own.
//!
//! ```text
//! identity.key, identity.pem   pair that signs personal layers; needed wherever masters or personal images are made
//! recovery.pem                 public: what the data partitions' recovery keys are encrypted to; masters name it
//! recovery.key                 opens them again (`livery recover`); belongs in a safe
//! ```

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use livery_contract::{Fault, Result};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use x509_parser::pem::Pem;

use crate::secure_boot::{
    keygen::{Pair, write},
    signer::Signer,
};

/// The private key that signs personal layers.
pub(crate) const IDENTITY_KEY: &str = "identity.key";
/// Its certificate: devices have it in their signed initrd.
pub(crate) const IDENTITY_CERTIFICATE: &str = "identity.pem";
/// The private key that recovery keys are read with.
pub(crate) const RECOVERY_KEY: &str = "recovery.key";
/// Its public half.
pub(crate) const RECOVERY_PUBLIC: &str = "recovery.pem";
/// The most bytes of a file with a public key.
const MOST: u64 = 16 << 10;

/// The first of the files that is there already.
pub(crate) fn there(folder: &Path) -> Option<PathBuf> {
    let names = [IDENTITY_KEY, IDENTITY_CERTIFICATE, RECOVERY_KEY, RECOVERY_PUBLIC];
    names.map(|name| folder.join(name)).into_iter().find(|path| path.symlink_metadata().is_ok())
}

/// Makes both pairs in a folder that has neither.
///
/// # Errors
/// Exit 3 where a file can't be written or is there already: keys are never overwritten.
pub(crate) fn generate(folder: &Path) -> Result<()> {
    let identity = Pair::new("Livery personal layers", Timestamp::now())?;
    // 3072 bits: what they protect lies on disks for years (NIST SP 800-57 part 1, table 2: 128 bits of strength).
    let recovery = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072)
        .map_err(|error| Fault::internal("a key can't be made").cause(error))?;
    write(&folder.join(IDENTITY_KEY), identity.key.as_bytes(), 0o600)?;
    write(&folder.join(IDENTITY_CERTIFICATE), identity.certificate.as_bytes(), 0o644)?;
    write(&folder.join(RECOVERY_KEY), recovery.serialize_pem().as_bytes(), 0o600)?;
    write(&folder.join(RECOVERY_PUBLIC), recovery.public_key_pem().as_bytes(), 0o644)
}

/// The pair that signs personal layers.
///
/// # Errors
/// Exit 2 where it is not there, 3 where it is no pair.
pub(crate) fn signer(folder: &Path) -> Result<Signer> {
    Signer::open_pair(folder, IDENTITY_KEY, IDENTITY_CERTIFICATE)
}

/// The public key that recovery keys are encrypted to, PEM. One's own RSA key may lie there instead.
///
/// # Errors
/// Exit 2 where it is not there, 3 where it is none.
pub(crate) fn recovery(folder: &Path) -> Result<String> {
    let path = folder.join(RECOVERY_PUBLIC);
    let text = super::read(&path, MOST).map_err(|error| {
        Fault::usage("the public recovery key can't be read")
            .at(path.display())
            .cause(error)
            .fix("`livery keygen --out DIR` adds the missing pair to a key folder and does not change the other keys")
    })?;
    let wrong = |error: String| Fault::refused("not a public key in PEM").at(path.display()).cause(error);
    let block = Pem::iter_from_buffer(&text).next().transpose().map_err(|error| wrong(error.to_string()))?;
    if block.is_none_or(|block| block.label != "PUBLIC KEY") {
        return Err(wrong("it must begin with -----BEGIN PUBLIC KEY-----".into()));
    }
    String::from_utf8(text).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn keys_are_made_once_and_private_ones_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(signer(folder.path()).unwrap_err().exit().code(), 2);
        assert_eq!(recovery(folder.path()).unwrap_err().exit().code(), 2);
        generate(folder.path()).unwrap();
        for (name, mode) in [(IDENTITY_KEY, 0o600), (RECOVERY_KEY, 0o600), (RECOVERY_PUBLIC, 0o644)] {
            assert_eq!(fs::metadata(at(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
        }
        signer(folder.path()).unwrap();
        assert!(recovery(folder.path()).unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
        let kept = fs::read(at(IDENTITY_KEY)).unwrap();
        assert_eq!(generate(folder.path()).unwrap_err().exit().code(), 3);
        assert_eq!(fs::read(at(IDENTITY_KEY)).unwrap(), kept);
        fs::copy(at(IDENTITY_CERTIFICATE), at(RECOVERY_PUBLIC)).unwrap();
        assert!(recovery(folder.path()).unwrap_err().to_string().contains("BEGIN PUBLIC KEY"));
    }
}
