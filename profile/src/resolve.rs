//! From merged layers to a [`Profile`]: what must be there, what fits together, and each value in its own type.

use std::{path::Path, sync::Arc};

use ipnet::IpNet;
use jiff::Timestamp;
use livery_contract::envelope::PublicKey;
use url::Url;

use super::{
    certificate::{Authority, name_apart},
    client::{self, Client, ClientSetting},
    decode::Value,
    diagnose::{Problem, Sink},
    exception::Exception,
    extends::{Chain, chain},
    host::Host,
    import::Import,
    layer::Layer,
    locks,
    merge::{Held, Merged, merge},
    model::{
        After, Agent, Boot, Citrix, Confirm, Debian, Desk, Hardware, Image, Kind, Kiosk, Locale, Mirrors, Packages, Profile, Role,
        Time, Updates,
    },
    routes, rules,
    supplied::Supplied,
    table::{Need, Setting, TABLE},
};
use crate::endpoints::EndpointList;

/// What a profile is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `livery check`: an abstract one is fine.
    Check,
    /// A build: it must be whole.
    Build,
}

/// A profile's files, merged.
pub struct Read {
    /// The files, nearest first; at least one.
    pub layers: Vec<Layer>,
    /// Whether all that can be missing is missing, and not only unread.
    pub whole: bool,
    /// What they say together.
    pub merged: Merged,
    /// What is built, where that is said.
    pub kind: Option<Kind>,
}

/// Merges the files of a profile; `None` where it could not be read at all.
pub fn read(chain: Chain, now: Timestamp, sink: &mut Sink) -> Option<Read> {
    let Chain { layers, complete } = chain;
    layers.first()?;
    for layer in &layers {
        has_schema(layer, sink);
    }
    let whole = complete && !layers.iter().any(|layer| layer.broken);
    let merged = merge(&layers, &Layer::built_in(now, sink), sink);
    let kind = Values::new(&merged).text("kind").and_then(|word| Kind::of(&word));
    Some(Read { layers, whole, merged, kind })
}

/// Resolves a profile. What is wrong goes into `sink`; `None` where no whole profile came of it.
pub fn resolve(path: &Path, now: Timestamp, purpose: Purpose, sink: &mut Sink) -> Option<Resolved> {
    let read = read(chain(path, now, sink), now, sink)?;
    judge(&read, purpose, sink);
    let Read { layers, merged, kind, .. } = read;
    match kind? {
        _ if layers.first()?.is_abstract() => None,
        Kind::Import => Import::assemble(&merged).map(|import| Resolved::Import(Box::new(import))),
        kind => assemble(path, &layers, kind, merged).map(|profile| Resolved::Build(Box::new(profile))),
    }
}

/// What a profile came to.
pub enum Resolved {
    /// Something to build.
    Build(Box<Profile>),
    /// How to take a ready-made image.
    Import(Box<Import>),
}

/// What the files say together: what is missing, what has no effect, what contradicts.
pub fn judge(read: &Read, purpose: Purpose, sink: &mut Sink) {
    let Read { layers, whole, merged, kind } = read;
    let (Some(leaf), kind) = (layers.first(), *kind) else { return };
    if *whole {
        locks::can_be_met(layers, sink);
    }
    if leaf.is_abstract() {
        if let (Purpose::Build, Some(place)) = (purpose, merged.places.get("abstract")) {
            let problem = Problem::new("others extend this file, it is not built itself");
            sink.at(place, "an abstract profile", problem.help("build a profile that extends it"));
        }
        return rules::apply(merged, None, sink);
    }
    if let Some(kind) = kind {
        for layer in layers.iter().filter(|layer| !layer.is_abstract()) {
            rules::fits_kind(layer, kind, merged, sink);
        }
    }
    if *whole {
        for setting in TABLE.iter().filter(|setting| setting.need == Need::Required && setting.key != "schema") {
            // Without a kind only what all that is built needs can be missed.
            if kind.map_or(setting.kinds.len() >= 3, |kind| setting.kinds.contains(&kind)) {
                is_there(setting, leaf, merged, sink);
            }
        }
    }
    rules::apply(merged, kind, sink);
}

/// Each file says which version of the format it is written in.
fn has_schema(layer: &Layer, sink: &mut Sink) {
    if !layer.broken && !layer.entries.contains_key("schema") {
        let problem = Problem::new("the file does not say which version of the format it has");
        sink.at(&layer.top(), "missing `schema`", problem.help("write schema = 1 at the top of the file"));
    }
}

