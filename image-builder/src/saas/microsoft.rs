//! Microsoft 365's endpoint web service (learn.microsoft.com, "Office 365 IP Address and URL web service"): one JSON list of
//! endpoint sets, and a second address that says its version, `YYYYMMDDNN`.

use ipnet::IpNet;
use livery_profile::{Endpoint, EndpointList};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

/// Where the worldwide instance's list is.
pub(crate) const SOURCE: &str = "https://endpoints.office.com/endpoints/worldwide";
/// The name that profiles use.
pub(crate) const SERVICE: &str = "microsoft365";

/// One endpoint set. What we do not use is left out, and what Microsoft adds is no error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    id: u32,
    service_area: String,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    ips: Vec<String>,
    #[serde(default)]
    tcp_ports: String,
    #[serde(default)]
    udp_ports: String,
    category: String,
    required: bool,
}

/// The version's answer.
#[derive(Deserialize)]
struct Latest {
    latest: String,
}

/// Whether a text looks like Microsoft's list and not like a list of ours.
pub(crate) fn is_list(text: &str) -> bool {
    text.trim_start().starts_with('[') && text.contains("\"serviceArea\"")
}

/// Microsoft's list as one of ours.
///
/// # Errors
/// In words.
pub(crate) fn parse(text: &str, version: &str, date: &str, source: &str) -> Result<EndpointList, String> {
    let sets: Vec<Set> = serde_json::from_str(text).map_err(|error| format!("it is not Microsoft's list of endpoints: {error}"))?;
    let endpoints = sets.into_iter().map(endpoint).collect::<Result<_, _>>()?;
    let list = EndpointList {
        schema: 1,
        service: SERVICE.into(),
        title: "Microsoft 365, worldwide".into(),
        source: source.into(),
        version: version.into(),
        date: date.into(),
        sha256: None,
        endpoints,
    };
    list.check()?;
    Ok(list.sorted())
}

fn endpoint(set: Set) -> Result<Endpoint, String> {
    let at = |error: String| format!("endpoint set {}: {error}", set.id);
    let names = set.urls.iter().map(|url| url.to_ascii_lowercase().parse().map_err(at)).collect::<Result<_, _>>()?;
    let prefixes = set
        .ips
        .iter()
        .map(|text| text.parse::<IpNet>().map_err(|error| at(format!("{text:?}: {error}"))))
        .collect::<Result<_, _>>()?;
    Ok(Endpoint {
        id: set.id,
        area: set.service_area,
        category: set.category.to_ascii_lowercase(),
        required: set.required,
        names,
        prefixes,
        tcp: set.tcp_ports,
        udp: set.udp_ports,
    })
}

/// A list's address with what the service asks each caller for: a number of its own, made anew.
pub(crate) fn request(source: &Url) -> Url {
    let mut url = source.clone();
    if !url.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case("clientrequestid")) {
        url.query_pairs_mut().append_pair("clientrequestid", &Uuid::new_v4().to_string());
    }
    url
}

/// Where the list's version is told: `/endpoints/worldwide` becomes `/version/worldwide`. `None` for another service.
pub(crate) fn version_of(source: &Url) -> Option<Url> {
    let instance = source.path().strip_prefix("/endpoints/")?;
    let mut url = source.clone();
    url.set_path(&format!("/version/{instance}"));
    Some(request(&url))
}

/// The version out of the service's answer.
///
/// # Errors
/// In words.
pub(crate) fn latest(text: &str) -> Result<String, String> {
    let Latest { latest } = serde_json::from_str(text).map_err(|error| format!("the version's answer: {error}"))?;
    match latest.len() == 10 && latest.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(latest),
        false => Err(format!("the version's answer: {latest:?} is not YYYYMMDDNN")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_list_of_microsofts() {
        let text = r#"[{"id": 31, "serviceArea": "SharePoint", "serviceAreaDisplayName": "x", "urls": ["*.SharePoint.com"],
            "ips": ["13.107.136.0/22", "2620:1ec:8f8::/46"], "tcpPorts": "80,443", "expressRoute": true, "category": "Optimize",
            "required": true, "news": 1}]"#;
        assert!(is_list(text));
        let list = parse(text, "2025120100", "2025-12-01", SOURCE).unwrap();
        assert_eq!(list.endpoints[0].names[0].to_string(), "*.sharepoint.com");
        assert_eq!((list.endpoints[0].category.as_str(), list.endpoints[0].prefixes.len()), ("optimize", 2));
        for bad in
            [text.replace("/22", "/99"), text.replace("*.SharePoint.com", "*"), "[]".into(), "{}".into(), text.replace("31", "-1")]
        {
            assert!(parse(&bad, "2025120100", "2025-12-01", SOURCE).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_and_versions() {
        let source: Url = SOURCE.parse().unwrap();
        assert!(request(&source).query().unwrap().starts_with("clientrequestid="));
        assert!(
            version_of(&source).unwrap().as_str().starts_with("https://endpoints.office.com/version/worldwide?clientrequestid=")
        );
        assert_eq!(latest(r#"{"instance": "Worldwide", "latest": "2025120100"}"#).unwrap(), "2025120100");
        assert!(latest(r#"{"latest": "soon"}"#).is_err() && latest("x").is_err());
    }
}
