//! Which way a laptop's traffic goes: `[saas]`, `[tunnel]` and `[internet]` together.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::values::Values;
use crate::words::{endpoints::Service, host::Host, service::find, way::Way};

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
pub(crate) fn routing(v: &mut Values<'_>) -> Option<Routing> {
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
