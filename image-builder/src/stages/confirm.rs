//! What tells the station, once, what took effect on a device: `livery-desk confirm`, its unit, and whom it tells. Only where the
//! profile names a station (`confirm.station`). Fails where the packages lack what reads the kernel's tables.

use std::path::Path;

use livery_contract::{Fault, Result};
use livery_profile::{Confirm, Desk, Role};
use serde_json::json;

use super::{
    furnish::Furnish,
    programs::Program,
    settings::{self, CONFIRM},
};

/// Units that it starts, besides the desk's own.
pub(crate) const UNITS: [&str; 2] = ["livery-confirm.service", "NetworkManager-dispatcher.service"];

/// The station's own authority, where the profile names one.
const AUTHORITIES: &str = "/usr/lib/livery/confirm-ca.pem";
/// What it cannot do without: file in the root, and package.
const NEEDED: [(&str, &str); 2] = [("usr/sbin/dmsetup", "dmsetup"), ("usr/sbin/NetworkManager", "network-manager")];

/// Writes its files below `root`; `data` is where the data partition is mounted.
///
/// # Errors
/// Exit 1 where something can't be written, 3 where a package is missing.
pub(crate) fn furnish(
    furnish: &Furnish,
    root: &Path,
    (confirm, desk): (&Confirm, &Desk),
    role: &Role,
    data: Option<&str>,
    program: &Program,
) -> Result<()> {
    if let Some((file, package)) = NEEDED.iter().find(|(file, _)| !root.join(file).exists()) {
        return Err(Fault::refused(format!("the packages do not contain {file}, which `confirm.station` needs"))
            .fix(format!("add {package} to `packages.install`, or remove `confirm.station`")));
    }
    furnish.lay(&CONFIRM)?;
    furnish.file_with_mode("usr/bin/livery-desk", program.bytes(), 0o755)?;
    let authorities = settings::vouchers(furnish, &confirm.authorities, AUTHORITIES)?;
    furnish.json("usr/lib/livery/confirm.json", &told((confirm, desk), role, data, authorities))?;
    if let Some(data) = data {
        // After, not for: on a device without a TPM there is none, and it tells all the same.
        let unit = format!("{}.mount", data.trim_start_matches('/'));
        let text = format!("[Unit]\nAfter={unit}\n\n[Service]\nReadWritePaths=-{data}\n");
        furnish.file("usr/lib/systemd/system/livery-confirm.service.d/50-livery-data.conf", text)?;
    }
    Ok(())
}

/// What `livery-desk confirm` reads.
fn told((confirm, desk): (&Confirm, &Desk), role: &Role, data: Option<&str>, authorities: &str) -> serde_json::Value {
    let page = match role {
        Role::Terminal { kiosk, .. } => &kiosk.url,
        Role::Laptop { .. } | Role::Agent(_) => &desk.citrix.store_url,
    };
    json!({
        "station": confirm.station,
        "authorities": authorities,
        "data": data,
        "screen": settings::screen(role),
        "page": page,
        "timezone": desk.locale.timezone,
    })
}
