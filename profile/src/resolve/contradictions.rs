//! What a laptop's routes contradict themselves in: found here, at the line, and not by an employee at home.
//!
//! Each rule looks only at values that are there and sound.

use std::{net::IpAddr, sync::Arc};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{hosts::HOST_LISTS, values::Values};
use crate::{
    files::{
        layer::Item,
        merge::{Merged, MergedValue},
        value::Value,
    },
    report::{
        diagnose::Sink,
        problem::Problem,
        text::{nearest, quoted},
    },
    settings::table::setting,
    words::{
        endpoints::{EndpointList, Service},
        pattern::Pattern,
        service::find,
    },
};

/// The least bits of a tunnel's prefix: the largest blocks that were ever given to one organisation, and all of the unique local
/// addresses (RFC 4193).
const LEAST_BITS: [u8; 2] = [8, 7];

/// All rules.
pub(crate) fn apply(merged: &Merged, sink: &mut Sink) {
    let look = Look { merged, lists: lists(merged) };
    look.lists_apart(sink);
    look.services(sink);
    look.tunnel_is_whole(sink);
    look.full_tunnel(sink);
    look.prefixes(sink);
    look.resolvers(sink);
    look.endpoint(sink);
    look.names(sink);
    look.blocked(sink);
    look.proxy(sink);
}

struct Look<'a> {
    merged: &'a Merged,
    lists: Option<Vec<Arc<EndpointList>>>,
}

/// A pattern that a line of the profile stands for.
struct Said<'a> {
    key: &'static str,
    item: &'a Item,
    pattern: Pattern,
}

impl<'a> Look<'a> {
    fn items(&self, key: &str) -> &'a [Item] {
        match self.merged.values.get(key) {
            Some(MergedValue::List(items)) => items,
            _ => &[],
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        Values::new(self.merged).text(key)
    }

    fn say(&self, key: &str, what: impl Into<String>, problem: Problem, sink: &mut Sink) {
        if let Some(place) = self.merged.places.get(key) {
            sink.at(place, what, problem);
        }
    }

    /// The services that could be found, each with its line.
    fn chosen(&self) -> Vec<(&'a Item, Service)> {
        let Some(lists) = &self.lists else { return Vec::new() };
        self.items("saas.services").iter().filter_map(|item| Some((item, find(lists, &item.text)?))).collect()
    }

    fn prefixes_of(&self, key: &str) -> Vec<(&'a Item, IpNet)> {
        let prefix = |item: &'a Item| if let Some(Value::Prefix(prefix)) = &item.value { Some((item, *prefix)) } else { None };
        self.items(key).iter().filter_map(prefix).collect()
    }

