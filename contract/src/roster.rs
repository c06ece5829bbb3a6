//! The roster: one employee a row. IT writes it (CSV, or TOML with `[[employee]]` tables); `livery personalise` makes one
//! personal image a row, `livery-station import` one order a row.
//!
//! All bad rows are named at once, by row and column.

use std::{
    collections::HashMap,
    io::{self, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{fault::Fault, inventory::usable_serial, name::OrderId};

/// The most rows that a roster may have.
pub const MAX_ROWS: usize = 100_000;
/// The most bytes that a roster may have.
pub const MAX_BYTES: usize = 32 << 20;

/// One employee, one order, one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRow")]
pub struct Employee {
    /// The order's number; unique in a roster.
    pub order: OrderId,
    /// The device's system serial number, where the line knows it already.
    pub serial: Option<String>,
    /// Sign-in name, shown as a hint on the sign-in page.
    pub user: String,
    /// The person's name, for the line's page.
    pub name: String,
    /// Host name (RFC 1123 label, lower case); unique in a roster.
    pub hostname: String,
    /// Locale, such as `fr_FR.UTF-8`.
    pub locale: String,
    /// Keyboard: XKB layout, with a variant where needed: `fr`, `be`, `fr(oss)`.
    pub keyboard: String,
    /// Time zone, such as `Europe/Paris`; the profile's where absent.
    pub timezone: Option<String>,
    /// The laptop's own address in the tunnel, of each kind at most one, with a space between: `10.200.0.17/32`; unique in a roster.
    #[serde(rename = "tunnel-address")]
    pub tunnel_address: Option<String>,
    /// crypt(5) hash of the one-time code that the employee signs in with at a new laptop, of a strong scheme.
    #[serde(rename = "first-password")]
    pub first_password: Option<String>,
}

/// The columns that a roster may have, in the order of the sample; the first six after `serial` are required.
pub const COLUMNS: [&str; 10] =
    ["order", "serial", "user", "name", "hostname", "locale", "keyboard", "timezone", "tunnel-address", "first-password"];
const REQUIRED: [&str; 6] = ["order", "user", "name", "hostname", "locale", "keyboard"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    order: String,
    #[serde(default)]
    serial: Option<String>,
    user: String,
    name: String,
    hostname: String,
    locale: String,
    keyboard: String,
    #[serde(default)]
    timezone: Option<String>,
    #[serde(default, rename = "tunnel-address")]
    tunnel_address: Option<String>,
    #[serde(default, rename = "first-password")]
    first_password: Option<String>,
}

impl RawRow {
    /// Spaces around a field are a slip of the hand; a roster says the same person in TOML as in CSV.
    fn trimmed(self) -> Self {
        let trim = |field: String| field.trim().to_owned();
        Self {
            order: trim(self.order),
            serial: self.serial.map(trim),
            user: trim(self.user),
            name: trim(self.name),
            hostname: trim(self.hostname),
            locale: trim(self.locale),
            keyboard: trim(self.keyboard),
            timezone: self.timezone.map(trim),
            tunnel_address: self.tunnel_address.map(trim),
            first_password: self.first_password.map(trim),
        }
    }
}

impl TryFrom<RawRow> for Employee {
    type Error = String;

    fn try_from(raw: RawRow) -> Result<Self, String> {
        check(raw).map_err(|problems| {
            problems.into_iter().map(|(column, message)| format!("{column}: {message}")).collect::<Vec<_>>().join("; ")
        })
    }
}

/// What is wrong with one field. Row 1 is the first employee; row 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// Row, from 1.
    pub row: usize,
    /// Line in the file, from 1, where known.
    pub line: Option<u64>,
    /// Column's name, empty for the row as a whole.
    pub column: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl std::fmt::Display for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.row > 0 {
            write!(f, "row {}", self.row)?;
        }
        if let Some(line) = self.line {
            write!(f, "{}line {line}", if self.row > 0 { ", " } else { "" })?;
        }
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The errors as one fault for a person; at most the first 50 are spelt out.
pub fn fault(errors: &[RowError], path: &str) -> Fault {
    let mut what = format!("the roster has {} error{}", errors.len(), if errors.len() == 1 { "" } else { "s" });
    for error in errors.iter().take(50) {
        what.push_str(&format!("\n  {error}"));
    }
    if errors.len() > 50 {
        what.push_str(&format!("\n  and {} more", errors.len() - 50));
    }
    Fault::refused(what).at(path).fix("correct these rows and run the same command again; nothing was written")
}

/// How a roster is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma- or semicolon-separated, with a header line.
    Csv,
    /// `[[employee]]` tables.
    Toml,
}

impl Format {
    /// By the file name's ending; CSV unless it is `.toml`.
    pub fn of_path(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            _ => Self::Csv,
        }
    }
}

