//! Each setting as the running system has it. What can't be read is found to be
//! [`NONE`](livery_contract::confirmation::NONE): then it did not take.

use std::{fs, path::Path};

use livery_contract::confirmation::{Finding, What, line};

use super::{
    bus::Bus,
    mounts::{Mapped, Mounts},
    settings::Settings,
    verity,
};

/// Where the initrd mounts the personal layer.
const LAYER: &str = "/usr/lib/livery/identity";
/// What systemd calls the root under verity (systemd-veritysetup-generator(8)).
const ROOT: &str = "root";
/// What `CRYPT-LUKS2` devices are: the data partition, opened.
const OPENED: &str = "CRYPT-LUKS2-";
/// The compositor's service on a terminal: its process has the keyboard in its environment.
const COMPOSITOR: &str = "livery-kiosk.service";

pub(crate) async fn read(settings: &Settings, bus: &Bus, mounts: &Mounts) -> Vec<Finding> {
    let by_order = |what, found: Option<String>| Finding { what, wanted: None, found: line(&found.unwrap_or_default()) };
    let by_image = |what, wanted: &str, found: Option<String>| Finding {
        what,
        wanted: Some(line(wanted)),
        found: line(&found.unwrap_or_default()),
    };
    let mut all = vec![
        by_order(What::Image, root_hash(Mapped::named(ROOT)).await),
        by_order(What::Layer, root_hash(mounts.mapped(LAYER)).await),
        by_order(What::Order, order(Path::new("/etc/livery/identity.json"))),
        by_order(What::Hostname, fs::read_to_string("/proc/sys/kernel/hostname").ok()),
        by_order(What::Locale, bus.variable("LANG").await),
        by_order(What::Keyboard, keyboard(settings, bus).await),
        by_image(What::Timezone, &settings.timezone, fs::read_link("/etc/localtime").ok().and_then(|link| zone(&link))),
        by_image(What::Screen, "active", Some(screen(settings, bus).await)),
        by_image(What::Page, settings.page.as_str(), page(Path::new("/etc/firefox/policies/policies.json"))),
        by_image(What::System, "running", system(bus).await),
    ];
    if let Some(data) = &settings.data {
        let open = mounts.mapped(data).is_some_and(|mapped| mapped.uuid.starts_with(OPENED));
        all.push(by_order(What::Data, Some(if open { "open" } else { "closed" }.into())));
    }
    all
}

async fn root_hash(mapped: Option<Mapped>) -> Option<String> {
    verity::root_hash(&mapped?).await.map(|digest| digest.to_string())
}

/// The order that the settings over `/etc` are of.
fn order(path: &Path) -> Option<String> {
    let identity: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    identity["order"].as_str().map(str::to_owned)
}

async fn keyboard(settings: &Settings, bus: &Bus) -> Option<String> {
    if !settings.screen.iter().any(|unit| unit == COMPOSITOR) {
        let (layout, variant) = bus.keyboard().await?;
        return layout_of(&layout, &variant);
    }
    let environment = fs::read(format!("/proc/{}/environ", bus.process(COMPOSITOR).await?)).ok()?;
    let environment = String::from_utf8_lossy(&environment);
    let value =
        |name: &str| environment.split('\0').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default();
    layout_of(value("XKB_DEFAULT_LAYOUT"), value("XKB_DEFAULT_VARIANT"))
}

/// The first of several layouts, as a roster writes it: the others are there to switch to.
fn layout_of(layouts: &str, variants: &str) -> Option<String> {
    let first = |list: &str| list.split(',').next().unwrap_or_default().to_owned();
    match (first(layouts), first(variants)) {
        (layout, _) if layout.is_empty() => None,
        (layout, variant) if variant.is_empty() => Some(layout),
        (layout, variant) => Some(format!("{layout}({variant})")),
    }
}

fn zone(link: &Path) -> Option<String> {
    link.to_str()?.split_once("zoneinfo/").map(|(_, zone)| zone.to_owned())
}

async fn screen(settings: &Settings, bus: &Bus) -> String {
    let mut not = Vec::new();
    for unit in &settings.screen {
        let state = bus.settled_state(unit).await.unwrap_or_else(|| "unknown".into());
        if state != "active" {
            not.push(format!("{unit} {state}"));
        }
    }
    if not.is_empty() { "active".into() } else { not.join(", ") }
}

fn page(policies: &Path) -> Option<String> {
    let policies: serde_json::Value = serde_json::from_slice(&fs::read(policies).ok()?).ok()?;
    policies["policies"]["Homepage"]["URL"].as_str().map(str::to_owned)
}

async fn system(bus: &Bus) -> Option<String> {
    let failures = bus.failures().await.ok()?;
    Some(if failures.is_empty() { "running".into() } else { format!("failed: {}", failures.join(" ")) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_own_layout_is_the_first() {
        assert_eq!(layout_of("fr,us", "oss,"), Some("fr(oss)".into()));
        assert_eq!(layout_of("be,us", ""), Some("be".into()));
        assert_eq!(layout_of("us,us", "intl,"), Some("us(intl)".into()));
        assert_eq!(layout_of("", "oss"), None);
    }

    #[test]
    fn zones_orders_and_pages_are_read_or_are_none() {
        assert_eq!(zone(Path::new("../usr/share/zoneinfo/Europe/Paris")), Some("Europe/Paris".into()));
        assert_eq!(zone(Path::new("/etc/elsewhere")), None);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        assert_eq!((order(&path), page(&path)), (None, None));
        for bad in ["", "[]", "{\"order\": 1}"] {
            fs::write(&path, bad).unwrap();
            assert_eq!((order(&path), page(&path)), (None, None), "{bad}");
        }
        fs::write(&path, r#"{"order": "ORD-1", "policies": {"Homepage": {"URL": "https://g.example/"}}}"#).unwrap();
        assert_eq!((order(&path), page(&path)), (Some("ORD-1".into()), Some("https://g.example/".into())));
    }
}
