//! One table by several hands: what it decides, and what is made of it.
#![allow(clippy::unwrap_used)]

use livery_profile::{Citrix, Host, Internet, Pattern, Routing, Saas, Service, Tunnel, Way};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

fn citrix(gateway: &str) -> Citrix {
    let store_url = format!("https://{gateway}/").parse().unwrap();
    let [storefront_hosts, identity_provider_hosts, mfa_hosts] = [const { Vec::new() }; 3];
    Citrix { store_url, gateway_hosts: vec![host(gateway)], storefront_hosts, identity_provider_hosts, mfa_hosts, client: None }
}

fn routing(otherwise: Way) -> Routing {
    let service = Service {
        name: "ms:optimize".into(),
        version: "1".into(),
        names: [
            "*.sharepoint.example",
            "outlook.office.example",
            "auto.*.ms.example",
            "*cdn.note.example",
            "*.teams.office.example",
        ]
        .map(|text| text.parse().unwrap())
        .to_vec(),
        prefixes: ["52.96.0.0/14", "2603:1006::/40"].map(|text| text.parse().unwrap()).to_vec(),
    };
    Routing {
        saas: Saas { services: vec![service], domains: vec![host("*.crm.example")] },
        tunnel: Some(Tunnel {
            endpoint: "vpn.insurer.example:51820".into(),
            public_key: "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=".into(),
            prefixes: ["10.0.0.0/8", "2001:db8:1::/48"].map(|text| text.parse().unwrap()).to_vec(),
            domains: vec!["corp.insurer.example".into(), "inside.crm.example".into()],
            dns: vec!["10.0.0.53".parse().unwrap(), "2001:db8:1::53".parse().unwrap()],
            keepalive: 25,
        }),
        internet: Internet {
            otherwise,
            proxy: (otherwise == Way::Proxy).then(|| "proxy.corp.insurer.example:3128".into()),
            blocked_hosts: vec![host("bad.crm.example"), host("*.games.example")],
        },
    }
}

fn table(otherwise: Way) -> Table {
    Table::new(&routing(otherwise), &citrix("gateway.insurer.example"))
}

fn way(table: &Table, url: &str) -> (Way, String) {
    let decision = table.decide(&url.parse().unwrap());
    (decision.way, decision.reason.to_string())
}

#[test]
fn where_urls_go() {
    let table = table(Way::Proxy);
    for (url, wanted, why) in [
        ("https://a.sharepoint.example/x", Way::Direct, "ms:optimize"),
        ("https://SHAREPOINT.example./", Way::Direct, "ms:optimize"),
        ("https://xsharepoint.example/", Way::Proxy, "internet.otherwise"),
        ("https://auto.contoso.ms.example/", Way::Direct, "ms:optimize"),
        ("https://auto.ms.example/", Way::Proxy, "internet.otherwise"),
        ("https://xcdn.note.example/", Way::Direct, "ms:optimize"),
        ("https://gateway.insurer.example/", Way::Direct, "citrix.gateway-hosts"),
        ("https://intranet.corp.insurer.example/", Way::Tunnel, "tunnel.domains"),
        ("https://www.insurer.example/", Way::Proxy, "internet.otherwise"),
        ("https://crm.example/", Way::Direct, "saas.domains"),
        ("https://x.inside.crm.example/", Way::Tunnel, "tunnel.domains"),
        ("https://bad.crm.example/", Way::Blocked, "internet.blocked-hosts"),
        ("https://x.bad.crm.example/", Way::Direct, "saas.domains"),
        ("http://a.games.example:8080/", Way::Blocked, "internet.blocked-hosts"),
        ("http://10.1.2.3/", Way::Tunnel, "tunnel.prefixes"),
        ("http://192.168.1.1/", Way::Direct, "in the local network"),
        ("http://52.97.0.1/", Way::Direct, "ms:optimize"),
        ("http://93.184.216.34/", Way::Proxy, "internet.otherwise"),
        ("http://[2001:db8:1::5]/", Way::Tunnel, "tunnel.prefixes"),
        ("http://[2001:db8:2::5]/", Way::Proxy, "internet.otherwise"),
        ("http://[::ffff:10.0.0.1]/", Way::Tunnel, "tunnel.prefixes"),
        ("http://127.0.0.1:631/", Way::Direct, "the device itself"),
        ("http://[::1]/", Way::Direct, "the device itself"),
        ("http://printer/", Way::Direct, "in the local network"),
        ("http://printer.local/", Way::Direct, "in the local network"),
        ("http://localhost/", Way::Direct, "the device itself"),
    ] {
        let (is, reason) = way(&table, url);
        assert!(is == wanted && reason.contains(why), "{url}: {is}, {reason}");
    }
    assert_eq!(way(&self::table(Way::Blocked), "https://elsewhere.example/").0, Way::Blocked);
}

