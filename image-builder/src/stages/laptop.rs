//! A laptop's desktop: its browsers' policies, its routes, its firewall. What is the same for all lies in `files/laptop`.
//!
//! In: the profile's desk and routes. Out: files of the mechanisms that Debian, NetworkManager and the browsers' makers have for
//! organisations. Fails where the packages lack what they are for.

use std::path::Path;

use livery_contract::{Fault, Result};
use serde_json::{Value, json};

use super::{
    citrix,
    settings::{Furnish, LAPTOP, certificate_path},
};
use crate::{
    profile::{Desk, Routing},
    route::{self, Table},
};

/// Units that a laptop starts.
pub const UNITS: [&str; 9] = [
    "NetworkManager.service",
    "cups.socket",
    "lightdm.service",
    "livery-tunnel.service",
    "nftables.service",
    "power-profiles-daemon.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
];

/// What it cannot do without: file in the root, package, and why.
const NEEDED: [(&str, &str, &str); 5] = [
    ("usr/sbin/NetworkManager", "network-manager", "it connects the laptop, and holds the tunnel"),
    ("usr/sbin/nft", "nftables", "it is the laptop's firewall"),
    ("usr/sbin/lightdm", "lightdm", "it is where people sign in"),
    ("usr/lib/systemd/systemd-resolved", "systemd-resolved", "it sends each name to the network that it belongs to"),
    ("usr/bin/firefox-esr", "firefox-esr", "SaaS is used in the browser"),
];

/// Writes the laptop's files below `root`.
///
/// # Errors
/// Exit 1 where something can't be written, 3 where a package is missing.
pub fn furnish(furnish: &Furnish, root: &Path, desk: &Desk, routing: &Routing) -> Result<()> {
    if let Some((file, package, why)) = NEEDED.iter().find(|(file, ..)| !root.join(file).exists()) {
        return Err(Fault::refused(format!("the packages lack {file}: {why}")).fix(format!("add {package} to `packages.install`")));
    }
    furnish.lay(&LAPTOP)?;
    // NetworkManager has the networks here; systemd-networkd only what is named to it.
    furnish.link("etc/systemd/network/80-livery-ethernet.network", "/dev/null")?;
    let table = Table::new(routing, &desk.citrix);
    furnish.json("etc/firefox/policies/policies.json", &firefox(desk, &table))?;
    if root.join("usr/bin/chromium").exists() {
        furnish.json("etc/chromium/policies/managed/50-livery.json", &chromium(desk, &table))?;
    }
    furnish.file("etc/nftables.conf", route::ruleset(routing.tunnel.as_ref()))?;
    if let Some(tunnel) = &routing.tunnel {
        furnish.file("usr/lib/livery/tunnel.nmconnection", route::connection(tunnel))?;
        if !tunnel.domains.is_empty() {
            for (path, text) in route::fail_closed(tunnel) {
                furnish.file(&path, text)?;
            }
        }
    }
    Ok(())
}

/// `policies.json`: what follows from the routes, and what an organisation's browser does without.
fn firefox(desk: &Desk, table: &Table) -> Value {
    let certificates: Vec<String> = desk.authorities.iter().map(certificate_path).collect();
    let mut policies = json!({
        "Homepage": {"URL": desk.citrix.store_url.as_str(), "StartPage": "homepage"},
        "Certificates": {"Install": certificates},
        // Empty: Firefox follows the system's locale, which is the employee's.
        "RequestedLocales": "",
        "DisableAppUpdate": true,
        "DisableFirefoxStudies": true,
        "DisablePocket": true,
        "DisableTelemetry": true,
        "DontCheckDefaultBrowser": true,
        // Not by `ExtensionSettings`: blocking `*` takes the languages away, which are extensions too.
        "InstallAddonsPermission": {"Default": false},
        "OverrideFirstRunPage": "",
        "OverridePostUpdatePage": "",
        "SkipTermsOfUse": true,
    });
    merge(&mut policies, route::firefox(table));
    if desk.citrix.client.is_some() {
        policies["Handlers"] = citrix::handlers();
    }
    json!({"policies": policies})
}

fn chromium(desk: &Desk, table: &Table) -> Value {
    let mut policies = json!({
        "HomepageLocation": desk.citrix.store_url.as_str(),
        "HomepageIsNewTabPage": false,
        "MetricsReportingEnabled": false,
        "ExtensionInstallBlocklist": ["*"],
        "SyncDisabled": true,
        "BrowserSignin": 0,
    });
    if desk.citrix.client.is_some() {
        policies["AutoOpenFileTypes"] = json!(["ica"]);
    }
    merge(&mut policies, route::chromium(table));
    policies
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
