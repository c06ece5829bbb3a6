//! The way into the organisation's network: WireGuard by NetworkManager, with routes to its prefixes only and names of its
//! domains only.
//!
//! Two things are the device's own and not in any image: its private key and its address in the tunnel. `livery-tunnel.service`
//! puts them in on the device, in memory: in place of `@PRIVATE-KEY@`, and of the lines `address=4` and `address=6`.

use std::fmt::Write as _;

use ipnet::IpNet;
use livery_profile::Tunnel;

/// The tunnel's network interface.
pub(crate) const INTERFACE: &str = "corporate";
/// The interface that internal names fail at when the tunnel is not there.
const CLOSED: &str = "closed";
/// Stands for the device's private key.
const PRIVATE_KEY: &str = "@PRIVATE-KEY@";

/// NetworkManager's connection profile, in its keyfile format.
///
/// `never-default` and the routing-only domains (`~`) keep everything else out; `peer-routes` makes a route of each allowed prefix.
pub(crate) fn connection(tunnel: &Tunnel) -> String {
    let joined = |items: Vec<String>| items.iter().fold(String::new(), |line, item| line + item + ";");
    let prefixes = joined(tunnel.prefixes.iter().map(IpNet::to_string).collect());
    let domains = joined(tunnel.domains.iter().map(|domain| format!("~{domain}")).collect());
    let dns = |v6: bool| joined(tunnel.dns.iter().filter(|server| server.is_ipv6() == v6).map(ToString::to_string).collect());
    let mut text = format!(
        "[connection]\nid={INTERFACE}\nuuid={}\ntype=wireguard\ninterface-name={INTERFACE}\nautoconnect=true\nautoconnect-retries=0\n\n\
         [wireguard]\nprivate-key={PRIVATE_KEY}\npeer-routes=true\n\n\
         [wireguard-peer.{}]\nendpoint={}\nallowed-ips={prefixes}\n",
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, tunnel.public_key.as_bytes()),
        tunnel.public_key,
        tunnel.endpoint,
    );
    if tunnel.keepalive > 0 {
        let _ = writeln!(text, "persistent-keepalive={}", tunnel.keepalive);
    }
    for (section, mark, v6) in [("ipv4", 4, false), ("ipv6", 6, true)] {
        let _ = write!(text, "\n[{section}]\naddress={mark}\nnever-default=true\n");
        let servers = dns(v6);
        if !servers.is_empty() {
            let _ = write!(text, "dns={servers}\ndns-search={domains}\ndns-priority=50\n");
        }
    }
    text
}

/// A second, dead end for internal names, by systemd-networkd: `(path, text)` of its files. When the tunnel's interface is gone,
/// resolved would ask the local network's server for `intranet.corp.example`; with this one it has a server that belongs to the name
/// and cannot be reached, and asks nobody else.
pub(crate) fn fail_closed(tunnel: &Tunnel) -> [(String, String); 2] {
    let domains = tunnel.domains.iter().map(|domain| format!("~{domain}")).collect::<Vec<_>>().join(" ");
    // Documentation addresses (RFC 5737): no packet can leave for them, so that a question fails at once.
    let network = format!(
        "[Match]\nName={CLOSED}\n\n\
         [Link]\nRequiredForOnline=no\n\n\
         [Network]\nAddress=192.0.2.53/32\nDNS=192.0.2.53\nDomains={domains}\nDNSDefaultRoute=no\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n\
         LLMNR=no\nMulticastDNS=no\nConfigureWithoutCarrier=yes\n"
    );
    [
        (format!("usr/lib/systemd/network/20-livery-{CLOSED}.netdev"), format!("[NetDev]\nName={CLOSED}\nKind=dummy\n")),
        (format!("usr/lib/systemd/network/20-livery-{CLOSED}.network"), network),
    ]
}