/// Reads, parses and checks a whole roster from its opened file: its text, and the employees in it. `path` says the format, and is
/// named by faults.
///
/// # Errors
/// Exit 3 where it can't be read, is over [`MAX_BYTES`], is not UTF-8 or has bad rows, all of them named at once.
pub fn read(path: &Path, file: io::Result<impl Read>) -> Result<(String, Vec<Employee>), Fault> {
    let failed =
        |error| Fault::refused("the roster can't be read").at(path.display()).cause(error).fix("name a readable CSV or TOML file");
    let mut bytes = Vec::new();
    file.and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(Fault::refused(format!("the roster is over the limit of {MAX_BYTES} bytes"))
            .at(path.display())
            .fix("split it into several files"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Fault::refused(format!("the roster is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
            .at(path.display())
            .fix("save it as UTF-8; spreadsheets call that \"CSV UTF-8\"")
    })?;
    let employees = parse(&text, Format::of_path(path)).map_err(|errors| fault(&errors, &path.display().to_string()))?;
    Ok((text, employees))
}

/// Parses and checks a whole roster.
///
/// # Errors
/// Every bad field of every row.
pub fn parse(text: &str, format: Format) -> Result<Vec<Employee>, Vec<RowError>> {
    if text.len() > MAX_BYTES {
        return Err(vec![whole(None, format!("the file has {} bytes, the limit is {MAX_BYTES}", text.len()))]);
    }
    let (rows, mut errors) = match format {
        Format::Csv => parse_csv(text),
        Format::Toml => parse_toml(text),
    };
    if rows.len() + errors.len() == 0 {
        errors.push(whole(None, "the roster has no rows".into()));
    }
    for (column, key) in [
        ("order", (|employee: &Employee| Some(employee.order.to_string())) as fn(&Employee) -> Option<String>),
        ("hostname", |employee| Some(employee.hostname.clone())),
        ("serial", |employee| employee.serial.clone()),
        ("tunnel-address", |employee| employee.tunnel_address.clone()),
    ] {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (row, line, employee) in &rows {
            let Some(value) = key(employee) else { continue };
            if let Some(first) = seen.insert(value.clone(), *row) {
                errors.push(RowError {
                    row: *row,
                    line: *line,
                    column: column.into(),
                    message: format!("{value:?} is already used in row {first}; each device needs a different one"),
                });
            }
        }
    }
    if errors.is_empty() {
        Ok(rows.into_iter().map(|(_, _, employee)| employee).collect())
    } else {
        errors.sort_by_key(|error| error.row);
        Err(errors)
    }
}

type Rows = Vec<(usize, Option<u64>, Employee)>;

fn whole(line: Option<u64>, message: String) -> RowError {
    RowError { row: 0, line, column: String::new(), message }
}

fn parse_csv(text: &str) -> (Rows, Vec<RowError>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text); // Excel's byte order mark
    let header = text.lines().next().unwrap_or_default();
    // Spreadsheets write semicolons where the comma is the decimal sign, as in France.
    let delimiter = if header.contains(';') && !header.contains(',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let (mut rows, mut errors) = (Rows::new(), Vec::new());
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(str::to_ascii_lowercase).collect(),
        Err(error) => return (rows, vec![whole(Some(1), format!("the header does not parse: {error}"))]),
    };
    for column in REQUIRED {
        if !header.iter().any(|name| name == column) {
            errors.push(whole(Some(1), format!("the header has no column {column:?}; it needs {}", REQUIRED.join(", "))));
        }
    }
    for (index, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name.as_str()) {
            errors.push(whole(Some(1), format!("the column {name:?} is unknown; a roster may have {}", COLUMNS.join(", "))));
        } else if header[..index].contains(name) {
            errors.push(whole(Some(1), format!("the column {name:?} appears twice")));
        }
    }
    if !errors.is_empty() {
        return (rows, errors);
    }
    for (index, record) in reader.records().enumerate() {
        let row = index + 1;
        if row > MAX_ROWS {
            errors.push(whole(None, format!("more than {MAX_ROWS} rows")));
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                errors.push(RowError {
                    row,
                    line: error.position().map(csv::Position::line),
                    column: String::new(),
                    message: error.to_string(),
                });
                continue;
            }
        };
        let line = record.position().map(csv::Position::line);
        if record.len() != header.len() {
            errors.push(RowError {
                row,
                line,
                column: String::new(),
                message: format!("it has {} fields, but the header has {}", record.len(), header.len()),
            });
            continue;
        }
        let field = |column: &str| header.iter().position(|name| name == column).and_then(|at| record.get(at)).map(str::to_owned);
        let needed = |column: &str| field(column).unwrap_or_default();
        let raw = RawRow {
            order: needed("order"),
            serial: field("serial"),
            user: needed("user"),
            name: needed("name"),
            hostname: needed("hostname"),
            locale: needed("locale"),
            keyboard: needed("keyboard"),
            timezone: field("timezone"),
            tunnel_address: field("tunnel-address"),
            first_password: field("first-password"),
        };
        keep(row, line, raw, &mut rows, &mut errors);
    }
    (rows, errors)
}

