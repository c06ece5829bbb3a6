//! The laptop's firewall, as nftables rules: nothing comes in unasked, and what belongs into the organisation's network leaves
//! through the tunnel or not at all.

use std::net::IpAddr;

use livery_profile::Tunnel;

use super::INTERFACE;

/// The rule set for `/etc/nftables.conf`.
pub(crate) fn ruleset(tunnel: Option<&Tunnel>) -> String {
    format!(
        "#!/usr/sbin/nft -f\n\
         flush ruleset\n\n\
         table inet livery {{\n{sets}\
         \tchain input {{\n\
         \t\ttype filter hook input priority filter; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\tct state invalid drop\n\
         \t\tiifname \"lo\" accept\n\
         \t\t# Without these there is no IPv6 (RFC 4890); an echo helps whoever looks for a fault.\n\
         \t\ticmpv6 type {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query, echo-request }} accept\n\
         \t\ticmp type echo-request limit rate 10/second accept\n\
         \t\t# Answers of DHCP; of printers that are looked for (multicast DNS), from the network around the device.\n\
         \t\tudp sport 67 udp dport 68 accept\n\
         \t\tudp sport 547 udp dport 546 accept\n\
         \t\tudp dport 5353 ip daddr 224.0.0.251 accept\n\
         \t\tudp dport 5353 ip6 daddr ff02::fb accept\n\
         \t}}\n\
         \tchain forward {{\n\
         \t\ttype filter hook forward priority filter; policy drop;\n\
         \t}}\n\
         {output}}}\n",
        sets = tunnel.map_or_else(String::new, sets),
        output = tunnel.map_or_else(String::new, output),
    )
}

fn sets(tunnel: &Tunnel) -> String {
    let set = |name: &str, kind: &str, interval: bool, items: Vec<String>| {
        let flags = if interval { "\t\tflags interval\n" } else { "" };
        let elements = if items.is_empty() { String::new() } else { format!("\t\telements = {{ {} }}\n", items.join(", ")) };
        format!("\tset {name} {{\n\t\ttype {kind}\n{flags}{elements}\t}}\n")
    };
    let prefixes = |v6: bool| {
        let of_kind = tunnel.prefixes.iter().filter(|prefix| prefix.network().is_ipv6() == v6);
        of_kind.map(ToString::to_string).collect::<Vec<_>>()
    };
    let servers = |v6: bool| tunnel.dns.iter().filter(|server| server.is_ipv6() == v6).map(IpAddr::to_string).collect::<Vec<_>>();
    [
        set("internal4", "ipv4_addr", true, prefixes(false)),
        set("internal6", "ipv6_addr", true, prefixes(true)),
        set("resolvers4", "ipv4_addr", false, servers(false)),
        set("resolvers6", "ipv6_addr", false, servers(true)),
    ]
    .concat()
}

/// A home network may have addresses of the same range: its router may be asked for an address and for names, nothing else of it is
/// reached; and never by the organisation's own resolvers' addresses.
fn output(_: &Tunnel) -> String {
    format!(
        "\tchain output {{\n\
         \t\ttype filter hook output priority filter; policy accept;\n\
         \t\toifname \"lo\" accept\n\
         \t\toifname \"{INTERFACE}\" ip daddr @internal4 accept\n\
         \t\toifname \"{INTERFACE}\" ip6 daddr @internal6 accept\n\
         \t\toifname \"{INTERFACE}\" counter reject with icmpx admin-prohibited\n\
         \t\tudp dport {{ 67, 547 }} accept\n\
         \t\tmeta l4proto {{ tcp, udp }} th dport 53 ip daddr != @resolvers4 accept\n\
         \t\tmeta l4proto {{ tcp, udp }} th dport 53 ip6 daddr != @resolvers6 accept\n\
         \t\tip daddr @internal4 counter reject with icmpx admin-prohibited\n\
         \t\tip6 daddr @internal6 counter reject with icmpx admin-prohibited\n\
         \t}}\n"
    )
}
