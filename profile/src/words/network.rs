//! Networks as routes know them: domains, prefixes, ends of a tunnel, its keys.

use std::net::IpAddr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ipnet::IpNet;

use super::host;
use crate::report::{problem::Problem, text::quoted};

/// A domain.
pub(crate) fn domain(text: &str) -> Result<(), Problem> {
    if let Some(stem) = text.strip_prefix("*.") {
        return Err(Problem::new("a domain already includes everything below it").help(format!("write {stem:?}")));
    }
    host::name(text, "a domain")?;
    if text.parse::<IpAddr>().is_ok() {
        return Err(Problem::new(format!("{} is an address", quoted(text))).help("write networks into tunnel.prefixes"));
    }
    if !text.contains('.') {
        return Err(Problem::new(format!("{} is a whole top-level domain", quoted(text)))
            .help("name the organisation's own, such as \"corp.assurance.example\""));
    }
    Ok(())
}

/// A network's prefix.
pub(crate) fn prefix(text: &str) -> Result<IpNet, Problem> {
    let Ok(prefix) = text.parse::<IpNet>() else {
        let help = match text.parse::<IpAddr>() {
            Ok(address) => format!("write {:?} for this one address", IpNet::from(address).to_string()),
            Err(_) => "write address/length, such as \"10.0.0.0/8\" or \"2001:db8::/32\"".to_owned(),
        };
        return Err(Problem::new(format!("{} is not a prefix", quoted(text))).help(help));
    };
    if prefix.addr() != prefix.network() {
        return Err(Problem::new(format!("{} has bits beyond its length", quoted(text)))
            .help(format!("write \"{}\", or did you mean another length?", prefix.trunc())));
    }
    Ok(prefix)
}

/// `HOST:PORT`; an IPv6 address in brackets.
pub(crate) fn host_port(text: &str) -> Result<(), Problem> {
    let help = "write HOST:PORT, such as \"vpn.assurance.example:51820\" or \"[2001:db8::1]:51820\"";
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(Problem::new(format!("{} has no port", quoted(text))).help(help));
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(Problem::new(format!("{} is not a port number", quoted(port))).help(help));
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) if address.parse::<std::net::Ipv6Addr>().is_ok() => Ok(()),
        Some(_) => Err(Problem::new(format!("{} is not an IPv6 address", quoted(host))).help(help)),
        None => host::name(host, "a host"),
    }
}

/// 32 bytes as WireGuard's tools write them.
pub(crate) fn wireguard_key(text: &str) -> Result<(), Problem> {
    match BASE64_STANDARD.decode(text) {
        Ok(key) if key.len() == 32 && key.iter().any(|byte| *byte != 0) => Ok(()),
        _ => Err(Problem::new(format!("{} is not a WireGuard public key", quoted(text)))
            .help("write what `wg pubkey` prints: 44 characters of Base64, the last one =")),
    }
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
    }
}
