//! Network interfaces: to recognise a device by, never to identify it (FOGProject/fogproject#336).

use std::path::Path;

use livery_contract::inventory::Nic;

use super::sysfs::{names, text};

/// Interfaces with a device behind them: no loopback, bridges or tunnels.
pub(super) fn nics(root: &Path) -> Vec<Nic> {
    let class = root.join("sys/class/net");
    names(&class)
        .into_iter()
        .filter_map(|name| {
            let nic = class.join(&name);
            let device = nic.join("device").canonicalize().ok()?;
            let driver = device.join("driver").canonicalize().ok();
            Some(Nic {
                mac: text(nic.join("address"))?,
                driver: driver.and_then(|driver| Some(driver.file_name()?.to_string_lossy().into_owned())),
                usb: device.components().any(|part| part.as_os_str().to_string_lossy().starts_with("usb")),
                name,
            })
        })
        .collect()
}
