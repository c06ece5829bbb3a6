//! The machine (SMBIOS type 1, as the kernel shows it) and its firmware.

use std::path::Path;

use livery_contract::inventory::{Firmware, System, usable_serial};

use super::sysfs::text;
use crate::firmware::variables::GLOBAL;

/// Manufacturer, product, serial and UUID. The serial and the UUID can be read by root only.
pub(super) fn system(root: &Path) -> System {
    let dmi = |name: &str| text(root.join("sys/class/dmi/id").join(name)).unwrap_or_default();
    System {
        manufacturer: dmi("sys_vendor"),
        product: dmi("product_name"),
        serial: usable_serial(&dmi("product_serial")).unwrap_or_default().to_owned(),
        uuid: dmi("product_uuid").to_ascii_lowercase(),
    }
}

/// Whether it booted through UEFI, and whether Secure Boot is enforced.
pub(super) fn firmware(root: &Path) -> Firmware {
    let efi = root.join("sys/firmware/efi");
    // Four bytes of attributes, then one byte: 1 where Secure Boot is on (UEFI 2.10, section 32.6).
    let secure_boot = std::fs::read(efi.join(format!("efivars/SecureBoot-{GLOBAL}")))
        .ok()
        .and_then(|variable| variable.get(4).map(|value| *value == 1));
    Firmware { uefi: efi.is_dir(), secure_boot }
}
