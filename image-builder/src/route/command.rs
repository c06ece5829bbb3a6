//! `livery route PROFILE URL`: which way a URL goes, and why.

use std::{
    fmt,
    io::{BufRead as _, Read as _},
    path::Path,
};

use livery_contract::{Fault, Result};
use livery_profile::Profile;
use serde::Serialize;
use url::Url;

use super::{Decision, Table, chromium, connection, firefox, ruleset};
use crate::profiles;

/// The way of a URL under a profile.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Routed {
    /// The URL as browsers read it.
    pub(crate) url: Url,
    /// What came of it.
    #[serde(flatten)]
    pub(crate) decision: Decision,
}

/// The most bytes of URLs that standard input may have.
const MAX_BYTES: u64 = 16 << 20;

/// What is made of a table for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// The proxy auto-configuration of its browsers.
    Pac,
    /// Firefox's policies.
    Firefox,
    /// Chromium's policies.
    Chromium,
    /// NetworkManager's connection, without the device's own key and address.
    Tunnel,
    /// nftables' rules.
    Firewall,
}

/// One part, as it lies on the device.
///
/// # Errors
/// As [`table`]; exit 3 where there is no such part.
pub(crate) fn show(profile: &Path, part: Part, json: bool) -> Result<String> {
    let loaded = load(profile, json)?;
    let table = of(&loaded, profile)?;
    let tunnel = loaded.routing().and_then(|routing| routing.tunnel.as_ref());
    let pretty = |value: serde_json::Value| format!("{value:#}");
    match part {
        Part::Pac => Ok(table.pac()),
        Part::Firefox => Ok(pretty(serde_json::json!({"policies": firefox(&table)}))),
        Part::Chromium => Ok(pretty(chromium(&table))),
        Part::Tunnel => tunnel.map(connection).ok_or_else(|| {
            Fault::refused("this profile's laptops have no tunnel")
                .at(profile.display())
                .fix("set tunnel.endpoint and the other settings of [tunnel]")
        }),
        Part::Firewall => Ok(ruleset(tunnel)),
    }
}

/// The table of a laptop's profile.
///
/// # Errors
/// Exit 3 where the profile has errors or is of another kind.
pub(crate) fn table(profile: &Path, json: bool) -> Result<Table> {
    of(&load(profile, json)?, profile)
}

fn load(profile: &Path, json: bool) -> Result<Profile> {
    profiles::load(profile, json)
}

fn of(loaded: &Profile, profile: &Path) -> Result<Table> {
    let (Some(desk), Some(routing)) = (loaded.desk(), loaded.routing()) else {
        return Err(Fault::refused(format!("a {} has no routes", loaded.kind()))
            .at(profile.display())
            .fix("use a laptop's profile; a terminal's browser reaches only the hosts of [citrix] and kiosk.allowed-hosts"));
    };
    Ok(Table::new(routing, &desk.citrix))
}

/// Judges URLs; a bare host is taken as one under https.
///
/// # Errors
/// As [`table`]; exit 2 where one is no URL.
pub(crate) fn route(profile: &Path, urls: &[String], json: bool) -> Result<Vec<Routed>> {
    let table = table(profile, json)?;
    let mut all: Vec<String> = Vec::new();
    for url in urls {
        match url.as_str() {
            "-" => all.append(&mut from_stdin()?),
            _ => all.push(url.clone()),
        }
    }
    all.iter()
        .map(|text| {
            let whole = if text.contains("://") { text.clone() } else { format!("https://{text}") };
            let url = Url::parse(&whole)
                .ok()
                .filter(Url::has_host)
                .ok_or_else(|| Fault::usage(format!("{text:?} is not a URL")).fix("such as https://teams.microsoft.com/"))?;
            Ok(Routed { decision: table.decide(&url), url })
        })
        .collect()
}

fn from_stdin() -> Result<Vec<String>> {
    let failed = |error: std::io::Error| Fault::usage("standard input can't be read as lines of text").cause(error);
    let lines = std::io::stdin().lock().take(MAX_BYTES).lines().collect::<Result<Vec<_>, _>>().map_err(failed)?;
    Ok(lines.into_iter().filter(|line| !line.trim().is_empty()).collect())
}

impl fmt::Display for Routed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { host, way, reason, rule, pac } = &self.decision;
        write!(f, "{:<8} {host}: {reason}", way.as_str())?;
        match rule {
            Some(rule) if rule != host => write!(f, ", by {rule}")?,
            _ => {}
        }
        write!(f, "; PAC: {pac}")
    }
}
