//! Settings of `[saas]`, `[tunnel]` and `[internet]`: their values, and all of them together.

use std::{net::IpAddr, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    certificate::not_read,
    diagnose::{Problem, quoted},
    host::{self, Host},
    resolve::Values,
    source::read_text,
};
use crate::{
    endpoints::{EndpointList, Service, is_word},
    way::Way,
};

/// Which way a laptop's traffic goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// Software as a service, reached directly.
    pub saas: Saas,
    /// The way into the organisation's network.
    pub tunnel: Option<Tunnel>,
    /// All else.
    pub internet: Internet,
}

/// Software as a service, reached directly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saas {
    /// What was chosen of endpoint lists.
    pub services: Vec<Service>,
    /// Further hosts.
    pub domains: Vec<Host>,
}

/// The way into the organisation's network, by WireGuard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tunnel {
    /// The concentrator, `HOST:PORT`.
    pub endpoint: String,
    /// Its public key, Base64.
    pub public_key: String,
    /// The networks behind it; at least one.
    pub prefixes: Vec<IpNet>,
    /// Internal domains, each with all below it.
    pub domains: Vec<String>,
    /// Name servers behind it.
    pub dns: Vec<IpAddr>,
    /// Seconds between packets that keep the way back open; 0 for none.
    pub keepalive: u16,
}

/// All that is neither SaaS nor internal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Internet {
    /// Its way: [`Way::Direct`], [`Way::Proxy`] or [`Way::Blocked`].
    pub otherwise: Way,
    /// The web proxy, `HOST:PORT`; there where `otherwise` is [`Way::Proxy`].
    pub proxy: Option<String>,
    /// Hosts that browsers may not reach.
    pub blocked_hosts: Vec<Host>,
}

/// All of them; `None` where one could not be read.
pub fn routing(v: &mut Values<'_>) -> Option<Routing> {
    let lists = v.endpoint_lists()?;
    let services = v.texts("saas.services")?.iter().map(|name| find(&lists, name)).collect::<Option<_>>()?;
    let tunnel = match v.text("tunnel.endpoint") {
        Some(endpoint) => Some(Tunnel {
            endpoint,
            public_key: v.text("tunnel.public-key")?,
            prefixes: v.prefixes("tunnel.prefixes")?,
            domains: v.texts("tunnel.domains")?,
            dns: v.texts("tunnel.dns")?.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?,
            keepalive: u16::try_from(v.integer("tunnel.keepalive")?).ok()?,
        }),
        None => None,
    };
    let otherwise = match v.text("internet.otherwise")?.as_str() {
        "direct" => Way::Direct,
        "proxy" => Way::Proxy,
        "blocked" => Way::Blocked,
        _ => return None,
    };
    Some(Routing {
        saas: Saas { services, domains: v.hosts("saas.domains")? },
        tunnel,
        internet: Internet { otherwise, proxy: v.text("internet.proxy"), blocked_hosts: v.hosts("internet.blocked-hosts")? },
    })
}

/// A service of the lists.
pub fn find<L: AsRef<EndpointList>>(lists: &[L], name: &str) -> Option<Service> {
    let service = name.split(':').next().unwrap_or(name);
    lists.iter().map(AsRef::as_ref).find(|list| list.service == service)?.choose(name)
}

/// A domain.
pub fn domain(text: &str) -> Result<(), Problem> {
    if let Some(stem) = text.strip_prefix("*.") {
        return Err(Problem::new("a domain stands for all below it, too").help(format!("write {stem:?}")));
    }
    host::name(text, "a domain")?;
    if text.parse::<IpAddr>().is_ok() {
        return Err(Problem::new(format!("{} is an address", quoted(text))).help("networks go into tunnel.prefixes"));
    }
    if !text.contains('.') {
        return Err(Problem::new(format!("{} is a whole top-level domain", quoted(text)))
            .help("name the organisation's own, such as \"corp.assurance.example\""));
    }
    Ok(())
}