fn is_there(setting: &Setting, leaf: &Layer, merged: &Merged, sink: &mut Sink) {
    let key = setting.key;
    let how = match key.split_once('.') {
        Some((section, name)) => format!("write `{name} = …` in [{section}]: {}", setting.form.wanted()),
        None => format!("write `{key} = …` at the top of the file: {}", setting.form.wanted()),
    };
    match merged.held.get(key) {
        None => {
            let problem = Problem::new("neither this file nor one that it extends sets it").help(how);
            sink.at(&leaf.top(), format!("missing `{key}`"), problem);
        }
        Some(Held::List(items)) if items.is_empty() => {
            let place = merged.places.get(key).cloned().unwrap_or_else(|| leaf.top());
            sink.at(&place, format!("bad value for `{key}`"), Problem::new("the list is empty").help(how));
        }
        Some(_) => {}
    }
}

/// Typed access to merged values. Where the table and the reader below disagree about a setting's form, the profile does
/// not come about, and [`load`](super::load) says that this is Livery's fault.
pub struct Values<'a> {
    merged: &'a Merged,
    odd: bool,
}

impl<'a> Values<'a> {
    /// Over these.
    pub fn new(merged: &'a Merged) -> Self {
        Self { merged, odd: false }
    }

    fn one<T>(&mut self, key: &str, pick: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        match self.merged.held.get(key)? {
            Held::Bad => None,
            Held::One(value) => {
                let picked = pick(value);
                self.odd |= picked.is_none();
                picked
            }
            Held::List(_) => {
                self.odd = true;
                None
            }
        }
    }

    fn list<T>(&mut self, key: &str, pick: impl Fn(&'a Value) -> Option<T>) -> Option<Vec<T>> {
        match self.merged.held.get(key)? {
            Held::Bad => None,
            Held::List(items) => {
                let picked: Option<Vec<T>> = items.iter().map(|item| item.value.as_ref().and_then(&pick)).collect();
                self.odd |= picked.is_none();
                picked
            }
            Held::One(_) => {
                self.odd = true;
                None
            }
        }
    }

    /// A checked text.
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.one(key, |value| if let Value::Text(text) = value { Some(text.clone()) } else { None })
    }

    /// A list of checked texts.
    pub fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.list(key, |value| if let Value::Text(text) = value { Some(text.clone()) } else { None })
    }

    /// A URL.
    pub fn url(&mut self, key: &str) -> Option<Url> {
        self.one(key, |value| if let Value::Url(url) = value { Some(url.clone()) } else { None })
    }

    /// A list of hosts.
    pub fn hosts(&mut self, key: &str) -> Option<Vec<Host>> {
        self.list(key, |value| if let Value::Host(host) = value { Some(host.clone()) } else { None })
    }

    /// The packages that IT supplies.
    pub fn supplied(&mut self) -> Option<Vec<Supplied>> {
        self.list("packages.supplied", |value| if let Value::Supplied(supplied) = value { Some(supplied.clone()) } else { None })
    }

    /// Whether a reader was of another mind than the table.
    pub fn is_odd(&self) -> bool {
        self.odd
    }

    /// A flag.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        self.one(key, |value| if let Value::Boolean(value) = value { Some(*value) } else { None })
    }

    /// A list of prefixes.
    pub fn prefixes(&mut self, key: &str) -> Option<Vec<IpNet>> {
        self.list(key, |value| if let Value::Prefix(prefix) = value { Some(*prefix) } else { None })
    }

    /// The endpoint lists.
    pub fn endpoint_lists(&mut self) -> Option<Vec<Arc<EndpointList>>> {
        self.list("saas.lists", |value| if let Value::EndpointList(list) = value { Some(list.clone()) } else { None })
    }

    /// A whole number.
    pub fn integer(&mut self, key: &str) -> Option<i32> {
        self.one(key, |value| if let Value::Integer(value) = value { i32::try_from(*value).ok() } else { None })
    }

    /// Bytes.
    pub fn size(&mut self, key: &str) -> Option<u64> {
        self.one(key, |value| if let Value::Size(value) = value { Some(*value) } else { None })
    }

    fn time(&mut self, key: &str) -> Option<Timestamp> {
        self.one(key, |value| if let Value::Time(value) = value { Some(*value) } else { None })
    }

    fn key(&mut self, key: &str) -> Option<PublicKey> {
        self.one(key, |value| if let Value::Key(value) = value { Some(*value) } else { None })
    }

    fn authorities(&mut self, key: &str) -> Option<Vec<Authority>> {
        let pick = |value: &'a Value| if let Value::Authorities(list) = value { Some(list.clone()) } else { None };
        match self.merged.held.get(key)? {
            Held::List(_) => self.list(key, pick).map(|lists| lists.concat()),
            _ => self.one(key, pick),
        }
    }
}

/// Every value in its own type. `None` is only for what has been said already, or for an odd table.
fn assemble(path: &Path, layers: &[Layer], kind: Kind, merged: Merged) -> Option<Profile> {
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
        Kind::Laptop => Role::Laptop { desk: desk(v)?, routing: Box::new(routes::routing(v)?) },
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
    (!values.odd).then_some(profile)
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
    for key in rules::HOST_LISTS {
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
