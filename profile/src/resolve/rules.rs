//! What settings demand of one another. Each rule looks only at values that are there and sound, so that it never blames
//! one error on another.

use std::collections::HashMap;

use livery_contract::Digest;

use super::{contradictions, hosts::HOST_LISTS, values::Values};
use crate::{
    files::{
        layer::Layer,
        merge::{Merged, MergedValue},
        value::Value,
    },
    report::{
        diagnose::Sink,
        problem::Problem,
        text::{nearest, quoted},
    },
    settings::{
        choice::Kind,
        table::{PER_FILE, setting},
    },
    words::{client, host::Host},
};

/// All rules; those that hang on the kind only where it is known.
pub(crate) fn apply(merged: &Merged, kind: Option<Kind>, sink: &mut Sink) {
    mirrors(merged, sink);
    default_locale(merged, sink);
    authorities(merged, sink);
    supplied(merged, sink);
    confirmed(merged, sink);
    updated(merged, sink);
    if let Some(Kind::Terminal | Kind::Laptop) = kind {
        host_allowed("citrix.store-url", merged, sink);
        client_settings(merged, sink);
    }
    if kind == Some(Kind::Laptop) {
        contradictions::apply(merged, sink);
    }
    if kind == Some(Kind::Import) {
        personal(merged, sink);
    }
    if kind == Some(Kind::Terminal) {
        host_allowed("kiosk.url", merged, sink);
        kiosk_packages(merged, sink);
    }
}

/// A setting that the kind does not use would be silently ignored; only an abstract file may hold some for several kinds.
pub(crate) fn fits_kind(layer: &Layer, kind: Kind, merged: &Merged, sink: &mut Sink) {
    for (key, entry) in &layer.entries {
        let Some(setting) = setting(key).filter(|setting| !setting.kinds.contains(&kind) && !PER_FILE.contains(key)) else {
            continue;
        };
        let said = merged.places.get("kind").map_or_else(String::new, |place| format!(" ({})", place.short()));
        let users = setting.kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" and ");
        let problem = Problem::new(format!("kind = \"{kind}\"{said} does not use it; only {users} does"))
            .help("remove it; only a file with abstract = true may hold settings of several kinds");
        sink.at(&entry.key, format!("`{key}` has no effect here"), problem);
    }
}

/// A mirror of the archive alone would quietly build images without security fixes.
fn mirrors(merged: &Merged, sink: &mut Sink) {
    for (one, other) in [("debian.mirror", "debian.security-mirror"), ("debian.security-mirror", "debian.mirror")] {
        if let (Some(place), false) = (merged.places.get(one), merged.values.contains_key(other)) {
            let problem = Problem::new(format!("`{other}` is missing")).help("set both, or neither for the distribution's own");
            sink.at(place, format!("`{one}` alone is an incomplete package source"), problem);
        }
    }
}

/// A file without its partition is nowhere, and a place for people without a locale takes nobody.
fn personal(merged: &Merged, sink: &mut Sink) {
    for (one, other) in [("personal.partition", "personal.file"), ("personal.file", "personal.partition")] {
        if let (Some(place), false) = (merged.places.get(one), merged.values.contains_key(other)) {
            let problem =
                Problem::new(format!("`{other}` is missing")).help("set both, or neither for an image without a personal layer");
            sink.at(place, format!("`{one}` alone is an incomplete place for the personal layer"), problem);
        }
    }
    if let (Some(place), Some(true)) =
        (merged.places.get("personal.file"), Values::new(merged).texts("locale.available").map(|list| list.is_empty()))
    {
        let problem = Problem::new("`locale.available` is empty, so no row of a roster would be valid");
        sink.at(
            place,
            "nobody can get this image",
            problem.help("list the locales that the image's system has, such as [\"fr_FR.UTF-8\"]"),
        );
    }
}

/// An authority of a station that nobody names would be silently ignored.
fn confirmed(merged: &Merged, sink: &mut Sink) {
    has_no_effect("confirm.station-ca", "confirm.station", "devices report to nobody", merged, sink);
}

/// Devices tell which image is newer by its version; and what goes with a store that nobody names would be silently ignored.
fn updated(merged: &Merged, sink: &mut Sink) {
    if let Some(place) = merged.places.get("updates.store") {
        // A file that others extend may leave the version to them.
        let whole = Values::new(merged).boolean("abstract") != Some(true);
        if whole && !merged.values.contains_key("version") {
            let problem = Problem::new("`version` is missing")
                .help("set one and raise it with each release, such as version = \"2026.11\": devices compare versions by it");
            sink.at(place, "`updates.store` alone does not tell which image is newer", problem);
        }
    }
    for key in ["updates.store-ca", "image.slot-size"] {
        has_no_effect(key, "updates.store", "there are no updates", merged, sink);
    }
}

/// A setting that goes with another one, which is not there.
fn has_no_effect(key: &str, with: &str, without: &str, merged: &Merged, sink: &mut Sink) {
    if let (Some(place), false) = (merged.places.get(key), merged.values.contains_key(with)) {
        let problem = Problem::new(format!("`{with}` is missing")).help(format!("set it, or remove this: without it {without}"));
        sink.at(place, format!("`{key}` has no effect"), problem);
    }
}

