//! Which way a URL goes, and why: what the PAC decides on the device, decided here by the same table.

use std::net::{IpAddr, Ipv4Addr};

use livery_profile::{Reason, Way};
use serde::Serialize;
use url::{Host, Url};

use super::table::Table;

/// A choice and its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Decision {
    /// The host that was judged.
    pub(crate) host: String,
    /// Its way.
    pub(crate) way: Way,
    /// Which setting or list says so.
    pub(crate) reason: Reason,
    /// The names or addresses that the rule is for; none where it is the way of all else.
    pub(crate) rule: Option<String>,
    /// What the PAC answers.
    pub(crate) pac: String,
}

impl Table {
    /// The way of a URL. Only its host counts: browsers show a PAC nothing else of an https URL.
    pub(crate) fn decide(&self, url: &Url) -> Decision {
        match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                // Of digits and dots only where the scheme is not one whose hosts the URL standard parses as addresses.
                match name.parse::<Ipv4Addr>() {
                    Ok(address) => self.address(address.into(), name),
                    Err(_) => self.name(name),
                }
            }
            Some(Host::Ipv4(address)) => self.address(address.into(), address.to_string()),
            Some(Host::Ipv6(address)) => self.address(address.into(), address.to_string()),
            None => self.decision(String::new(), self.otherwise, OTHERWISE, None),
        }
    }

    fn name(&self, name: String) -> Decision {
        if let Some(rule) = self.names.iter().find(|rule| rule.pattern.matches(&name)) {
            return self.decision(name, rule.way, rule.reason.clone(), Some(rule.pattern.to_string()));
        }
        if name == "localhost" || name.ends_with(".localhost") {
            return self.decision(name, Way::Direct, Reason::Itself, None);
        }
        // Names that only the network around the device resolves: single labels, and multicast DNS (RFC 6762).
        if !name.contains('.') || name.ends_with(".local") {
            return self.decision(name, Way::Direct, Reason::Home, None);
        }
        self.decision(name, self.otherwise, OTHERWISE, None)
    }

    fn address(&self, address: IpAddr, host: String) -> Decision {
        let address = address.to_canonical();
        match self.prefixes.iter().find(|rule| rule.prefix.contains(&address)) {
            Some(rule) => self.decision(host, rule.way, rule.reason.clone(), Some(rule.prefix.to_string())),
            None => self.decision(host, self.otherwise, OTHERWISE, None),
        }
    }

    fn decision(&self, host: String, way: Way, reason: Reason, rule: Option<String>) -> Decision {
        Decision { host, way, reason, rule, pac: self.pac_answer(way) }
    }
}

const OTHERWISE: Reason = Reason::Setting("internet.otherwise");
