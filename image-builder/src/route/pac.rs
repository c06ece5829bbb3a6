//! The proxy auto-configuration (PAC) of the table: JavaScript of the year 1999, for every evaluator there is.
//!
//! It goes by the host alone, never resolves a name (`dnsResolve` would ask for SaaS names in the tunnel and hold up each
//! page), and takes hosts as browsers hand them over: in capitals, with a last dot, IPv6 in brackets or without.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use livery_profile::{Pattern, Way};

use super::table::Table;

/// Where nothing listens (RFC 863, discard): what is blocked ends at once, on the device.
const NOWHERE: &str = "PROXY 127.0.0.1:9";

impl Table {
    /// What the PAC answers for a way. The tunnel is a network, not a proxy: routes lead into it.
    pub(crate) fn pac_answer(&self, way: Way) -> String {
        match (way, &self.proxy) {
            (Way::Direct | Way::Tunnel, _) => "DIRECT".into(),
            (Way::Proxy, Some(proxy)) => format!("PROXY {proxy}"),
            // Without a proxy nobody may take the direct way in its place.
            (Way::Proxy, None) | (Way::Blocked, _) => NOWHERE.into(),
        }
    }

    pub(crate) fn pac(&self) -> String {
        let mut names: BTreeMap<&str, char> = BTreeMap::new();
        let mut domains: BTreeMap<&str, char> = BTreeMap::new();
        let mut globs = String::new();
        for rule in &self.names {
            match &rule.pattern {
                Pattern::Exact(name) => drop(names.insert(name, letter(rule.way))),
                Pattern::Domain(domain) => drop(domains.insert(domain, letter(rule.way))),
                Pattern::Glob(begin, end) => {
                    let rank = end.trim_start_matches('.').len();
                    let _ = writeln!(globs, "  [{begin:?}, {end:?}, {rank}, \"{}\"],", letter(rule.way));
                }
            }
        }
        let object = |map: &BTreeMap<&str, char>| {
            map.iter().map(|(name, way)| format!("  {name:?}: \"{way}\"")).collect::<Vec<_>>().join(",\n")
        };
        let mut prefixes = String::new();
        for rule in &self.prefixes {
            let (words, bits) = match rule.prefix.network() {
                IpAddr::V4(address) => (address.octets().chunks(2).map(word).collect::<Vec<_>>(), rule.prefix.prefix_len()),
                IpAddr::V6(address) => (address.octets().chunks(2).map(word).collect::<Vec<_>>(), rule.prefix.prefix_len()),
            };
            let words = words.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let _ = writeln!(prefixes, "  [[{words}], {bits}, \"{}\"],", letter(rule.way));
        }
        let answers = [Way::Direct, Way::Tunnel, Way::Proxy, Way::Blocked]
            .map(|way| format!("  \"{}\": {:?}", letter(way), self.pac_answer(way)))
            .join(",\n");
        format!(
            "// Made by Livery from the profile's routing table; `livery route PROFILE URL` tells what it decides and why.\n\
             var ANSWERS = {{\n{answers}\n}};\n\
             var NAMES = {{\n{}\n}};\n\
             var DOMAINS = {{\n{}\n}};\n\
             var GLOBS = [\n{}];\n\
             var PREFIXES = [\n{}];\n\
             var OTHERWISE = \"{}\";\n{FUNCTIONS}",
            object(&names),
            object(&domains),
            without_last_comma(&globs),
            without_last_comma(&prefixes),
            letter(self.otherwise),
        )
    }

    /// The script as a URL that holds it: Chromium takes none from a file, and nothing of it must need a network or a server.
    pub(crate) fn pac_url(&self) -> String {
        format!("data:application/x-ns-proxy-autoconfig;base64,{}", BASE64_STANDARD.encode(self.pac()))
    }
}

/// The way in a script's tables.
const fn letter(way: Way) -> char {
    match way {
        Way::Direct => 'd',
        Way::Tunnel => 't',
        Way::Proxy => 'p',
        Way::Blocked => 'b',
    }
}

fn word(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |word, byte| word << 8 | u16::from(*byte))
}

/// A trailing comma makes an element more in old evaluators.
fn without_last_comma(lines: &str) -> String {
    lines.strip_suffix(",\n").map_or_else(|| lines.to_owned(), |lines| format!("{lines}\n"))
}

/// Decides as [`Table::decide`] does.
const FUNCTIONS: &str = include_str!("pac.js");
