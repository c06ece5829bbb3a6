//! The table in the browsers' own policies. A policy is Mozilla's and Google's mechanism for organisations: what it sets, the user
//! cannot change.

use livery_profile::{Pattern, Way};
use serde_json::{Value, json};

use super::table::Table;

/// Firefox: the part of `policies.json` that follows from the table (<https://mozilla.github.io/policy-templates/>).
///
/// DNS over HTTPS is off, since it would take internal names to somebody's resolver, and SaaS names to one far away.
pub(crate) fn firefox(table: &Table) -> Value {
    let mut policies = json!({
        "Proxy": {"Mode": "autoConfig", "AutoConfigURL": table.pac_url(), "Locked": true, "UseProxyForDNS": false},
        "DNSOverHTTPS": {"Enabled": false, "Locked": true},
        "NetworkPrediction": false,
        "CaptivePortal": false,
    });
    let blocked = patterns(table, |way| way == Way::Blocked);
    if table.otherwise == Way::Blocked {
        let open = patterns(table, |way| way != Way::Blocked);
        policies["WebsiteFilter"] = json!({"Block": ["<all_urls>"], "Exceptions": urls(&open)});
    } else if !blocked.is_empty() {
        policies["WebsiteFilter"] = json!({"Block": urls(&blocked)});
    }
    policies
}

/// Chromium: the part of `policies/managed/*.json` that follows from the table (<https://chromeenterprise.google/policies/>).
pub(crate) fn chromium(table: &Table) -> Value {
    let mut policies = json!({
        "ProxySettings": {"ProxyMode": "pac_script", "ProxyPacUrl": table.pac_url(), "ProxyPacMandatory": true},
        "DnsOverHttpsMode": "off",
        // The system's resolver sends each name to the network that it belongs to.
        "BuiltInDnsClientEnabled": false,
        "NetworkPredictionOptions": 2,
    });
    let hosts = |patterns: &[&Pattern]| patterns.iter().filter_map(|pattern| filter(pattern)).collect::<Vec<_>>();
    let blocked = patterns(table, |way| way == Way::Blocked);
    if table.otherwise == Way::Blocked {
        policies["URLBlocklist"] = json!(["*"]);
        policies["URLAllowlist"] = json!(hosts(&patterns(table, |way| way != Way::Blocked)));
    } else if !blocked.is_empty() {
        policies["URLBlocklist"] = json!(hosts(&blocked));
    }
    policies
}

fn patterns(table: &Table, wanted: impl Fn(Way) -> bool) -> Vec<&Pattern> {
    table.names.iter().filter(|rule| wanted(rule.way)).map(|rule| &rule.pattern).collect()
}

/// Match patterns: `*://*.a.example/*` is for `a.example` too. They know no star within a name, so a glob is left to the PAC where
/// its domain is not covered, and widened where it must stay open.
fn urls(patterns: &[&Pattern]) -> Vec<String> {
    let host = |pattern: &Pattern| match pattern {
        Pattern::Glob(_, end) => format!("*.{}", end.split_once('.').map_or(end.as_str(), |(_, domain)| domain)),
        other => other.to_string(),
    };
    patterns.iter().map(|pattern| format!("*://{}/*", host(pattern))).collect()
}

/// A host as a URL filter: it is for all below too, unless a dot is put before (Chromium's URL blocklist filter format).
fn filter(pattern: &Pattern) -> Option<String> {
    match pattern {
        Pattern::Exact(name) => Some(format!(".{name}")),
        Pattern::Domain(domain) => Some(domain.clone()),
        Pattern::Glob(_, end) => end.split_once('.').map(|(_, domain)| domain.to_owned()),
    }
}
