//! `livery route PROFILE URL`: which way a URL goes, and why.

use std::{fmt, path::Path};

use livery_contract::{Fault, Result};
use serde::Serialize;
use url::Url;

use super::{Decision, Table};
use crate::profile;

/// The way of a URL under a profile.
#[derive(Clone, Debug, Serialize)]
pub struct Routed {
    /// The URL as browsers read it.
    pub url: Url,
    /// What came of it.
    #[serde(flatten)]
    pub decision: Decision,
}

/// The table of a laptop's profile.
///
/// # Errors
/// Exit 3 where the profile has errors or is of another kind.
pub fn table(profile: &Path, json: bool) -> Result<Table> {
    let loaded = profile::load(profile).map_err(|diagnostics| diagnostics.print(json))?;
    let (Some(desk), Some(routing)) = (loaded.desk(), loaded.routing()) else {
        return Err(Fault::refused(format!("a {} has no routes of its own", loaded.kind()))
            .at(profile.display())
            .fix("give the profile of a laptop; a terminal's browser reaches only the hosts of [citrix] and kiosk.allowed-hosts"));
    };
    Ok(Table::new(routing, &desk.citrix))
}

/// Judges URLs; a bare host is taken as one under https.
///
/// # Errors
/// As [`table`]; exit 2 where one is no URL.
pub fn route(profile: &Path, urls: &[String], json: bool) -> Result<Vec<Routed>> {
    let table = table(profile, json)?;
    urls.iter()
        .map(|text| {
            let whole = if text.contains("://") { text.clone() } else { format!("https://{text}") };
            let url = Url::parse(&whole)
                .ok()
                .filter(Url::has_host)
                .ok_or_else(|| Fault::usage(format!("{text:?} is no URL")).fix("such as https://teams.microsoft.com/"))?;
            Ok(Routed { decision: table.decide(&url), url })
        })
        .collect()
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