#[test]
fn what_a_gateway_below_an_internal_domain_is() {
    let table = Table::new(&routing(Way::Direct), &citrix("citrix.corp.insurer.example"));
    assert_eq!(way(&table, "https://citrix.corp.insurer.example/").0, Way::Tunnel, "its name is resolved there");
}

#[test]
fn a_way_without_a_proxy_is_never_direct() {
    let mut table = table(Way::Proxy);
    assert_eq!(table.pac_answer(Way::Proxy), "PROXY proxy.corp.insurer.example:3128");
    table.proxy = None;
    assert_eq!(table.pac_answer(Way::Proxy), "PROXY 127.0.0.1:9");
}

#[test]
fn policies_open_just_what_is_not_blocked() {
    let closed = table(Way::Blocked);
    let (firefox, chromium) = (firefox(&closed), chromium(&closed));
    let exceptions = firefox["WebsiteFilter"]["Exceptions"].as_array().unwrap();
    for open in
        ["*://*.sharepoint.example/*", "*://gateway.insurer.example/*", "*://*.corp.insurer.example/*", "*://*.ms.example/*"]
    {
        assert!(exceptions.contains(&open.into()), "{open} in {exceptions:?}");
    }
    assert_eq!(firefox["WebsiteFilter"]["Block"][0], "<all_urls>");
    assert_eq!(chromium["URLBlocklist"][0], "*");
    assert!(chromium["URLAllowlist"].as_array().unwrap().contains(&".outlook.office.example".into()));
    let open = super::firefox(&table(Way::Direct));
    assert_eq!(open["WebsiteFilter"]["Block"], serde_json::json!(["*://bad.crm.example/*", "*://*.games.example/*"]));
    assert_eq!(open["WebsiteFilter"]["Exceptions"], Value::Null);
    for policies in [&firefox["Proxy"]["AutoConfigURL"], &chromium["ProxySettings"]["ProxyPacUrl"]] {
        assert!(policies.as_str().unwrap().starts_with("data:application/x-ns-proxy-autoconfig;base64,"));
    }
}

#[test]
fn tunnel_and_firewall_name_the_same_networks() {
    let routing = routing(Way::Direct);
    let tunnel = routing.tunnel.as_ref().unwrap();
    let connection = connection(tunnel);
    for line in [
        "allowed-ips=10.0.0.0/8;2001:db8:1::/48;\n",
        "dns=10.0.0.53;\ndns-search=~corp.insurer.example;~inside.crm.example;\n",
        "dns=2001:db8:1::53;\n",
        "never-default=true\n",
        "persistent-keepalive=25\n",
        "[wireguard-peer.xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=]\nendpoint=vpn.insurer.example:51820\n",
    ] {
        assert!(connection.contains(line), "{line} in\n{connection}");
    }
    assert!(!connection.contains("0.0.0.0/0") && !connection.contains("::/0"));
    let rules = ruleset(Some(tunnel));
    assert!(rules.contains("elements = { 10.0.0.0/8 }") && rules.contains("elements = { 2001:db8:1::/48 }"), "{rules}");
    assert!(!ruleset(None).contains("chain output"));
    let [(_, _), (_, closed)] = fail_closed(tunnel);
    assert!(closed.contains("Domains=~corp.insurer.example ~inside.crm.example\n"), "{closed}");
}

proptest! {
    /// A rule that was left out as idle would have decided the same.
    #[test]
    fn nothing_changes_by_what_is_left_out(
        hosts in prop::collection::vec("(auto\\.|x)?(cdn\\.|a\\.|b\\.)?(note|teams|office|crm|ms|games)(\\.example|\\.office\\.example)?", 1..20)
    ) {
        let routing = routing(Way::Proxy);
        let behind = citrix("gateway.insurer.example");
        let table = Table::new(&routing, &behind);
        let mut all: Vec<(Pattern, Way)> = Vec::new();
        all.extend(routing.tunnel.iter().flat_map(|tunnel| &tunnel.domains).map(|name| (Pattern::Domain(name.clone()), Way::Tunnel)));
        all.extend(routing.saas.domains.iter().map(|host| (host.pattern(), Way::Direct)));
        all.extend(routing.saas.services.iter().flat_map(|service| &service.names).map(|name| (name.clone(), Way::Direct)));
        all.extend(routing.internet.blocked_hosts.iter().map(|host| (host.pattern(), Way::Blocked)));
        all.sort_by_key(|(pattern, _)| pattern.rank());
        for host in hosts {
            let by_all = all.iter().find(|(pattern, _)| pattern.matches(&host)).map(|(_, way)| *way);
            let by_table = table.names.iter().find(|rule| rule.pattern.matches(&host)).map(|rule| rule.way);
            prop_assert_eq!(by_all, by_table, "{}", host);
        }
    }
}
