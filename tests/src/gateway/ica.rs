//! The file that StoreFront gives to Citrix's client: what to connect to, and a ticket that signs the person in there.
//!
//! INI with CRLF, as StoreFront writes it; the ticket stands in it whole and in the two halves that older clients read.

/// One launch.
pub struct Launch<'a> {
    /// The published desktop's name.
    pub desktop: &'a str,
    /// Where the Gateway is: `host:port`.
    pub gateway: &'a str,
    /// One-time ticket.
    pub ticket: &'a str,
    /// Language of the client's own windows, as in HTML's `lang`.
    pub language: &'a str,
}

/// The file's text.
pub fn file(launch: &Launch<'_>) -> String {
    // Neither a line nor a section can be slipped in by a name.
    let desktop: String =
        launch.desktop.chars().filter(|character| !character.is_control() && !"[]=;".contains(*character)).collect();
    let half = launch.ticket.len().min(14);
    let (password, domain) = launch.ticket.split_at(half);
    let sections = [
        ("Encoding".to_owned(), vec![("InputEncoding", "UTF8".to_owned())]),
        (
            "WFClient".to_owned(),
            vec![
                ("Version", "2".into()),
                ("ProxyType", "Auto".into()),
                ("RemoveICAFile", "yes".into()),
                ("VirtualCOMPortEmulation", "Off".into()),
            ],
        ),
        ("ApplicationServers".to_owned(), vec![(desktop.as_str(), String::new())]),
        (
            desktop.clone(),
            vec![
                ("Address", format!(";40;STA000000001;{}", launch.ticket)),
                ("AutologonAllowed", "ON".into()),
                ("BrowserProtocol", "HTTPonTCP".into()),
                ("CGPSecurityTicket", "On".into()),
                ("ClearPassword", password.into()),
                ("ClientAudio", "On".into()),
                ("DesiredColor", "8".into()),
                ("Domain", format!("\\{domain}")),
                ("InitialProgram", format!("#{desktop}")),
                ("Launcher", "WI".into()),
                ("LogonTicket", launch.ticket.into()),
                ("LogonTicketType", "CTXS1".into()),
                ("SSLEnable", "On".into()),
                ("SSLProxyHost", launch.gateway.into()),
                ("SecureChannelProtocol", "Detect".into()),
                ("TWIMode", "Off".into()),
                ("Title", desktop.clone()),
                ("TransportDriver", "TCP/IP".into()),
                ("UILocale", launch.language.into()),
                ("WinStationDriver", "ICA 3.0".into()),
            ],
        ),
    ];
    let mut text = String::new();
    for (section, entries) in sections {
        text += &format!("[{section}]\r\n");
        for (key, value) in entries {
            text += &format!("{key}={value}\r\n");
        }
        text += "\r\n";
    }
    text
}

/// What stands under a key, in whatever section; for those who play the client.
pub fn value<'a>(file: &'a str, key: &str) -> Option<&'a str> {
    file.lines().filter_map(|line| line.split_once('=')).find(|(known, _)| *known == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn launch(desktop: &str) -> String {
        file(&Launch { desktop, gateway: "gateway.example:443", ticket: "0123456789abcdef0123456789abcd", language: "fr" })
    }

    #[test]
    fn as_storefront_writes_it() {
        let text = launch("Bureau");
        let sections: Vec<_> = text.lines().filter(|line| line.starts_with('[')).collect();
        assert_eq!(sections, ["[Encoding]", "[WFClient]", "[ApplicationServers]", "[Bureau]"]);
        assert!(text.contains("[ApplicationServers]\r\nBureau=\r\n\r\n[Bureau]\r\n"), "{text}");
        assert_eq!(value(&text, "LogonTicket"), Some("0123456789abcdef0123456789abcd"));
        let halves = format!("{}{}", value(&text, "ClearPassword").unwrap(), &value(&text, "Domain").unwrap()[1..]);
        assert_eq!(halves, value(&text, "LogonTicket").unwrap());
        assert_eq!(value(&text, "SSLProxyHost"), Some("gateway.example:443"));
        assert_eq!(value(&text, "LogonTicketType"), Some("CTXS1"));
    }

    #[test]
    fn a_name_adds_no_line() {
        let (plain, nasty) = (launch("Bureau"), launch("Bu\r\n[reau]\nLogonTicket=;x"));
        assert_eq!(plain.lines().count(), nasty.lines().count());
        assert_eq!(value(&nasty, "LogonTicket"), value(&plain, "LogonTicket"));
    }
}
