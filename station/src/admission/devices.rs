//! What of a device's inventory is stored and shown. All of it was sent by something on the factory network, so lengths are
//! bounded and control characters dropped before anything is stored.

use livery_contract::{
    inventory::{Inventory, usable_serial},
    wire::Enrol,
};

use crate::{database::devices::Device, text::one_line};

/// The most characters of any text of a device that is shown.
const MOST: usize = 120;
/// The most MAC addresses that are shown.
const MOST_NICS: usize = 16;

/// A device's text, fit to be shown on one line.
pub(crate) fn plain(text: &str) -> String {
    one_line(text, MOST)
}

/// The serial if it identifies a machine.
pub(crate) fn serial(inventory: &Inventory) -> Option<&str> {
    usable_serial(&inventory.system.serial)
}

/// What is stored of a device that enrols now.
pub(crate) fn describe(enrol: &Enrol, now: i64) -> Device {
    let system = &enrol.inventory.system;
    let macs: Vec<String> = enrol.inventory.nics.iter().take(MOST_NICS).map(|nic| plain(&nic.mac)).collect();
    Device {
        device_key: enrol.key.to_string(),
        serial: serial(&enrol.inventory).unwrap_or_default().to_owned(),
        manufacturer: plain(&system.manufacturer),
        product: plain(&system.product),
        macs: serde_json::to_string(&macs).unwrap_or_else(|error| unreachable!("plain data: {error}")),
        agent: plain(&enrol.agent),
        waiting: Some("has just arrived".into()),
        fault: None,
        first_seen: now,
        last_seen: now,
    }
}
