//! One image's trust anchors, in its initrd: how its personal layer is checked before it is applied. A small archive laid over the
//! initrd, which images of the same packages share.
//!
//! In: the identity partition's GUID, the certificate of who signs personal layers. Out: files, of systemd's own means only: a unit
//! that takes the partition as a disk image (`losetup`), checks signature and hash tree and mounts it (`systemd-dissect`). Where the
//! device has a TPM it must also be just that layer whose root hash the agent sealed to it (`systemd-creds`). What does not pass is
//! not mounted, the console says why, and the device goes on as nobody's.

use std::{collections::BTreeMap, path::Path};

use livery_contract::{Digest, Result};
use uuid::Uuid;

use super::{disk::device_unit, furnish::Furnish, settings::IDENTITY};

/// Name of the credential; the same in the ESP's file, in the seal, and in the agent.
const CREDENTIAL: &str = "livery.identity";

/// The files, by path.
#[derive(Clone, Debug)]
pub(crate) struct Anchors(BTreeMap<String, String>);

impl Anchors {
    /// Of an image whose identity partition has this GUID; `certificate` (PEM) is of the key that signs its personal layers,
    /// `root_json` the store's trusted root, which newer images must follow from.
    pub(crate) fn new(identity: Uuid, certificate: &str, root_json: &str) -> Self {
        let units = "etc/systemd/system";
        Self(BTreeMap::from([
            // systemd's place for certificates that a verity image may be signed by.
            ("etc/verity.d/livery-identity.crt".to_owned(), certificate.to_owned()),
            ("etc/livery/root.json".to_owned(), root_json.to_owned()),
            // For the running system: `/run` goes along, the rest of the initrd does not.
            (
                "usr/lib/tmpfiles.d/livery-trust.conf".to_owned(),
                "C /run/livery/root.json 0644 root root - /etc/livery/root.json\n".to_owned(),
            ),
            (format!("{units}/livery-identity.service"), unit(identity, false)),
            (format!("{units}/livery-identity-bound.service"), unit(identity, true)),
        ]))
    }

    /// Digest of all of it.
    pub(crate) fn digest(&self) -> Digest {
        let mut text = String::new();
        self.0.iter().for_each(|(path, content)| text.push_str(&format!("{path}\0{content}\0")));
        Digest::of(text.as_bytes())
    }

    /// Writes the files below `folder`.
    ///
    /// # Errors
    /// Exit 1 where one can't be written.
    pub(crate) fn lay(&self, folder: &Path) -> Result<()> {
        let furnish = Furnish::new(folder);
        for (path, content) in &self.0 {
            furnish.file(path, content)?;
            if let Some(name) = path.strip_prefix("etc/systemd/system/") {
                furnish.link(&format!("etc/systemd/system/initrd-root-fs.target.wants/{name}"), &format!("../{name}"))?;
            }
        }
        Ok(())
    }
}

/// The unit for a device with a TPM (`bound`) or without: just one of the two runs. Firmware says which (systemd.unit(5),
/// `ConditionSecurity=tpm2`): taking the driver or the credential away does not make a device one without.
fn unit(identity: Uuid, bound: bool) -> String {
    let disk = format!("/dev/disk/by-partuuid/{identity}");
    let device = device_unit(identity);
    let (condition, unseal, hash) = if bound {
        (
            "tpm2",
            // Not a dependency on the device: that would be waited for, to its end, where the condition says that there is none.
            format!(
                "ExecStartPre=/usr/bin/udevadm wait --timeout=60 /dev/tpmrm0\n\
                 ExecStartPre=/usr/bin/systemd-creds decrypt --name={CREDENTIAL} /run/credentials/@encrypted/{CREDENTIAL} %t/livery/identity.env\n\
                 EnvironmentFile=-%t/livery/identity.env\n"
            ),
            "--root-hash=${LIVERY_IDENTITY} ",
        )
    } else {
        ("!tpm2", String::new(), "")
    };
    format!(
        "[Unit]\n\
         Description=Personal settings of this device's employee\n\
         DefaultDependencies=no\n\
         ConditionSecurity={condition}\n\
         Requires={device}\n\
         After={device} systemd-modules-load.service systemd-tmpfiles-setup.service initrd-root-fs.target\n\
         Before=initrd-parse-etc.service\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         StandardError=journal+console\n\
         {unseal}\
         ExecStart=/usr/sbin/losetup --read-only --partscan /dev/loop0 {disk}\n\
         ExecStart=/usr/bin/systemd-dissect --mount --read-only --image-policy=root=signed {hash}/dev/loop0 /sysroot{IDENTITY}\n"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::stages::settings::INITRD;

    #[test]
    fn a_device_with_a_tpm_asks_for_the_very_layer() {
        let anchors = Anchors::new(Uuid::from_u128(0x1234), "PEM", "{}");
        assert_eq!(anchors.digest(), Anchors::new(Uuid::from_u128(0x1234), "PEM", "{}").digest());
        assert_ne!(anchors.digest(), Anchors::new(Uuid::from_u128(0x1234), "OTHER", "{}").digest());
        let folder = tempfile::tempdir().unwrap();
        anchors.lay(folder.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join("etc/systemd/system").join(name)).unwrap();
        let (with, without) = (read("initrd-root-fs.target.wants/livery-identity-bound.service"), read("livery-identity.service"));
        assert!(with.contains("ConditionSecurity=tpm2") && with.contains("--root-hash=${LIVERY_IDENTITY} /dev/loop0"), "{with}");
        assert!(without.contains("ConditionSecurity=!tpm2") && !without.contains("root-hash"), "{without}");
        // systemd queues what a unit wants before it looks at the unit's conditions: a device without a TPM waited 85 s for one.
        assert!(!with.contains("tpmrm0.device") && with.contains("udevadm wait --timeout=60 /dev/tpmrm0"), "{with}");
        for unit in [with, without] {
            assert!(unit.contains("--image-policy=root=signed") && unit.contains(r"partuuid-00000000\x2d0000"), "{unit}");
        }
        // Mounted there, and laid over `/etc` from there.
        let over = INITRD.get_file("usr/lib/systemd/system/sysroot-etc.mount").unwrap().contents_utf8().unwrap();
        assert!(over.contains(&format!("lowerdir=/sysroot{IDENTITY}/etc:/sysroot/etc,")), "{over}");
    }
}
