//! The files of one employee's layer. It is laid over `/etc` before the device's own PID 1 starts, so that systemd, the
//! kiosk and everyone else read them where they always do: no first-boot script of ours.

use std::collections::BTreeMap;

use livery_contract::roster::Employee;
use serde::Serialize;

use super::erofs::Node;

/// `/etc/livery/identity.json`: what is known of the employee, for programs that ask.
#[derive(Debug, Serialize)]
struct Identity<'a> {
    schema: u32,
    order: &'a str,
    user: &'a str,
    name: &'a str,
    hostname: &'a str,
    locale: &'a str,
    keyboard: &'a str,
    timezone: Option<&'a str>,
}

/// The layer's files, by path from the layer's top.
pub(crate) fn files(employee: &Employee) -> BTreeMap<String, Node> {
    let identity = Identity {
        schema: 1,
        order: employee.order.as_str(),
        user: &employee.user,
        name: &employee.name,
        hostname: &employee.hostname,
        locale: &employee.locale,
        keyboard: &employee.keyboard,
        timezone: employee.timezone.as_deref(),
    };
    let mut json = serde_json::to_string_pretty(&identity).unwrap_or_default();
    json.push('\n');
    // For services (EnvironmentFile=): the values are checked, but a name may hold quotes.
    let quoted =
        |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`"));
    let environment = format!("LIVERY_ORDER={}\nLIVERY_USER={}\n", employee.order, quoted(&employee.user));
    let mut files = keyboard(&employee.keyboard);
    files.extend([
        ("etc/hostname".to_owned(), Node::File(format!("{}\n", employee.hostname).into_bytes())),
        ("etc/locale.conf".to_owned(), Node::File(format!("LANG={}\n", employee.locale).into_bytes())),
        ("etc/livery/identity.env".to_owned(), Node::File(environment.into_bytes())),
        ("etc/livery/identity.json".to_owned(), Node::File(json.into_bytes())),
    ]);
    if let Some(address) = &employee.tunnel_address {
        let text = format!("LIVERY_TUNNEL_ADDRESS=\"{address}\"\n");
        files.insert("etc/livery/tunnel.env".to_owned(), Node::File(text.into_bytes()));
    }
    if let Some(zone) = &employee.timezone {
        files.insert("etc/localtime".to_owned(), Node::Link(format!("../usr/share/zoneinfo/{zone}")));
    }
    files
}

/// The keyboard's files: for the kiosk, and for Debian's and systemd's own tools.
pub(crate) fn keyboard(keyboard: &str) -> BTreeMap<String, Node> {
    let (layout, variant) = match keyboard.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((layout, variant)) => (layout, variant),
        None => (keyboard, ""),
    };
    let file = |text: String| Node::File(text.into_bytes());
    BTreeMap::from([
        ("etc/default/keyboard".to_owned(), file(format!("XKBMODEL=pc105\nXKBLAYOUT={layout}\nXKBVARIANT={variant}\n"))),
        ("etc/livery/keyboard.env".to_owned(), file(format!("XKB_DEFAULT_LAYOUT={layout}\nXKB_DEFAULT_VARIANT={variant}\n"))),
        ("etc/vconsole.conf".to_owned(), file(format!("XKBLAYOUT={layout}\nXKBVARIANT={variant}\n"))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_lie_where_systemd_and_the_kiosk_look() {
        let roster =
            "order,user,name,hostname,locale,keyboard,timezone\nORD-1,zoe,Zoé \"Z\" L,wt-1,fr_BE.UTF-8,be(oss),Europe/Brussels\n";
        let employee = livery_contract::roster::parse(roster, livery_contract::roster::Format::Csv).unwrap().remove(0);
        let files = files(&employee);
        let text = |path: &str| match &files[path] {
            Node::File(bytes) | Node::Private(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            Node::Link(target) => target.clone(),
        };
        assert_eq!(text("etc/hostname"), "wt-1\n");
        assert_eq!(text("etc/locale.conf"), "LANG=fr_BE.UTF-8\n");
        assert_eq!(text("etc/livery/keyboard.env"), "XKB_DEFAULT_LAYOUT=be\nXKB_DEFAULT_VARIANT=oss\n");
        assert_eq!(text("etc/livery/identity.env"), "LIVERY_ORDER=ORD-1\nLIVERY_USER=\"zoe\"\n");
        assert_eq!(text("etc/localtime"), "../usr/share/zoneinfo/Europe/Brussels");
        assert!(text("etc/livery/identity.json").contains("\"order\": \"ORD-1\""));
    }
}
