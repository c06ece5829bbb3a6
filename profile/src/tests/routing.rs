//! Routes of a laptop: contradictions, each at its line.
#![allow(clippy::unwrap_used)]

use super::*;

const LAPTOP: &str = r#"schema = 1
kind = "laptop"
name = "laptop"
[packages]
install = ["systemd"]
boot = ["linux-image-amd64"]
[image]
epoch = 2026-11-01
[hardware]
supported = ["latitude-5000"]
[locale]
default = "fr_FR.UTF-8"
keyboard = "fr"
timezone = "Europe/Paris"
[citrix]
store-url = "https://gateway.insurer.example/"
gateway-hosts = ["gateway.insurer.example"]
"#;

const ROUTES: &str = r#"[saas]
lists = ["ms.toml"]
services = ["ms:optimize"]
domains = ["*.crm.example"]
[tunnel]
endpoint = "vpn.insurer.example:51820"
public-key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
prefixes = ["10.0.0.0/8"]
domains = ["corp.insurer.example"]
dns = ["10.0.0.53"]
[internet]
otherwise = "proxy"
proxy = "proxy.corp.insurer.example:3128"
blocked-hosts = ["*.games.example"]
"#;

fn list() -> String {
    let text = r#"
        schema = 1
        service = "ms"
        title = "Test"
        version = "1"
        date = "2026-11-01"
        [[endpoint]]
        id = 1
        category = "optimize"
        names = ["*.sharepoint.example", "mail.corp.office.example"]
        prefixes = ["52.96.0.0/14"]
        [[endpoint]]
        id = 2
        category = "allow"
        names = ["*.teams.example"]
    "#;
    EndpointList::parse_unsealed(text).unwrap().to_toml()
}

fn folder(routes: &str) -> Folder {
    let laptop = format!("{LAPTOP}{routes}");
    Folder::new(&[("p.toml", &laptop), ("ms.toml", &list()), ("ms2.toml", &list())])
}

#[test]
fn sound_routes_are_all_there() {
    let profile = folder(ROUTES).load("p.toml").unwrap_or_else(|diagnostics| panic!("{diagnostics:?}"));
    let routing = profile.routing().unwrap();
    assert_eq!(routing.saas.services[0].names.len(), 2);
    assert_eq!(routing.tunnel.as_ref().unwrap().keepalive, 25);
    let profile = folder("").load("p.toml").unwrap();
    assert_eq!(profile.routing().unwrap().tunnel, None);
    assert_eq!(profile.routing().unwrap().internet.otherwise, Way::Direct);
}

