//! The one typed table: which host names and which addresses go which way, and why. PAC, browser policies, tunnel and
//! firewall are made from it, and nothing else decides.

use std::fmt;

use ipnet::IpNet;
use livery_profile::{Citrix, Host, Pattern, Reason, Routing, Way};
use serde::Serialize;

/// Names that go a way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NameRule {
    /// Which names.
    pub(crate) pattern: Pattern,
    pub(crate) way: Way,
    pub(crate) reason: Reason,
}

/// Addresses that go a way, when a URL holds one in place of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PrefixRule {
    /// Which addresses.
    pub(crate) prefix: IpNet,
    pub(crate) way: Way,
    pub(crate) reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Table {
    /// The first that matches decides.
    pub(crate) names: Vec<NameRule>,
    /// The first that matches decides.
    pub(crate) prefixes: Vec<PrefixRule>,
    /// The way of all else.
    pub(crate) otherwise: Way,
    /// `HOST:PORT` of the web proxy, where a way is [`Way::Proxy`].
    pub(crate) proxy: Option<String>,
}

/// Networks that no router of the Internet knows (RFC 6890): what of them does not lie in the tunnel is around the device.
const HOME: [&str; 6] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"];
/// The device itself.
const ITSELF: [&str; 2] = ["127.0.0.0/8", "::1/128"];

impl Table {
    /// From a profile's settings. A name that several give a way goes the way of the first of them here; what contradicts, the
    /// profile's rules have refused.
    pub(crate) fn new(routing: &Routing, citrix: &Citrix) -> Self {
        let mut names = Vec::new();
        let mut add = |pattern: Pattern, way: Way, reason: Reason| names.push(NameRule { pattern, way, reason });
        let internal: Vec<Pattern> =
            routing.tunnel.iter().flat_map(|tunnel| &tunnel.domains).map(|domain| Pattern::Domain(domain.clone())).collect();
        for (key, hosts) in citrix.host_lists() {
            for pattern in hosts.iter().map(Host::pattern) {
                // Its name is resolved in the tunnel, so that is where it is.
                let is_internal = internal.iter().any(|domain| domain.covers(&pattern));
                add(pattern, if is_internal { Way::Tunnel } else { Way::Direct }, Reason::Setting(key));
            }
        }
        for pattern in &internal {
            add(pattern.clone(), Way::Tunnel, Reason::Setting("tunnel.domains"));
        }
        for host in &routing.saas.domains {
            add(host.pattern(), Way::Direct, Reason::Setting("saas.domains"));
        }
        for service in &routing.saas.services {
            for pattern in &service.names {
                add(pattern.clone(), Way::Direct, service.reason());
            }
        }
        for host in &routing.internet.blocked_hosts {
            add(host.pattern(), Way::Blocked, Reason::Setting("internet.blocked-hosts"));
        }
        // A stable sort: of equals, the first one above stays first.
        names.sort_by_key(|rule| rule.pattern.rank());
        names.dedup_by(|later, earlier| later.pattern == earlier.pattern);
        let names = without_idle(names);

        let mut prefixes = Vec::new();
        let mut add = |prefix: IpNet, way: Way, reason: Reason| prefixes.push(PrefixRule { prefix, way, reason });
        for prefix in routing.tunnel.iter().flat_map(|tunnel| &tunnel.prefixes) {
            add(*prefix, Way::Tunnel, Reason::Setting("tunnel.prefixes"));
        }
        for service in &routing.saas.services {
            for prefix in &service.prefixes {
                add(*prefix, Way::Direct, service.reason());
            }
        }
        let fixed = |list: &[&str]| list.iter().filter_map(|text| text.parse().ok()).collect::<Vec<IpNet>>();
        fixed(&ITSELF).into_iter().for_each(|prefix| add(prefix, Way::Direct, Reason::Itself));
        fixed(&HOME).into_iter().for_each(|prefix| add(prefix, Way::Direct, Reason::Home));
        // The longest prefix decides, as it does for the kernel's routes.
        prefixes.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.prefix_len()));
        prefixes.dedup_by(|later, earlier| later.prefix == earlier.prefix);
        Self { names, prefixes, otherwise: routing.internet.otherwise, proxy: routing.internet.proxy.clone() }
    }
}

/// A line a rule, in the order in which they decide.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for NameRule { pattern, way, reason } in &self.names {
            writeln!(f, "{:<8} {:<48} {reason}", way.as_str(), pattern.to_string())?;
        }
        for PrefixRule { prefix, way, reason } in &self.prefixes {
            writeln!(f, "{:<8} {:<48} {reason}", way.as_str(), prefix.to_string())?;
        }
        write!(f, "{:<8} {:<48} internet.otherwise", self.otherwise.as_str(), "all else")
    }
}

/// Without the rules of an endpoint list that change nothing: a broader one of the same way comes to the same, and no rule of
/// another way stands between. Microsoft's list has dozens.
fn without_idle(names: Vec<NameRule>) -> Vec<NameRule> {
    let idle: Vec<bool> = (0..names.len())
        .map(|at| {
            let rule = &names[at];
            let next =
                names[at + 1..].iter().find(|later| later.pattern.covers(&rule.pattern) || overlaps(&later.pattern, &rule.pattern));
            next.is_some_and(|next| next.way == rule.way && next.pattern.covers(&rule.pattern))
        })
        .collect();
    names.into_iter().zip(idle).filter_map(|(rule, idle)| (!idle).then_some(rule)).collect()
}

/// Whether one host may match both: only a glob can overlap without covering.
fn overlaps(one: &Pattern, other: &Pattern) -> bool {
    matches!((one, other), (Pattern::Glob(..), Pattern::Glob(..) | Pattern::Domain(_)) | (Pattern::Domain(_), Pattern::Glob(..)))
}
