//! A profile from merged values.

use std::path::Path;

use super::{
    hosts::HOST_LISTS,
    model::{Agent, Boot, Citrix, Confirm, Debian, Desk, Image, Kiosk, Locale, Mirrors, Packages, Profile, Role, Time, Updates},
    routing,
    values::Values,
};
use crate::{
    files::{layer::Layer, merge::Merged},
    settings::choice::{After, Hardware, Kind},
    words::{
        certificate::name_apart,
        client::{self, Client, ClientSetting},
        exception::Exception,
        host::Host,
    },
};

/// Every value in its own type. `None` is only for what has been said already, or for an odd table.
pub(crate) fn assemble(path: &Path, layers: &[Layer], kind: Kind, merged: Merged) -> Option<Profile> {
    let mut values = Values::new(&merged);
    let v = &mut values;
    let mut hardware: Vec<Hardware> =
        v.texts("hardware.supported")?.iter().map(|word| Hardware::of(word)).collect::<Option<_>>()?;
    hardware.sort_unstable();
    let role = match kind {
        Kind::Terminal => {
            let desk = desk(v)?;
            let kiosk = Box::new(kiosk(v, &desk.citrix)?);
            Role::Terminal { desk, kiosk }
        }
        Kind::Laptop => Role::Laptop { desk: desk(v)?, routing: Box::new(routing::routing(v)?) },
        Kind::Agent => Role::Agent(Agent {
            station: v.url("agent.station"),
            station_ca: v.authorities("agent.station-ca").unwrap_or_default(),
            job_key: v.key("agent.job-key"),
            after: After::of(&v.text("agent.after")?)?,
        }),
        // Not a profile of this form.
        Kind::Import => return None,
    };
    let profile = Profile {
        name: v.text("name")?.parse().ok()?,
        version: match v.text("version") {
            Some(version) => Some(version.parse().ok()?),
            None => None,
        },
        description: v.text("description")?,
        path: path.to_owned(),
        files: layers.iter().map(|layer| layer.source.path.clone()).collect(),
        debian: Debian {
            suite: v.text("debian.suite")?,
            architecture: v.text("debian.architecture")?,
            mirrors: v.url("debian.mirror").zip(v.url("debian.security-mirror")).map(|(main, security)| Mirrors { main, security }),
            components: v.texts("debian.components")?,
        },
        packages: Packages {
            install: v.texts("packages.install")?,
            boot: v.texts("packages.boot")?,
            recommends: v.boolean("packages.recommends")?,
            exclude_paths: v.texts("packages.exclude-paths")?,
            include_paths: v.texts("packages.include-paths")?,
            supplied: v.supplied()?,
        },
        image: Image {
            epoch: v.time("image.epoch")?,
            minimum_disk: v.size("image.minimum-disk")?,
            any_sectors: v.text("image.sectors")? == "any",
            grow: v.boolean("image.grow")?,
            identity_size: v.size("image.identity-size")?,
            data: Some(v.text("image.data")?).filter(|mount| mount != "none"),
            slot_size: v.size("image.slot-size"),
            compression_level: v.integer("image.compression-level")?,
        },
        scan: v.texts("scan.allow")?.iter().map(|text| Exception::parse(text)).collect::<Option<_>>()?,
        boot: Boot { kernel_arguments: v.texts("boot.kernel-arguments")?, consoles: v.texts("boot.consoles")? },
        time: Time { servers: v.texts("time.servers")? },
        hardware,
        role,
        origins: merged.origins.clone(),
    };
    (!values.is_odd()).then_some(profile)
}

fn desk(v: &mut Values<'_>) -> Option<Desk> {
    let default = v.text("locale.default")?;
    let mut available = v.texts("locale.available")?;
    if available.is_empty() {
        available.push(default.clone());
    }
    let locale = Locale { default, available, keyboard: v.text("locale.keyboard")?, timezone: v.text("locale.timezone")? };
    let mut authorities = v.authorities("trust.authorities")?;
    name_apart(&mut authorities);
    let citrix = Citrix {
        store_url: v.url("citrix.store-url")?,
        gateway_hosts: v.hosts("citrix.gateway-hosts")?,
        storefront_hosts: v.hosts("citrix.storefront-hosts")?,
        identity_provider_hosts: v.hosts("citrix.identity-provider-hosts")?,
        mfa_hosts: v.hosts("citrix.mfa-hosts")?,
        client: client(v)?,
    };
    let confirm = v.url("confirm.station").map(|station| {
        let authorities = v.authorities("confirm.station-ca").unwrap_or_default();
        Confirm { station, authorities }
    });
    let updates = v.url("updates.store").map(|store| {
        let authorities = v.authorities("updates.store-ca").unwrap_or_default();
        Updates { store, authorities }
    });
    Some(Desk { locale, authorities, citrix, confirm, updates })
}

/// Citrix's client: none where nobody supplies it. The outer `None` is as everywhere here.
#[expect(clippy::option_option, reason = "no client, and not read, are two things")]
fn client(v: &mut Values<'_>) -> Option<Option<Client>> {
    if !v.supplied()?.iter().any(|supplied| supplied.package == client::PACKAGE) {
        return Some(None);
    }
    Some(Some(Client {
        fido2: v.boolean("citrix.fido2")?,
        app_protection: v.boolean("citrix.app-protection")?,
        device_trust: v.boolean("citrix.device-trust")?,
        endpoint_analysis: v.boolean("citrix.endpoint-analysis")?,
        settings: v.texts("citrix.client-settings")?.iter().map(|text| ClientSetting::parse(text).ok()).collect::<Option<_>>()?,
    }))
}

fn kiosk(v: &mut Values<'_>, citrix: &Citrix) -> Option<Kiosk> {
    let mut allowed_hosts: Vec<Host> = Vec::new();
    for key in HOST_LISTS {
        for host in v.hosts(key)? {
            if !allowed_hosts.contains(&host) {
                allowed_hosts.push(host);
            }
        }
    }
    let url = v.url("kiosk.url").unwrap_or_else(|| citrix.store_url.clone());
    // A NetScaler Gateway's own.
    let sign_out = v.url("kiosk.sign-out").or_else(|| url.join("/cgi/logout").ok())?;
    Some(Kiosk {
        browser: v.text("kiosk.browser")?,
        url,
        allowed_hosts,
        sign_out,
        idle: v.integer("kiosk.idle")?,
        scale: v.text("kiosk.scale")?,
        printing: v.boolean("kiosk.printing")?,
        usb_storage: v.boolean("kiosk.usb-storage")?,
        connectivity_check: v.url("kiosk.connectivity-check"),
    })
}