#[test]
fn each_contradiction_is_told_at_its_line() {
    // What is changed, where the error is, and what it says.
    for (from, to, line, said) in [
        (r#"["10.0.0.0/8"]"#, r#"["0.0.0.0/0"]"#, "25:13", "a full tunnel: 0.0.0.0/0 is the whole Internet"),
        (r#"["10.0.0.0/8"]"#, r#"["10.0.0.0/8", "64.0.0.0/3"]"#, "25:27", "a full tunnel: 64.0.0.0/3 is far more"),
        (r#"["10.0.0.0/8"]"#, r#"["10.0.0.0/8", "::/0"]"#, "25:27", "a full tunnel"),
        (r#"["10.0.0.0/8"]"#, r#"["10.0.0.0/8", "10.1.0.0/16"]"#, "25:27", r#"it lies within "10.0.0.0/8""#),
        (
            r#"["10.0.0.0/8"]"#,
            r#"["10.0.0.0/8", "52.97.1.0/24"]"#,
            "25:27",
            "52.97.1.0/24 overlaps with 52.96.0.0/14 of ms:optimize",
        ),
        (r#"["10.0.0.0/8"]"#, r#"["10.0.0.0/8", "52.0.0.0/8"]"#, "25:27", "52.0.0.0/8 overlaps with 52.96.0.0/14 of ms:optimize"),
        (r#"["10.0.0.53"]"#, r#"["192.168.0.53"]"#, "27:8", "a name server outside the tunnel"),
        ("vpn.insurer.example", "vpn.corp.insurer.example", "23:12", "vpn.corp.insurer.example lies within corp.insurer.example"),
        ("vpn.insurer.example", "10.9.9.9", "23:12", "10.9.9.9 lies within 10.0.0.0/8 of tunnel.prefixes"),
        (r#"["*.crm.example"]"#, r#"["x.corp.insurer.example"]"#, "21:12", "both SaaS and internal"),
        (
            r#"["corp.insurer.example"]"#,
            r#"["corp.insurer.example", "corp.office.example"]"#,
            "20:13",
            "mail.corp.office.example of ms:optimize lies below",
        ),
        (r#"["*.crm.example"]"#, r#"["*.crm.example", "a.crm.example"]"#, "21:29", "a rule that can never decide"),
        (r#"["*.crm.example"]"#, r#"["x.sharepoint.example"]"#, "21:12", "*.sharepoint.example of ms:optimize covers it"),
        (r#"["*.crm.example"]"#, r#"["192.0.2.1"]"#, "21:12", "is an address"),
        (
            r#"["corp.insurer.example"]"#,
            r#"["corp.insurer.example", "a.corp.insurer.example"]"#,
            "26:36",
            "a rule that can never decide",
        ),
        (r#"["ms:optimize"]"#, r#"["ms:optimize", "ms"]"#, "20:13", r#""ms" is also listed"#),
        (r#"["ms:optimize"]"#, r#"["ms:optimise"]"#, "20:13", r#"the known ones are "ms:allow", "ms:optimize""#),
        (r#"["ms:optimize"]"#, r#"["mx:optimize"]"#, "20:13", "no list in `saas.lists` covers \"mx\""),
        (r#"["ms.toml"]"#, r#"["ms.toml", "ms2.toml"]"#, "19:21", "double list"),
        (r#"["ms.toml"]"#, r#"["no.toml"]"#, "19:10", "there is no such file"),
        (r#"["*.games.example"]"#, r#"["*.crm.example"]"#, "31:18", "it would block *.crm.example of saas.domains"),
        (r#"["*.games.example"]"#, r#"["*.insurer.example"]"#, "31:18", "it would block"),
        (
            r#"["*.games.example"]"#,
            r#"["x.y.sharepoint.example", "*.sharepoint.example"]"#,
            "31:44",
            "it would block *.sharepoint.example of ms:optimize",
        ),
        (
            r#""proxy"
proxy"#,
            r#""blocked"
#"#,
            "31:18",
            "blocks it already",
        ),
        ("proxy = ", "# ", "29:13", "a missing proxy"),
        (r#"otherwise = "proxy""#, r#"otherwise = "direct""#, "30:9", "`internet.proxy` has no effect"),
        ("endpoint = ", "# ", "24:14", "`tunnel.public-key` has no effect"),
        ("public-key = ", "# ", "23:12", "an incomplete tunnel"),
        ("dns = ", "# ", "26:11", "`tunnel.domains` has no effect alone"),
    ] {
        assert!(ROUTES.contains(from), "{from}");
        let errors = folder(&ROUTES.replacen(from, to, 1)).errors("p.toml");
        assert!(
            errors.iter().any(|error| error.starts_with(&format!("p.toml:{line}:")) && error.contains(said)),
            "{to}: {line}: {said} in {errors:#?}"
        );
    }
}

#[test]
fn many_prefixes_are_a_full_tunnel_too() {
    let all: Vec<String> = (0..=255).map(|first| format!("\"{first}.0.0.0/8\"")).collect();
    let errors = folder(&ROUTES.replace("\"10.0.0.0/8\"", &all.join(", "))).errors("p.toml");
    assert!(errors.iter().any(|error| error.contains("together, the prefixes cover a large part")), "{errors:#?}");
}

#[test]
fn a_list_that_was_changed_by_hand_is_refused() {
    let folder = folder(ROUTES);
    std::fs::write(folder.path("ms.toml"), list().replace("sharepoint", "sharepainter")).unwrap();
    let errors = folder.errors("p.toml");
    assert!(errors[0].contains("edited it by hand"), "{errors:?}");
    std::fs::write(folder.path("ms.toml"), "x").unwrap();
    assert!(folder.errors("p.toml")[0].contains("bad endpoint list"));
}