fn parse_toml(text: &str) -> (Rows, Vec<RowError>) {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        employee: Vec<toml::Table>,
    }
    let (mut rows, mut errors) = (Rows::new(), Vec::new());
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() as u64 + 1);
            return (rows, vec![whole(line, error.message().to_owned())]);
        }
    };
    for (index, table) in file.employee.into_iter().enumerate() {
        let row = index + 1;
        if row > MAX_ROWS {
            errors.push(whole(None, format!("more than {MAX_ROWS} rows")));
            break;
        }
        match RawRow::deserialize(table) {
            Ok(raw) => keep(row, None, raw, &mut rows, &mut errors),
            Err(error) => errors.push(RowError { row, line: None, column: String::new(), message: error.message().to_owned() }),
        }
    }
    (rows, errors)
}

fn keep(row: usize, line: Option<u64>, raw: RawRow, rows: &mut Rows, errors: &mut Vec<RowError>) {
    match check(raw) {
        Ok(employee) => rows.push((row, line, employee)),
        Err(problems) => {
            errors.extend(problems.into_iter().map(|(column, message)| RowError { row, line, column: column.into(), message }));
        }
    }
}

/// Checks every field, so that a person hears of all of a row's faults at once.
fn check(raw: RawRow) -> Result<Employee, Vec<(&'static str, String)>> {
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
        problems.push(("name", "a person's name has 1 to 128 bytes and no control characters".into()));
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
            let parsed: std::net::IpAddr = address.parse().ok()?;
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
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "order,serial,user,name,hostname,locale,keyboard\n";

    #[test]
    fn what_is_no_text_of_bounded_size_is_refused_and_the_file_named() {
        let path = Path::new("r.csv");
        let refused = |file: io::Result<&[u8]>| {
            let fault = read(path, file).unwrap_err();
            assert_eq!(fault.exit(), crate::Exit::Refused);
            fault.render()
        };
        let absent = refused(Err(io::ErrorKind::NotFound.into()));
        assert!(absent.contains("the roster can't be read") && absent.contains("r.csv"), "{absent}");
        let broken = refused(Ok(b"order\xff"));
        assert!(broken.contains("not UTF-8 at byte 5") && broken.contains("r.csv"), "{broken}");
        let large = refused(Ok(&vec![b' '; MAX_BYTES + 1]));
        assert!(large.contains("over the limit"), "{large}");
        let row = format!("{HEADER}ORD-1,WT-0001,marie.durand,Marie Durand,wt-0001,fr_FR.UTF-8,fr\n");
        let (text, employees) = read(path, Ok(row.as_bytes())).unwrap();
        assert_eq!((text, employees), (row.clone(), parse(&row, Format::Csv).unwrap()));
    }

    #[test]
    fn comma_semicolon_and_toml_read_the_same() {
        let comma = format!("{HEADER}ORD-1,WT-0001,marie.durand,Marie Durand,wt-0001,fr_FR.UTF-8,fr\n");
        let employees = parse(&comma, Format::Csv).unwrap();
        assert_eq!(employees[0].hostname, "wt-0001");
        assert_eq!(parse(&format!("\u{feff}{}", comma.replace(',', ";")), Format::Csv).unwrap(), employees);
        let toml = "[[employee]]\norder='ORD-1'\nserial='WT-0001'\nuser='marie.durand'\nname='Marie Durand'\n\
                    hostname='wt-0001'\nlocale='fr_FR.UTF-8'\nkeyboard='fr'\n";
        assert_eq!(parse(toml, Format::Toml).unwrap(), employees);
        assert_eq!(parse(&toml.replace("='", "=' ").replace("'\n", " '\n"), Format::Toml).unwrap(), employees);
    }

    #[test]
    fn every_bad_field_is_named_by_row_and_column() {
        let text = format!(
            "{HEADER}ORD-1,WT-1,m,M,wt-1,fr_FR.UTF-8,fr\nORD 2,Default string,m,M,WT_2,french,F!\nORD-1,WT-1,m,M,wt-1,fr_FR.UTF-8,fr\nshort\n"
        );
        let errors = parse(&text, Format::Csv).unwrap_err();
        let places: Vec<_> = errors.iter().map(|error| (error.row, error.column.as_str())).collect();
        for place in [
            (2, "order"),
            (2, "serial"),
            (2, "hostname"),
            (2, "locale"),
            (2, "keyboard"),
            (3, "order"),
            (3, "hostname"),
            (3, "serial"),
            (4, ""),
        ] {
            assert!(places.contains(&place), "{place:?} in {places:?}");
        }
        assert_eq!(errors.iter().find(|error| error.row == 2).unwrap().line, Some(3));
    }

    #[test]
    fn a_wrong_header_is_said() {
        let errors = parse("order,usr\n", Format::Csv).unwrap_err();
        assert!(errors.iter().any(|error| error.message.contains("\"usr\" is unknown")), "{errors:?}");
        assert!(parse("", Format::Csv).is_err());
        assert!(parse(HEADER, Format::Csv).unwrap_err()[0].message.contains("no rows"));
    }

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

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,200}") {
            let _ = parse(&text, Format::Csv);
            let _ = parse(&format!("{HEADER}{text}"), Format::Csv);
            let _ = parse(&text, Format::Toml);
        }
    }
}