/// A network's prefix.
pub fn prefix(text: &str) -> Result<IpNet, Problem> {
    let Ok(prefix) = text.parse::<IpNet>() else {
        let help = match text.parse::<IpAddr>() {
            Ok(address) => format!("write {:?} for this one address", IpNet::from(address).to_string()),
            Err(_) => "write address/length, such as \"10.0.0.0/8\" or \"2001:db8::/32\"".to_owned(),
        };
        return Err(Problem::new(format!("{} is no prefix", quoted(text))).help(help));
    };
    if prefix.addr() != prefix.network() {
        return Err(Problem::new(format!("{} has bits beyond its length", quoted(text)))
            .help(format!("write \"{}\", or is another length meant?", prefix.trunc())));
    }
    Ok(prefix)
}

/// `HOST:PORT`; an IPv6 address in brackets.
pub fn host_port(text: &str) -> Result<(), Problem> {
    let help = "write HOST:PORT, such as \"vpn.assurance.example:51820\" or \"[2001:db8::1]:51820\"";
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(Problem::new(format!("{} has no port", quoted(text))).help(help));
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(Problem::new(format!("{} is no port", quoted(port))).help(help));
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => Ok(()),
        Some(_) => Err(Problem::new(format!("{} is no IPv6 address", quoted(host))).help(help)),
        None => host::name(host, "a host"),
    }
}

/// 32 bytes as WireGuard's tools write them.
pub fn wireguard_key(text: &str) -> Result<(), Problem> {
    match BASE64_STANDARD.decode(text) {
        Ok(key) if key.len() == 32 && key.iter().any(|byte| *byte != 0) => Ok(()),
        _ => Err(Problem::new(format!("{} is no WireGuard public key", quoted(text)))
            .help("write what `wg pubkey` prints: 44 characters of Base64, the last one =")),
    }
}

/// A service's endpoint list.
pub fn endpoint_list(path: &Path) -> Result<EndpointList, Problem> {
    let text = read_text(path).map_err(|why| not_read(path, &why))?;
    EndpointList::parse(&text)
        .map_err(|(why, fix)| Problem::new(format!("{}: {why}", path.display())).what("bad endpoint list").help(fix))
}

/// A service's name, perhaps with a category.
pub fn service(text: &str) -> Result<(), Problem> {
    let (name, category) = text.split_once(':').map_or((text, None), |(name, category)| (name, Some(category)));
    if is_word(name) && category.is_none_or(is_word) {
        return Ok(());
    }
    let problem = Problem::new(format!("{} is no service", quoted(text)));
    Err(problem.help("write \"microsoft365:optimize\", or hosts into saas.domains"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert!(domain("corp.assurance.example").is_ok());
        for bad in ["*.corp.example", "example", "10.0.0.1", "Corp.example", "corp.example.", "corp.example/x", ""] {
            assert!(domain(bad).is_err(), "{bad}");
        }
        assert!(["10.0.0.0/8", "2001:db8::/32", "10.1.2.3/32"].into_iter().all(|text| prefix(text).is_ok()));
        for bad in ["10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "x/8", "/8", ""] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
        assert!(["a.example:1", "10.0.0.1:65535", "[2001:db8::1]:51820"].into_iter().all(|text| host_port(text).is_ok()));
        for bad in
            ["a.example", "a.example:", "a.example:0", "a.example:65536", "2001:db8::1:5", "[x]:1", ":1", "a:+1", "https://a:1"]
        {
            assert!(host_port(bad).is_err(), "{bad}");
        }
        assert!(wireguard_key("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=").is_ok());
        for bad in ["", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAA"] {
            assert!(wireguard_key(bad).is_err(), "{bad}");
        }
        assert!(service("microsoft365:optimize").is_ok() && service("crm").is_ok());
        assert!(["", ":x", "a:", "A", "a:b:c"].into_iter().all(|text| service(text).is_err()));
    }
}