    fn patterns_of(&self, key: &'static str) -> Vec<Said<'a>> {
        let pattern = |item: &Item| match &item.value {
            Some(Value::Host(host)) => Some(host.pattern()),
            Some(Value::Text(domain)) => Some(Pattern::Domain(domain.clone())),
            _ => None,
        };
        self.items(key).iter().filter_map(|item| Some(Said { key, item, pattern: pattern(item)? })).collect()
    }

    /// Two lists of one service would leave it to chance which of them counts.
    fn lists_apart(&self, sink: &mut Sink) {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for item in self.items("saas.lists") {
            let Some(Value::EndpointList(list)) = &item.value else { continue };
            if let Some((_, first)) = seen.iter().find(|(service, _)| *service == list.service) {
                let problem = Problem::new(format!("{} is also a list of {}", quoted(first), list.service));
                sink.at(&item.place, "double list in `saas.lists`", problem.help("remove one"));
            }
            seen.push((&list.service, &item.text));
        }
    }

    fn services(&self, sink: &mut Sink) {
        let Some(lists) = &self.lists else { return };
        for item in self.items("saas.services") {
            let (service, category) = item.text.split_once(':').map_or((item.text.as_str(), None), |(a, b)| (a, Some(b)));
            let Some(list) = lists.iter().find(|list| list.service == service) else {
                let problem = Problem::new(format!("no list in `saas.lists` covers {}", quoted(service)));
                let known: Vec<&str> = lists.iter().map(|list| list.service.as_str()).collect();
                let help = match nearest(service, known.iter().copied()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "take its list with `livery saas update`, or write its hosts into saas.domains".to_owned(),
                };
                sink.at(&item.place, "an unknown service", problem.help(help));
                continue;
            };
            if list.choose(&item.text).is_none() {
                let known =
                    list.categories().into_iter().map(|word| format!("\"{service}:{word}\"")).collect::<Vec<_>>().join(", ");
                let problem = Problem::new(format!("{service} has no category {}", quoted(category.unwrap_or_default())));
                sink.at(&item.place, "an unknown service", problem.help(format!("the known ones are {known}")));
            }
            if category.is_some() && self.items("saas.services").iter().any(|other| other.text == service) {
                let problem = Problem::new(format!("{} is also listed, and covers it", quoted(service)));
                sink.at(&item.place, NEVER, problem.help("remove one"));
            }
        }
    }

    /// Half a tunnel is none, and settings of one that is not there would be silently ignored.
    fn tunnel_is_whole(&self, sink: &mut Sink) {
        let there = self.merged.values.contains_key("tunnel.endpoint");
        let other = ["tunnel.public-key", "tunnel.prefixes", "tunnel.domains", "tunnel.dns", "tunnel.keepalive"];
        if !there {
            for key in other.into_iter().filter(|key| self.is_said(key)) {
                let problem = Problem::new("without `tunnel.endpoint` there is no tunnel");
                self.say(key, format!("`{key}` has no effect"), problem.help("set tunnel.endpoint, or remove this"), sink);
            }
            return;
        }
        let empty =
            |key: &str| matches!(self.merged.values.get(key), None | Some(MergedValue::List(_))) && self.items(key).is_empty();
        for (key, why) in [
            ("tunnel.public-key", "without it, nothing proves that the concentrator is yours"),
            ("tunnel.prefixes", "without it, nothing would go through the tunnel"),
        ] {
            if empty(key) {
                let problem = Problem::new(format!("`{key}` is missing: {why}"));
                self.say("tunnel.endpoint", "an incomplete tunnel", problem.help(format!("set {key}")), sink);
            }
        }
        for (one, two) in [("tunnel.domains", "tunnel.dns"), ("tunnel.dns", "tunnel.domains")] {
            if empty(one) && !empty(two) && !matches!(self.merged.values.get(two), Some(MergedValue::Bad)) {
                let problem = Problem::new(format!(
                    "`{one}` is missing: internal domains need a name server, and the name server needs domains"
                ));
                self.say(two, format!("`{two}` has no effect alone"), problem.help("set both, or neither"), sink);
            }
        }
    }

    fn is_said(&self, key: &str) -> bool {
        let default = setting(key).and_then(|setting| setting.default);
        match self.merged.values.get(key) {
            None => false,
            Some(MergedValue::List(items)) => !items.is_empty(),
            Some(_) => setting(key).is_some_and(|setting| self.merged.value_of(setting).as_deref() != default),
        }
    }

    /// Everything through the tunnel is what laptops are not to do: SaaS would make the detour by the organisation's network.
    fn full_tunnel(&self, sink: &mut Sink) {
        let all = self.prefixes_of("tunnel.prefixes");
        let mut said = false;
        for (item, prefix) in &all {
            let least = LEAST_BITS[usize::from(prefix.network().is_ipv6())];
            if prefix.prefix_len() < least {
                said = true;
                let what = if prefix.prefix_len() == 0 { "the whole Internet" } else { "far more than one organisation's network" };
                let problem = Problem::new(format!("{prefix} is {what}: SaaS traffic would also go through the tunnel"));
                sink.at(&item.place, "a full tunnel", problem.help("name your own networks, such as \"10.0.0.0/8\""));
            }
        }
        let (mut v4, mut v6): (Vec<Ipv4Net>, Vec<Ipv6Net>) = (Vec::new(), Vec::new());
        for (_, prefix) in &all {
            match prefix {
                IpNet::V4(prefix) => v4.push(*prefix),
                IpNet::V6(prefix) => v6.push(*prefix),
            }
        }
        // Piece by piece comes to the same.
        let (v4, v6) = (Ipv4Net::aggregate(&v4), Ipv6Net::aggregate(&v6));
        let shortest = v4.iter().map(Ipv4Net::prefix_len).chain(v6.iter().map(Ipv6Net::prefix_len)).min();
        if !said && shortest.is_some_and(|bits| bits < 4) {
            let problem = Problem::new(
                "together, the prefixes cover a large part of the Internet: SaaS traffic would also go through the tunnel",
            );
            self.say("tunnel.prefixes", "a full tunnel", problem.help("name your own networks, such as \"10.0.0.0/8\""), sink);
        }
    }

    fn prefixes(&self, sink: &mut Sink) {
        let tunnel = self.prefixes_of("tunnel.prefixes");
        for (item, prefix) in &tunnel {
            if let Some((other, _)) = tunnel.iter().find(|(_, other)| other != prefix && other.contains(prefix)) {
                let problem = Problem::new(format!("it lies within {} ({})", quoted(&other.text), other.place.short()));
                sink.at(&item.place, "overlapping prefixes in `tunnel.prefixes`", problem.help("remove one"));
            }
            for (_, service) in self.chosen() {
                let overlap = |saas: &&IpNet| saas.contains(prefix) || prefix.contains(*saas);
                if let Some(saas) = service.prefixes.iter().find(overlap) {
                    let problem =
                        Problem::new(format!("{prefix} overlaps with {saas} of {}, which is reached directly", service.name));
                    let help = "narrow the tunnel's prefix to your own networks, or remove the service from saas.services";
                    sink.at(&item.place, "overlapping prefixes: tunnel and SaaS", problem.help(help));
                }
            }
        }
    }

    /// Questions for internal names would leave by the local network.
    fn resolvers(&self, sink: &mut Sink) {
        let tunnel = self.prefixes_of("tunnel.prefixes");
        if tunnel.is_empty() {
            return;
        }
        for item in self.items("tunnel.dns") {
            let Ok(server) = item.text.parse::<IpAddr>() else { continue };
            if !tunnel.iter().any(|(_, prefix)| prefix.contains(&server)) {
                let problem =
                    Problem::new("it lies in none of `tunnel.prefixes`: queries for internal names would go to the local network");
                sink.at(
                    &item.place,
                    "a name server outside the tunnel",
                    problem.help(format!("add its network, or \"{}\", to tunnel.prefixes", IpNet::from(server))),
                );
            }
        }
    }

    /// A tunnel whose end lies behind itself never comes up.
    fn endpoint(&self, sink: &mut Sink) {
        let Some(endpoint) = self.text("tunnel.endpoint") else { return };
        let host = endpoint.rsplit_once(':').map_or(endpoint.as_str(), |(host, _)| host).trim_matches(['[', ']']);
        let within = match host.parse::<IpAddr>() {
            Ok(address) => {
                let prefixes = self.prefixes_of("tunnel.prefixes");
                prefixes
                    .iter()
                    .find(|(_, prefix)| prefix.contains(&address))
                    .map(|(_, prefix)| format!("{prefix} of tunnel.prefixes"))
            }
            Err(_) => {
                let domains = self.patterns_of("tunnel.domains");
                domains.iter().find(|said| said.pattern.matches(host)).map(|said| format!("{} of tunnel.domains", said.item.text))
            }
        };
        if let Some(within) = within {
            let problem = Problem::new(format!("{host} lies within {within}: the tunnel would have to go through itself"));
            let help = "give the concentrator a public name and address";
            self.say("tunnel.endpoint", "a tunnel that leads into itself", problem.help(help), sink);
        }
    }

    /// Names that are both SaaS and internal, and rules that can never decide.
    fn names(&self, sink: &mut Sink) {
        let internal = self.patterns_of("tunnel.domains");
        let saas = self.patterns_of("saas.domains");
        let chosen = self.chosen();
        for said in &saas {
            // An address is no name: no rule by names is ever asked for it.
            if let Pattern::Exact(name) = &said.pattern
                && name.parse::<IpAddr>().is_ok()
            {
                let problem = Problem::new(format!("{} is an address, but PAC and policies match names", quoted(name)));
                sink.at(&said.item.place, NEVER, problem.help("write the service's host name"));
                continue;
            }
            if self.is_internal(
                &said.pattern,
                &internal,
                |domain| format!("{} lies below {domain} of tunnel.domains: its name is resolved in the tunnel", said.pattern),
                said.item,
                sink,
            ) {
                continue;
            }
            let twin = saas.iter().find(|other| other.pattern != said.pattern && other.pattern.covers(&said.pattern));
            let by = twin.map(|other| format!("{} of saas.domains ({})", quoted(&other.item.text), other.item.place.short()));
            let by = by.or_else(|| {
                chosen.iter().find_map(|(_, service)| {
                    let name = service.names.iter().find(|name| name.covers(&said.pattern))?;
                    Some(format!("{name} of {}", service.name))
                })
            });
            if let Some(by) = by {
                let problem = Problem::new(format!("{by} covers it, with the same route"));
                sink.at(&said.item.place, NEVER, problem.help("remove it"));
            }
        }
        for (item, service) in &chosen {
            for name in &service.names {
                let why = |domain: &str| {
                    format!("{name} of {} lies below {domain} of tunnel.domains: its name is resolved in the tunnel", service.name)
                };
                if self.is_internal(name, &internal, why, item, sink) {
                    break;
                }
            }
        }
        for said in &internal {
            if let Some(other) = internal.iter().find(|other| other.pattern != said.pattern && other.pattern.covers(&said.pattern))
            {
                let problem = Problem::new(format!("{} ({}) covers it", quoted(&other.item.text), other.item.place.short()));
                sink.at(&said.item.place, NEVER, problem.help("remove it"));
            }
        }
    }

    /// Whether a SaaS name is an internal one, which is said.
    fn is_internal(
        &self,
        name: &Pattern,
        internal: &[Said<'_>],
        why: impl Fn(&str) -> String,
        item: &Item,
        sink: &mut Sink,
    ) -> bool {
        let Some(domain) = internal.iter().find(|domain| domain.pattern.covers(name)) else { return false };
        let problem =
            Problem::new(why(&domain.item.text)).help("remove one of them, or name only internal domains that nobody else uses");
        sink.at(&item.place, "both SaaS and internal", problem);
        true
    }

    /// What the browser is to reach and may not.
    fn blocked(&self, sink: &mut Sink) {
        let needed: Vec<Said<'_>> = ["saas.domains", "tunnel.domains"]
            .into_iter()
            .chain(HOST_LISTS.into_iter().filter(|key| key.starts_with("citrix.")))
            .flat_map(|key| self.patterns_of(key))
            .collect();
        for blocked in self.patterns_of("internet.blocked-hosts") {
            let mut by = needed
                .iter()
                .find(|said| blocked.pattern.covers(&said.pattern))
                .map(|said| format!("{} of {}", said.pattern, said.key));
            by = by.or_else(|| {
                self.chosen().iter().find_map(|(_, service)| {
                    let name = service.names.iter().find(|name| blocked.pattern.covers(name))?;
                    Some(format!("{name} of {}", service.name))
                })
            });
            if let Some(by) = by {
                let problem = Problem::new(format!("it would block {by}"));
                sink.at(&blocked.item.place, "a required host is blocked", problem.help("block less, or remove that setting"));
            }
            let all = self.text("internet.otherwise").as_deref() == Some("blocked");
            let carved = || {
                needed.iter().any(|said| said.pattern.covers(&blocked.pattern))
                    || self.chosen().iter().any(|(_, service)| service.names.iter().any(|name| name.covers(&blocked.pattern)))
            };
            if all && !carved() {
                let problem = Problem::new("internet.otherwise = \"blocked\" blocks it already");
                sink.at(&blocked.item.place, NEVER, problem.help("remove it"));
            }
        }
    }

    fn proxy(&self, sink: &mut Sink) {
        let Some(otherwise) = self.text("internet.otherwise") else { return };
        match (otherwise.as_str(), self.merged.values.contains_key("internet.proxy")) {
            ("proxy", false) => {
                let problem = Problem::new("`internet.proxy` is missing").help("set internet.proxy = \"HOST:PORT\"");
                self.say("internet.otherwise", "a missing proxy", problem, sink);
            }
            ("direct" | "blocked", true) => {
                let problem = Problem::new(format!("internet.otherwise = \"{otherwise}\" does not use a proxy"));
                self.say(
                    "internet.proxy",
                    "`internet.proxy` has no effect",
                    problem.help("set internet.otherwise = \"proxy\", or remove this"),
                    sink,
                );
            }
            _ => {}
        }
    }
}

const NEVER: &str = "a rule that can never decide";

/// The lists, where all of them are sound.
fn lists(merged: &Merged) -> Option<Vec<Arc<EndpointList>>> {
    Values::new(merged).endpoint_lists()
}
