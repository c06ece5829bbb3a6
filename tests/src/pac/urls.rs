//! URLs for the rules of a routing table: each rule's names, their neighbours, and what people and attackers make of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;
use url::Url;

use crate::faults::rng::Rng;

/// `count` URLs for a table as `livery route PROFILE --json` tells it; the same for the same seed.
pub fn urls(table: &Value, count: usize, seed: u64) -> Vec<String> {
    let list = |key: &str, field: &str| -> Vec<String> {
        let rules = table[key].as_array().into_iter().flatten();
        rules.filter_map(|rule| rule[field].as_str().map(str::to_owned)).collect()
    };
    let (patterns, prefixes) = (list("names", "pattern"), list("prefixes", "prefix"));
    let mut rng = Rng::of(seed, 0);
    let any = std::iter::repeat_with(|| match rng.below(5) {
        0 => address(&mut rng, &prefixes),
        _ => name(&mut rng, &patterns),
    });
    // Glued together, some are no URLs: a broken xn-- label, a last label of digits.
    any.filter(|text| text.parse::<Url>().is_ok()).take(count).collect()
}

fn name(rng: &mut Rng, patterns: &[String]) -> String {
    let pattern = rng.pick(patterns).map_or("*.example.com", String::as_str);
    let label = rng.any(["a", "www", "x1", "login", "tenant-7", "cdn", "xn--caf-dma", "autodiscover", "intranet"]);
    let stem = pattern.trim_start_matches("*.").replace('*', label);
    let mut host = match rng.below(10) {
        0..3 => stem,
        3..5 => format!("{label}.{stem}"),
        5 => format!("b.{label}.{stem}"),
        6 => format!("{label}{stem}"),
        7 => format!("{stem}.{}", rng.any(["evil.example", "com", "internal", "local"])),
        8 => stem.split_once('.').map_or(stem.clone(), |(_, rest)| rest.to_owned()),
        _ => rng
            .any([
                "printer",
                "nas.local",
                "www.debian.org",
                "example.net",
                "app.localhost",
                "toString",
                "constructor",
                "__proto__.example",
            ])
            .to_owned(),
    };
    if rng.once_in(6) {
        host = host.to_ascii_uppercase();
    }
    if rng.once_in(12) {
        host.push('.');
    }
    let (scheme, port) = rng.any([("https", ""), ("https", ""), ("http", ""), ("http", ":8080"), ("https", ":8443")]);
    let path = rng.any(["/", "/a/b?c=d", "/?next=https://intranet.corp.assurance.example/", "/.sharepoint.com/", "/%2e%2e/x#y"]);
    format!("{scheme}://{host}{port}{path}")
}

/// An address at a border of a prefix: the first, the last, the ones beside them.
fn address(rng: &mut Rng, prefixes: &[String]) -> String {
    let prefix = rng.pick(prefixes).map_or("10.0.0.0/8", String::as_str);
    let (network, bits) = prefix.split_once('/').unwrap_or((prefix, "32"));
    let bits: u32 = bits.parse().unwrap_or(32);
    // Plain http: of an https URL with an address nobody sees where it was meant to go.
    if let Ok(network) = network.parse::<Ipv4Addr>() {
        let (first, size) = (u32::from(network), 1_u64 << (32 - bits.min(32)));
        let last = first.wrapping_add(u32::try_from(size - 1).unwrap_or(u32::MAX));
        let within = first.wrapping_add(u32::try_from(rng.below(size)).unwrap_or(0));
        let address = Ipv4Addr::from(rng.any([first, last, first.wrapping_sub(1), last.wrapping_add(1), within]));
        return match rng.below(8) {
            // A mapped address, a number: other ways to write the same.
            0 => format!("http://[{}]/", address.to_ipv6_mapped()),
            1 => format!("http://{}/", u32::from(address)),
            _ => format!("http://{address}/x"),
        };
    }
    let first = network.parse::<Ipv6Addr>().map_or(0, u128::from);
    let size = 1_u128.checked_shl(128 - bits.min(128)).unwrap_or(0);
    let last = first.wrapping_add(size.wrapping_sub(1));
    let within = first | (u128::from(rng.word()) & size.wrapping_sub(1));
    let address = Ipv6Addr::from(rng.any([first, last, first.wrapping_sub(1), last.wrapping_add(1), within]));
    format!("http://[{address}]/x")
}
