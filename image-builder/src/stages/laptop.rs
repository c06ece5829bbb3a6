//! A laptop's desktop: its browsers' policies, its routes, its firewall. What is the same for all lies in `files/laptop`.
//!
//! In: the profile's desk and routes. Out: files of the mechanisms that Debian, NetworkManager and the browsers' makers have for
//! organisations. Fails where the packages lack what they are for.

use std::{collections::BTreeSet, path::Path};

use livery_contract::{Fault, Result};
use livery_profile::{Desk, Routing};
use serde_json::{Value, json};

use super::{
    citrix,
    furnish::Furnish,
    persist,
    settings::{LAPTOP, certificate_path},
};
use crate::route::{self, Table};

/// Units that a laptop starts.
pub(crate) const UNITS: [&str; 13] = [
    "NetworkManager.service",
    "avahi-daemon.service",
    "cups.socket",
    "lightdm.service",
    "livery-account.service",
    "livery-home.service",
    "livery-tunnel.service",
    "nftables.service",
    "power-profiles-daemon.service",
    "systemd-homed.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
];

/// What it cannot do without: file in the root, package, and why.
const NEEDED: [(&str, &str, &str); 8] = [
    ("usr/sbin/NetworkManager", "network-manager", "it connects the laptop, and runs the tunnel"),
    ("usr/sbin/nft", "nftables", "it is the laptop's firewall"),
    ("usr/sbin/lightdm", "lightdm", "it shows the sign-in page"),
    ("usr/lib/systemd/systemd-resolved", "systemd-resolved", "it sends each name to the network that it belongs to"),
    ("usr/lib/systemd/systemd-homed", "systemd-homed", "it manages the employee's account"),
    ("usr/lib/x86_64-linux-gnu/libnss_systemd.so.2", "libnss-systemd", "the sign-in page finds the account through it"),
    ("usr/lib/polkit-1/polkitd", "polkitd", "it lets the employee join networks"),
    ("usr/bin/firefox-esr", "firefox-esr", "employees use SaaS in the browser"),
];

/// Writes the laptop's files below `root`.
///
/// # Errors
/// Exit 1 where something can't be written, 3 where a package is missing.
pub(crate) fn furnish(furnish: &Furnish, root: &Path, desk: &Desk, routing: &Routing) -> Result<()> {
    if let Some((file, package, why)) = NEEDED.iter().find(|(file, ..)| !root.join(file).exists()) {
        return Err(Fault::refused(format!("the packages do not contain {file}: {why}"))
            .fix(format!("add {package} to `packages.install`")));
    }
    furnish.lay(&LAPTOP)?;
    for folder in persist::places() {
        furnish.folder(&folder[1..])?;
    }
    // NetworkManager has the networks here; systemd-networkd only what is named to it.
    furnish.link("etc/systemd/network/80-livery-ethernet.network", "/dev/null")?;
    // The sign-in page asks AccountsService where there is one, and that lists no account of homed's, and says that its home is `/`.
    // Python brings a setting for kernels with binfmt_misc, which these have not.
    for unit in ["accounts-daemon.service", "proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service"] {
        furnish.link(&format!("etc/systemd/system/{unit}"), "/dev/null")?;
    }
    let table = Table::new(routing, &desk.citrix);
    furnish.json("etc/firefox/policies/policies.json", &firefox(desk, &table))?;
    if root.join("usr/bin/chromium").exists() {
        furnish.json("etc/chromium/policies/managed/50-livery.json", &chromium(desk, &table))?;
    }
    furnish.file("usr/share/applications/livery-citrix.desktop", citrix_entry(desk.citrix.store_url.as_str()))?;
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

/// What the panel and the menu have for central applications (Desktop Entry Specification 1.5): the store, in the browser.
fn citrix_entry(store: &str) -> String {
    // In `Exec` a percent sign begins a field, and within quotes these two are the shell's; a URL has no quotes or backslashes.
    let store = store.replace('%', "%%").replace('$', r"\\$").replace('`', r"\\`");
    format!(
        "[Desktop Entry]\n\
         Type=Application\n\
         Name=Citrix\n\
         Comment=Central applications\n\
         Comment[de]=Zentrale Anwendungen\n\
         Comment[fr]=Applications centrales\n\
         Comment[nl]=Centrale toepassingen\n\
         Exec=firefox-esr \"{store}\"\n\
         Icon=network-server\n\
         Categories=Network;\n"
    )
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
        "PasswordManagerExceptions": unkept(desk),
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
        "PasswordManagerBlocklist": unkept(desk),
    });
    if desk.citrix.client.is_some() {
        policies["AutoOpenFileTypes"] = json!(["ica"]);
    }
    merge(&mut policies, route::chromium(table));
    policies
}

/// Where no browser offers to keep a password: that of central applications is the one that the second factor stands beside. Both
/// browsers take an origin for its host and all below it.
fn unkept(desk: &Desk) -> Vec<String> {
    let hosts = desk.citrix.host_lists().into_iter().flat_map(|(_, hosts)| hosts);
    let origins: BTreeSet<String> = hosts.map(|host| format!("https://{}", host.as_str().trim_start_matches("*."))).collect();
    origins.into_iter().collect()
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Characters for which a panel of 1024 pixels has room beside the laptop's name and two buttons.
    const LINE: usize = 80;

    #[test]
    fn word_of_a_closed_data_partition_has_room_in_the_sign_in_page() {
        for (language, call) in [
            ("de", "Bitte wenden Sie sich an Ihre IT-Abteilung."),
            ("en", "Please call your IT department."),
            ("fr", "Contactez votre service informatique."),
            ("nl", "Neem contact op met de IT-afdeling."),
        ] {
            let file = LAPTOP.get_file(format!("usr/share/livery/no-data/{language}.conf")).unwrap();
            let text = file.contents_utf8().unwrap();
            // An item that begins with `~~` is a text of any length; its `\n` ends a line.
            let items = text.lines().find_map(|line| line.strip_prefix("indicators=")).unwrap();
            let told: Vec<&str> = items.split(';').filter_map(|item| item.strip_prefix("~~")).collect();
            let lines: Vec<&str> = told.first().unwrap().split(r"\n").collect();
            assert!(told.len() == 1 && lines.len() == 2 && lines[1].ends_with(call), "{language}: {told:?}");
            for line in lines {
                assert!(line.chars().count() <= LINE, "{language}: {line}");
            }
        }
    }

    #[test]
    fn a_clock_is_a_clock() {
        // lightdm-gtk-greeter writes it into 50 bytes, and cuts what is longer.
        const CLOCK: usize = 49;
        let mut folders = vec![&LAPTOP];
        while let Some(folder) = folders.pop() {
            folders.extend(folder.dirs());
            let texts = folder.files().filter_map(include_dir::File::contents_utf8);
            for format in texts.flat_map(str::lines).filter_map(|line| line.strip_prefix("clock-format=")) {
                assert!(format.len() <= CLOCK && format.contains('%'), "{format}");
            }
        }
    }

    #[test]
    fn the_store_is_one_word_of_a_command() {
        let entry = citrix_entry("https://gateway.example/a%20b?$x");
        assert!(entry.contains("\nExec=firefox-esr \"https://gateway.example/a%%20b?\\\\$x\"\n"), "{entry}");
    }
}
