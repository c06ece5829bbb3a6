//! What each field of a row may hold.

use std::net::IpAddr;

use super::row::{Employee, RawRow};
use crate::{inventory::usable_serial, name::OrderId};

impl TryFrom<RawRow> for Employee {
    type Error = String;

    fn try_from(raw: RawRow) -> Result<Self, String> {
        check(raw).map_err(|problems| {
            problems.into_iter().map(|(column, message)| format!("{column}: {message}")).collect::<Vec<_>>().join("; ")
        })
    }
}

/// Checks every field, so that a person hears of all of a row's faults at once.
pub(super) fn check(raw: RawRow) -> Result<Employee, Vec<(&'static str, String)>> {
    let raw = raw.trimmed();
    let mut problems = Vec::new();
    let order = raw.order.parse::<OrderId>().map_err(|fault| problems.push(("order", fault.to_string()))).ok();
    let serial = raw.serial.filter(|serial| !serial.is_empty());
    if let Some(serial) = &serial
        && usable_serial(serial) != Some(serial.as_str())
    {
        problems
            .push(("serial", format!("{serial:?} does not identify a machine; leave it empty until the serial number is known")));
    }
    let text = |value: &str| !value.is_empty() && value.len() <= 128 && !value.chars().any(char::is_control);
    if !text(&raw.user) || raw.user.contains(char::is_whitespace) {
        problems.push(("user", format!("{:?} is not a sign-in name (1 to 128 bytes, no spaces)", raw.user)));
    }
    if !text(&raw.name) {
        problems.push((
            "name",
            match raw.name.is_empty() {
                true => "is empty: write the person's name".into(),
                false => "a person's name has at most 128 bytes and no control characters".into(),
            },
        ));
    }
    if !is_hostname(&raw.hostname) {
        problems.push((
            "hostname",
            format!("{:?} is not a host name (RFC 1123: 1 to 63 of a-z 0-9 -, not at either end)", raw.hostname),
        ));
    }
    if !is_locale(&raw.locale) {
        problems.push(("locale", format!("{:?} is not a locale such as fr_FR.UTF-8", raw.locale)));
    }
    if !is_keyboard(&raw.keyboard) {
        problems.push(("keyboard", format!("{:?} is not an XKB layout such as fr, be or fr(oss)", raw.keyboard)));
    }
    let tunnel_address = raw.tunnel_address.filter(|address| !address.is_empty());
    if let Some(address) = &tunnel_address
        && !is_tunnel_address(address)
    {
        problems.push((
            "tunnel-address",
            format!("{address:?} is not an address such as 10.200.0.17/32 (at most one IPv4 and one IPv6 address)"),
        ));
    }
    let first_password = raw.first_password.filter(|hash| !hash.is_empty());
    if first_password.as_deref().is_some_and(|hash| !is_password_hash(hash)) {
        // What stands there may be the code itself: it is not repeated.
        problems.push((
            "first-password",
            "it is not a yescrypt or SHA-512 hash as in crypt(5) (yescrypt j9T to jFT, SHA-512 with at most 9999999 rounds); \
             never write the code itself: leave the field empty, and `livery codes` draws a code and fills in its hash"
                .into(),
        ));
    }
    let timezone = raw.timezone.filter(|zone| !zone.is_empty());
    if let Some(zone) = &timezone
        && !is_timezone(zone)
    {
        problems.push(("timezone", format!("{zone:?} is not a time zone such as Europe/Paris")));
    }
    match order {
        Some(order) if problems.is_empty() => Ok(Employee {
            order,
            serial,
            user: raw.user,
            name: raw.name,
            hostname: raw.hostname,
            locale: raw.locale,
            keyboard: raw.keyboard,
            timezone,
            tunnel_address,
            first_password,
        }),
        _ => Err(problems),
    }
}

