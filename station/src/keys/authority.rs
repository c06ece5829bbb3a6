//! TLS of the station: a private authority that the agent's medium carries, and one server certificate under it.
//!
//! The authority is bound to the station's names (RFC 5280, section 4.2.1.10), so that whoever steals `ca.key` can
//! play the station, but no other host that trusts it. Devices get no certificates: they sign their messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use livery_contract::{Fault, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};

/// Days that the server certificate is valid: what browsers and Apple's systems accept at most from a private authority.
pub(super) const SERVER_DAYS: i64 = 825;
/// Years that the authority is valid: longer than a line's media are in use.
pub(super) const AUTHORITY_YEARS: i64 = 10;

/// PEM texts of a new authority and a server certificate.
pub(super) struct Issued {
    /// The authority's certificate.
    pub(super) authority: String,
    /// Its private key.
    pub(super) authority_key: String,
    /// The server's certificate.
    pub(super) certificate: String,
    /// Its private key.
    pub(super) key: String,
}

/// Makes an authority and a server certificate for these DNS names and IP addresses.
///
/// # Errors
/// `Usage` for no host or a bad one.
pub(super) fn issue(hosts: &[String]) -> Result<Issued> {
    let (names, addresses) = sort(hosts)?;
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let made = |error: rcgen::Error| Fault::internal("making the TLS certificates failed").cause(error);

    let mut authority = CertificateParams::default();
    authority.distinguished_name = rcgen::DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, format!("Livery station authority ({})", hosts[0]));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.name_constraints = Some(constraints(&names, &addresses));
    valid(&mut authority, today, AUTHORITY_YEARS * 365)?;
    let authority_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(made)?;
    let authority_certificate = authority.self_signed(&authority_key).map_err(made)?;

    let mut server = CertificateParams::new(hosts)
        .map_err(|error| Fault::usage("a host is neither a DNS name nor an IP address").cause(error))?;
    server.distinguished_name = rcgen::DistinguishedName::new();
    // At most 64 characters fit a common name (X.520); clients read the alternative names only.
    server.distinguished_name.push(DnType::CommonName, "Livery station");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    valid(&mut server, today, SERVER_DAYS)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(made)?;
    let issuer = Issuer::from_params(&authority, &authority_key);
    let certificate = server.signed_by(&key, &issuer).map_err(made)?;
    Ok(Issued {
        authority: authority_certificate.pem(),
        authority_key: authority_key.serialize_pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Tells names from addresses, and refuses what is neither.
fn sort(hosts: &[String]) -> Result<(Vec<String>, Vec<IpAddr>)> {
    if hosts.is_empty() {
        return Err(Fault::usage("no host was given").fix("add --host NAME_OR_IP for each name or address of the station"));
    }
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for host in hosts {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            addresses.push(address);
        } else if host.len() <= 253
            && host.split('.').all(label)
            && !host.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()))
        {
            names.push(host.clone());
        } else {
            return Err(Fault::usage(format!("{host:?} is neither a DNS name nor an IP address"))
                .fix("use the bare name or address, without https:// or a port"));
        }
    }
    Ok((names, addresses))
}

/// Only these names and addresses. A kind of name that is not mentioned at all would be unconstrained.
fn constraints(names: &[String], addresses: &[IpAddr]) -> NameConstraints {
    let mut permitted: Vec<_> = names.iter().map(|name| GeneralSubtree::DnsName(name.clone())).collect();
    if names.is_empty() {
        permitted.push(GeneralSubtree::DnsName("invalid".into())); // RFC 6761: never resolves
    }
    permitted.extend(addresses.iter().map(|address| {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*address, bits))
    }));
    let mut excluded = Vec::new();
    if !addresses.iter().any(IpAddr::is_ipv4) {
        excluded.push(GeneralSubtree::IpAddress(CidrSubnet::V4(Ipv4Addr::UNSPECIFIED.octets(), [0; 4])));
    }
    if !addresses.iter().any(IpAddr::is_ipv6) {
        excluded.push(GeneralSubtree::IpAddress(CidrSubnet::V6(Ipv6Addr::UNSPECIFIED.octets(), [0; 16])));
    }
    NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded }
}

/// Sets from when (yesterday: clocks differ) to when a certificate is valid.
fn valid(params: &mut CertificateParams, today: Date, days: i64) -> Result<()> {
    let part = |days: i64| {
        let date = today.checked_add(days.days()).map_err(|error| Fault::internal("the clock is out of range").cause(error))?;
        Ok::<_, Fault>(rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs()))
    };
    params.not_before = part(-1)?;
    params.not_after = part(days)?;
    Ok(())
}