fn default_locale(merged: &Merged, sink: &mut Sink) {
    let mut values = Values::new(merged);
    let (Some(default), Some(available)) = (values.text("locale.default"), values.texts("locale.available")) else { return };
    let Some(place) = merged.places.get("locale.default") else { return };
    if !available.is_empty() && !available.contains(&default) {
        let list = merged.places.get("locale.available").map_or_else(String::new, |place| format!(" ({})", place.short()));
        let problem = Problem::new(format!("{} is not in locale.available{list}", quoted(&default)));
        let problem = problem.help(match nearest(&default, available.iter().map(String::as_str)) {
            Some(near) => format!("add it there, or use {near:?}"),
            None => "add it there".to_owned(),
        });
        sink.at(place, "the default locale is not available", problem);
    }
}

/// The same certificate by two files: one of them is not what its name says.
fn authorities(merged: &Merged, sink: &mut Sink) {
    let Some(MergedValue::List(items)) = merged.values.get("trust.authorities") else { return };
    let mut seen: HashMap<Digest, String> = HashMap::new();
    for item in items {
        let Some(Value::Authorities(authorities)) = &item.value else { continue };
        for authority in authorities {
            if let Some(first) = seen.insert(authority.sha256, item.text.clone()) {
                let problem = Problem::new(format!("{} is also in {}", quoted(&authority.subject), quoted(&first)));
                sink.at(&item.place, "double certificate in `trust.authorities`", problem.help("remove one"));
            }
        }
    }
}

/// A browser that may not open its own first page shows a block page to everyone, after the devices have shipped.
fn host_allowed(key: &str, merged: &Merged, sink: &mut Sink) {
    let mut values = Values::new(merged);
    let (Some(place), Some(url)) = (merged.places.get(key), values.url(key)) else { return };
    let Some(host) = url.host_str() else { return };
    let mut allowed: Vec<Host> = Vec::new();
    for list in HOST_LISTS {
        // A faulty list may well hold it.
        let Some(hosts) = values.hosts(list) else { return };
        allowed.extend(hosts);
    }
    if !allowed.iter().any(|allowed| allowed.matches(host)) {
        let problem = Problem::new(format!("{} is in none of the lists of allowed hosts", quoted(host)));
        let problem = problem.help(match nearest(host, allowed.iter().map(Host::as_str)) {
            Some(near) => format!("add it to citrix.gateway-hosts, or is {near:?} misspelt there?"),
            None => "add it to citrix.gateway-hosts, citrix.storefront-hosts or kiosk.allowed-hosts".to_owned(),
        });
        sink.at(place, format!("the browser may not open `{key}`"), problem);
    }
}

/// A package of another architecture cannot be installed, and of two of one name only one.
fn supplied(merged: &Merged, sink: &mut Sink) {
    let architecture = Values::new(merged).text("debian.architecture");
    let (Some(MergedValue::List(items)), Some(architecture)) = (merged.values.get("packages.supplied"), architecture) else {
        return;
    };
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for item in items {
        let Some(Value::Supplied(supplied)) = &item.value else { continue };
        if supplied.architecture != architecture && supplied.architecture != "all" {
            let cause = format!("it is for {}, but the image is for {architecture}", quoted(&supplied.architecture));
            let problem = Problem::new(cause).help(format!("get its vendor's package for {architecture}"));
            sink.at(&item.place, format!("{} cannot be installed", quoted(&supplied.path)), problem);
        }
        if let Some(first) = seen.insert(&supplied.package, &supplied.path) {
            let problem = Problem::new(format!("{} is also the package {}", quoted(first), supplied.package));
            sink.at(&item.place, "double package in `packages.supplied`", problem.help("remove one"));
        }
    }
}

fn has_client(values: &mut Values<'_>) -> bool {
    values.supplied().is_some_and(|supplied| supplied.iter().any(|one| one.package == client::PACKAGE))
}

/// Settings of a client that is not there would be silently ignored.
fn client_settings(merged: &Merged, sink: &mut Sink) {
    let mut values = Values::new(merged);
    // A faulty list may well hold it.
    if has_client(&mut values) || values.supplied().is_none() {
        return;
    }
    for key in
        ["citrix.fido2", "citrix.app-protection", "citrix.device-trust", "citrix.endpoint-analysis", "citrix.client-settings"]
    {
        let (Some(place), Some(setting)) = (merged.places.get(key), setting(key)) else { continue };
        if merged.value_of(setting).as_deref() != setting.default {
            let problem = Problem::new(format!("`packages.supplied` has no {}, Citrix's client", client::PACKAGE));
            sink.at(place, format!("`{key}` has no effect"), problem.help("supply the client, or remove this"));
        }
    }
}

/// What a terminal's screen is made of.
fn kiosk_packages(merged: &Merged, sink: &mut Sink) {
    let mut values = Values::new(merged);
    let (Some(browser), Some(install)) = (values.text("kiosk.browser"), values.texts("packages.install")) else { return };
    let Some(place) = merged.places.get("packages.install") else { return };
    for (package, why) in [
        ("sway", "it shows the browser on the screen"),
        ("seatd", "it gives the compositor access to screen and input"),
        ("swayidle", "it notices when nobody uses the terminal"),
        ("network-manager", "it connects to networks, including Wi-Fi"),
        ("cups", "kiosk.printing is true"),
        (browser.as_str(), "it is kiosk.browser"),
        ("xwayland", "Citrix's client, which packages.supplied has, is a program of X11"),
    ] {
        let asked = match package {
            "xwayland" => has_client(&mut values),
            "cups" => values.boolean("kiosk.printing") == Some(true),
            _ => true,
        };
        if !asked {
            continue;
        }
        if !install.iter().any(|name| name == package) {
            let problem = Problem::new(format!("{} is not in the list: {why}", quoted(package)));
            sink.at(place, "a terminal lacks a package", problem.help(format!("add {package:?} to packages.install")));
        }
    }
}