/// RFC 1123 label, in lower case as host names are compared.
pub fn is_hostname(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// `ll_CC.UTF-8`, the only kind that Debian still recommends.
pub fn is_locale(text: &str) -> bool {
    let Some((language, country)) = text.strip_suffix(".UTF-8").and_then(|stem| stem.split_once('_')) else { return false };
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// An XKB layout with an optional variant: `fr`, `fr(oss)`.
pub fn is_keyboard(text: &str) -> bool {
    let (layout, variant) = match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some((layout, variant)) => (layout, variant),
        None => (text, "x"),
    };
    (2..=8).contains(&layout.len())
        && layout.bytes().all(|byte| byte.is_ascii_lowercase())
        && (1..=32).contains(&variant.len())
        && variant.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// One address or two, of different kinds: each in the form in which it is written most shortly, with a prefix's length or without.
fn is_tunnel_address(text: &str) -> bool {
    let kinds: Option<Vec<bool>> = text
        .split(' ')
        .map(|one| {
            let (address, length) = one.split_once('/').map_or((one, None), |(address, length)| (address, Some(length)));
            let parsed: IpAddr = address.parse().ok()?;
            let most: u8 = if parsed.is_ipv6() { 128 } else { 32 };
            let fits =
                length.is_none_or(|text| text.parse::<u8>().is_ok_and(|length| length <= most && length.to_string() == text));
            (fits && parsed.to_string() == address && !parsed.is_unspecified()).then_some(parsed.is_ipv6())
        })
        .collect();
    kinds.is_some_and(|kinds| matches!(kinds.as_slice(), [_] | [false, true] | [true, false]))
}

/// A password's hash as crypt(5) has it, of a scheme that is strong, and whose cost a laptop can bear at each sign-in: yescrypt (`$y$`,
/// 16 to 1024 MiB) or SHA-512 (`$6$`, at most 9,999,999 rounds).
fn is_password_hash(text: &str) -> bool {
    let itoa64 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    let mut parts = text.split('$');
    if parts.next() != Some("") {
        return false;
    }
    match (parts.next(), parts.collect::<Vec<_>>().as_slice()) {
        // The parameters of libxcrypt's costs 5 to 11: 2^12 to 2^18 blocks of 4 KiB. Its salts have 22 characters, 86 at most.
        (Some("y"), [cost, salt, hash]) => {
            matches!(*cost, "j9T" | "jAT" | "jBT" | "jCT" | "jDT" | "jET" | "jFT")
                && (8..=86).contains(&salt.len())
                && itoa64(salt)
                && hash.len() == 43
                && itoa64(hash)
        }
        (Some("6"), [rounds @ .., salt, hash]) => {
            let fits = match rounds {
                [] => true,
                // 5,000 is what crypt(5) takes where none is said.
                [rounds] => rounds.strip_prefix("rounds=").is_some_and(|rounds| {
                    !rounds.starts_with('0') && rounds.parse().is_ok_and(|n| (5_000..=9_999_999).contains(&n))
                }),
                _ => false,
            };
            fits && (8..=16).contains(&salt.len()) && itoa64(salt) && hash.len() == 86 && itoa64(hash)
        }
        _ => false,
    }
}

/// A name of the tz database by its form (`Area/City`, `UTC`); whether it is there, the image knows.
pub fn is_timezone(text: &str) -> bool {
    text.len() <= 64
        && text.split('/').all(|part| {
            part.bytes().next().is_some_and(|first| first.is_ascii_uppercase())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
        })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Format, parse},
        *,
    };

    #[test]
    fn a_first_password_is_a_strong_hash_and_never_a_code() {
        let (salt, hash) = ("LdJMENpBABJJ3hIHjB1Bi.", "HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6");
        let sha512 = "q".repeat(86);
        for good in [
            format!("$y$j9T${salt}${hash}"),
            format!("$y$jFT$12345678${hash}"),
            format!("$6$saltsalt${sha512}"),
            format!("$6$rounds=500000$saltsalt${sha512}"),
        ] {
            assert!(is_password_hash(&good), "{good}");
        }
        for bad in [
            "abcd-efgh-jkmn-pqrs".to_owned(),
            String::new(),
            "$".into(),
            "$y$".into(),
            format!("$1$saltsalt${}", "q".repeat(22)),
            format!("$5$saltsalt${}", "q".repeat(43)),
            format!("y$j9T${salt}${hash}"),
            // Too cheap, too dear, and something after it.
            format!("$y$j75${salt}${hash}"),
            format!("$y$jGT${salt}${hash}"),
            format!("$y$j9T${salt}${hash}$"),
            format!("$y$j9T${salt}${hash}x"),
            format!("$y$j9T$salt:sal${hash}"),
            format!("$6$rounds=1000$saltsalt${sha512}"),
            format!("$6$rounds=99999999$saltsalt${sha512}"),
            format!("$6$rounds=05000$saltsalt${sha512}"),
            format!("$6$rounds=5000$rounds=5000$saltsalt${sha512}"),
            format!("$6$salt${sha512}"),
        ] {
            assert!(!is_password_hash(&bad), "{bad}");
        }
        let row = |hash: &str| {
            format!("{},first-password\nORD-1,m,M,wt-1,fr_FR.UTF-8,fr,{hash}\n", "order,user,name,hostname,locale,keyboard")
        };
        let good = format!("$y$j9T${salt}${hash}");
        assert_eq!(parse(&row(&good), Format::Csv).unwrap()[0].first_password.as_deref(), Some(good.as_str()));
        assert_eq!(parse(&row(""), Format::Csv).unwrap()[0].first_password, None);
        let errors = parse(&row("s3cret-code"), Format::Csv).unwrap_err();
        assert_eq!((errors[0].row, errors[0].column.as_str()), (1, "first-password"));
        assert!(!errors[0].message.contains("s3cret"), "a code is not repeated: {}", errors[0].message);
    }
}
