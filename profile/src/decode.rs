//! One value: TOML to what it means, or why not.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use ipnet::IpNet;
use jiff::{Timestamp, civil};
use livery_contract::{Name, Version, envelope::PublicKey, roster};
use toml::de::DeValue;
use url::Url;

use super::{
    certificate::{self, Authority},
    client::ClientSetting,
    diagnose::{Problem, nearest, quoted},
    exception::Exception,
    host::Host,
    network, routes,
    source::{Source, read_text},
    supplied::Supplied,
    table::{self, Form, Word},
};
use crate::endpoints::EndpointList;

/// A decoded value.
#[derive(Clone, Debug)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number in its range.
    Integer(i64),
    /// A moment.
    Time(Timestamp),
    /// Text that its [`Word`] has checked.
    Text(String),
    /// A URL.
    Url(Url),
    /// A host.
    Host(Host),
    /// Bytes.
    Size(u64),
    /// The certificates of one file.
    Authorities(Vec<Authority>),
    /// A public key.
    Key(PublicKey),
    /// A .deb that IT supplies.
    Supplied(Supplied),
    /// A network's prefix.
    Prefix(IpNet),
    /// A service's endpoint list.
    EndpointList(Arc<EndpointList>),
}

/// Where a value is read, which decides what a path in it means and what has expired.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The file that says it.
    pub source: &'a Source,
    /// The time.
    pub now: Timestamp,
}

/// Decodes a value that is no list.
pub fn single(form: Form, value: &DeValue<'_>, context: Context<'_>) -> Result<Value, Problem> {
    match (form, value) {
        (Form::Boolean, DeValue::Boolean(value)) => Ok(Value::Boolean(*value)),
        (Form::Integer { least, most }, DeValue::Integer(value)) => i64::from_str_radix(value.as_str(), value.radix())
            .ok()
            .filter(|value| (least..=most).contains(value))
            .map(Value::Integer)
            .ok_or_else(|| {
                let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
                Problem::new(format!("{value} is not within {range}"))
                    .what("value out of range")
                    .help(format!("write {}", form.wanted()))
            }),
        (Form::Time, DeValue::Datetime(value)) => time(&value.to_string(), context.now).map(Value::Time),
        (Form::Time, DeValue::String(value)) => time(value, context.now).map(Value::Time),
        (Form::Text(kind) | Form::List(kind), DeValue::String(value)) => word(kind, value, context),
        _ => Err(wrong_type(&form.wanted(), value)),
    }
}

/// What a value of the wrong type is answered with.
pub fn wrong_type(wanted: &str, value: &DeValue<'_>) -> Problem {
    let found = match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Problem::new(format!("{found}, where {wanted} is expected")).what("wrong type")
}

fn word(kind: Word, text: &str, context: Context<'_>) -> Result<Value, Problem> {
    let form = |fits: bool| {
        if fits {
            Ok(Value::Text(text.to_owned()))
        } else {
            Err(Problem::new(format!("{} is not {}", quoted(text), kind.wanted())))
        }
    };
    match kind {
        Word::Line { most } => {
            if text.chars().count() > most || text.chars().any(char::is_control) {
                return Err(Problem::new(format!("text of one line, at most {most} characters, is expected")));
            }
            Ok(Value::Text(text.to_owned()))
        }
        Word::Name => form(text.parse::<Name>().is_ok()),
        Word::Version => form(text.parse::<Version>().is_ok()),
        Word::Choice(known) => choice(text, known),
        Word::Https => network::https(text).map(Value::Url),
        Word::Origin => network::origin(text).map(Value::Url),
        Word::Mirror => network::mirror(text).map(Value::Url),
        Word::Host => Host::parse(text).map(Value::Host),
        Word::Server => network::server(text).map(|()| Value::Text(text.to_owned())),
        Word::Size { least, most, multiple } => size(text, least, most, multiple).map(Value::Size),
        Word::Locale => form(roster::is_locale(text)),
        Word::Keyboard => form(roster::is_keyboard(text)),
        Word::Timezone => timezone(text),
        Word::Package => package(text),
        Word::PathPattern => form(is_path_pattern(text)),
        Word::KernelArgument => kernel_argument(text),
        Word::Console => form(is_console(text)),
        Word::Authorities => certificate::read(&context.source.beside(text), context.now).map(Value::Authorities),
        Word::JobKey => match text.parse::<PublicKey>() {
            Ok(key) => Ok(Value::Key(key)),
            Err(_) => job_key_file(&context.source.beside(text)).map(Value::Key),
        },
        Word::Profile => Ok(Value::Text(text.to_owned())),
        Word::Key => key(text),
        Word::Exception => exception(text),
        Word::ClientSetting => ClientSetting::parse(text).map(|_| Value::Text(text.to_owned())),
        Word::Partition => form(!text.trim().is_empty() && text.chars().count() <= 36 && !text.chars().any(char::is_control)),
        Word::FilePath => file_path(text),
        Word::Domain => routes::domain(text).map(|()| Value::Text(text.to_owned())),
        Word::Prefix => routes::prefix(text).map(Value::Prefix),
        Word::Address => form(text.parse::<std::net::IpAddr>().is_ok()),
        Word::HostPort => routes::host_port(text).map(|()| Value::Text(text.to_owned())),
        Word::WireGuardKey => routes::wireguard_key(text).map(|()| Value::Text(text.to_owned())),
        Word::EndpointList => routes::endpoint_list(&context.source.beside(text)).map(|list| Value::EndpointList(Arc::new(list))),
        Word::Service => routes::service(text).map(|()| Value::Text(text.to_owned())),
        // Its items are tables, and read as such before this is asked.
        Word::Supplied => Err(Problem::new(format!("text, where {} is expected", kind.wanted())).what("wrong type")),
    }
}

fn choice(text: &str, known: &[&str]) -> Result<Value, Problem> {
    if known.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let problem = Problem::new(format!("{} is not known here", quoted(text)));
    let all = known.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    Err(match nearest(text, known.iter().copied()) {
        Some(near) if known.len() > 1 => problem.help(format!("did you mean {near:?}? There are {all}")),
        _ if known.len() == 1 => problem.help(format!("this release knows only {all}")),
        _ => problem.help(format!("choose one of {all}")),
    })
}

/// What the scan lets pass.
fn exception(text: &str) -> Result<Value, Problem> {
    match Exception::parse(text) {
        Some(_) => Ok(Value::Text(text.to_owned())),
        None => Err(Problem::new(format!("{} does not say a path and a reason", quoted(text)))
            .help("write \"/PATH: REASON\", the reason in 10 to 300 characters: why this file may be in every image")),
    }
}

/// A path in a partition, with `/` between its parts: only what every file system and its tools take alike.
fn file_path(text: &str) -> Result<Value, Problem> {
    let path = text.replace('\\', "/");
    let part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" ._+()@~-".contains(&byte);
        (1..=100).contains(&part.len()) && part.bytes().all(allowed) && !part.starts_with(['-', ' ']) && !part.ends_with(['.', ' '])
    };
    match path.strip_prefix('/') {
        Some(parts) if path.len() <= 240 && parts.split('/').all(part) => Ok(Value::Text(path)),
        _ => Err(Problem::new(format!("{} is not {}", quoted(text), Word::FilePath.wanted()))
            .help("begin with / or \\; names have A-Z a-z 0-9 . _ + ( ) @ ~ - and spaces within")),
    }
}

/// What a file locks.
fn key(text: &str) -> Result<Value, Problem> {
    if table::lockable().any(|known| known == text) {
        return Ok(Value::Text(text.to_owned()));
    }
    if table::OWN.contains(&text) {
        return Err(Problem::new(format!("{} is each file's own", quoted(text))).help("take it out: no file hands it on"));
    }
    let problem = Problem::new(format!("{} is neither a setting nor a section", quoted(text)));
    Err(match nearest(text, table::lockable()) {
        Some(near) => problem.help(format!("did you mean {near:?}?")),
        None => problem.help(format!("write {}", Word::Key.wanted())),
    })
}

/// The units of sizes, in bytes.
pub const SIZE_UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A number and a unit: binary (`KiB`, `MiB`, `GiB`, `TiB`) or decimal as disks are sold (`kB`, `MB`, `GB`, `TB`).
fn size(text: &str, least: u64, most: u64, multiple: u64) -> Result<u64, Problem> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let bad = |cause: String| Problem::new(cause).help("write a whole number and a unit, such as \"8 GiB\" or \"512 MiB\"");
    if number.is_empty() {
        return Err(bad(format!("{} is not a size", quoted(text))));
    }
    let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => return Err(bad(format!("{} has no unit", quoted(text)))),
        None => return Err(bad(format!("{} has an unknown unit", quoted(text)))),
    };
    let out =
        || Problem::new(format!("{} is not within {} to {}", quoted(text), human(least), human(most))).what("value out of range");
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(out)?;
    if !(least..=most).contains(&bytes) {
        return Err(out());
    }
    if !bytes.is_multiple_of(multiple) {
        return Err(Problem::new(format!("{} is not a multiple of {}", quoted(text), human(multiple)))
            .help(format!("write \"{}\"", human(bytes.next_multiple_of(multiple)))));
    }
    Ok(bytes)
}

/// Bytes with the largest binary unit that divides them.
pub fn human(bytes: u64) -> String {
    let unit = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        .into_iter()
        .find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    match unit {
        Some((name, shift)) => format!("{} {name}", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

/// A date (midnight UTC) or a date and time with its offset (RFC 3339).
fn time(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let example = "write a date such as 2026-11-01, or 2026-11-01T06:00:00Z";
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            // A local time would mean another moment on another build host: jiff would read one as a date.
            let date = Some(text).filter(|text| text.len() == 10).and_then(|text| text.parse::<civil::Date>().ok());
            let date = date.ok_or_else(|| {
                Problem::new(format!("{} is neither a date nor a time with its offset (RFC 3339)", quoted(text))).help(example)
            })?;
            date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| Problem::new(error.to_string()).help(example))?.timestamp()
        }
    };
    // FAT, which the ESP is, counts its time stamps from 1980 (Microsoft FAT specification, section 6.2).
    if at.as_second() < 315_532_800 {
        return Err(Problem::new(format!("{at} lies before 1980, where FAT's time begins"))
            .what("value out of range")
            .help(example));
    }
    if at > now {
        return Err(Problem::new(format!("{at} lies in the future (it is {now:.0} here)"))
            .what("value out of range")
            .help("files would be newer than the device's clock; take a day that has passed, or set this machine's clock"));
    }
    if at.subsec_nanosecond() != 0 {
        return Err(Problem::new(format!("{at} has parts of a second, SOURCE_DATE_EPOCH has none")).help(example));
    }
    Ok(at)
}

fn timezone(text: &str) -> Result<Value, Problem> {
    let problem = || Problem::new(format!("{} is not {}", quoted(text), Word::Timezone.wanted()));
    if !roster::is_timezone(text) {
        return Err(problem());
    }
    // A build host without a time zone database can only look at the form; the image's own has the last word.
    static KNOWN: LazyLock<Vec<String>> = LazyLock::new(|| jiff::tz::db().available().map(|name| name.to_string()).collect());
    if KNOWN.is_empty() || KNOWN.iter().any(|name| name == text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let problem = Problem::new(format!("{} is no time zone of the tz database", quoted(text)));
    Err(match nearest(text, KNOWN.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean {near:?}?")),
        None => problem.help("such as \"Europe/Paris\""),
    })
}

/// Debian Policy section 5.6.1.
pub fn package(text: &str) -> Result<Value, Problem> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if first && text.len() >= 2 && text.len() <= 128 && text.bytes().all(allowed) {
        return Ok(Value::Text(text.to_owned()));
    }
    let problem = Problem::new(format!("{} is no package name", quoted(text)));
    Err(match text.split_once(['=', ':', '/']) {
        Some((name, _)) => {
            problem.help(format!("write {name:?} alone: the suite decides the version, debian.architecture the rest"))
        }
        None => problem.help("Debian's names have a-z 0-9 + - . and at least two characters"),
    })
}

fn is_path_pattern(text: &str) -> bool {
    text.len() > 1
        && text.len() <= 256
        && text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#'))
        && text.split('/').all(|part| part != "..")
}

/// `tty0`, `ttyS0,115200`, `ttyS0,115200n8`, `hvc0` (kernel's serial-console documentation).
fn is_console(text: &str) -> bool {
    let (device, options) = match text.split_once(',') {
        Some((device, options)) => (device, Some(options)),
        None => (text, None),
    };
    let numbered = |stem: &str| {
        device
            .strip_prefix(stem)
            .is_some_and(|number| number.len() <= 2 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let serial = |options: &str| {
        let speed = options.bytes().take_while(u8::is_ascii_digit).count();
        (3..=7).contains(&speed)
            && matches!(&options[speed..], "" | "n" | "e" | "o" | "n8" | "e8" | "o8" | "n7" | "e7" | "o7" | "n8r")
    };
    match options {
        None => numbered("ttyS") || numbered("tty") || numbered("hvc"),
        Some(options) => numbered("ttyS") && serial(options),
    }
}

fn kernel_argument(text: &str) -> Result<Value, Problem> {
    if text.is_empty() || text.len() > 256 || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\'') {
        return Err(Problem::new(format!("{} is not one kernel argument", quoted(text)))
            .help("write each argument as an item of its own, without spaces and quotes: [\"quiet\", \"loglevel=3\"]"));
    }
    let name = text.split('=').next().unwrap_or_default();
    if name == "console" {
        return Err(Problem::new(format!("{} belongs in another setting", quoted(text)))
            .help("write it in boot.consoles, without \"console=\""));
    }
    // Whoever sets these decides which system starts: the signed command line is the builder's.
    const OWNED: [&str; 12] = [
        "root",
        "rootfstype",
        "rootflags",
        "roothash",
        "usrhash",
        "init",
        "rdinit",
        "initrd",
        "ro",
        "rw",
        "systemd.volatile",
        "systemd.unit",
    ];
    if OWNED.contains(&name) || name.starts_with("systemd.verity") || name.starts_with("livery.") || name.starts_with("mount.usr") {
        return Err(Problem::new(format!("{} is the builder's to set", quoted(name)))
            .help("take it out: which root is mounted, and how, follows from the image"));
    }
    Ok(Value::Text(text.to_owned()))
}

/// A job-signing public key from a file, as `livery-station keygen` writes it: 64 hexadecimal digits.
pub fn job_key_file(path: &Path) -> Result<PublicKey, Problem> {
    let text = read_text(path).map_err(|why| {
        certificate::not_read(path, &why).help("write the key's 64 hexadecimal digits, or the path of job.pub beside this profile")
    })?;
    if text.contains("PRIVATE KEY") {
        return Err(
            Problem::new("the file holds a private key").help("name job.pub, the public half; job.key stays at the station")
        );
    }
    text.parse().map_err(|_| {
        Problem::new(format!("{} is no Ed25519 public key", path.display()))
            .help("it holds 64 hexadecimal digits: job.pub of `livery-station keygen`")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn sizes() {
        let size = |text: &str| size(text, 4096, 1 << 44, 4096);
        assert_eq!(size("8 GiB").unwrap(), 8 << 30);
        assert_eq!(size("8GiB").unwrap(), 8 << 30);
        assert_eq!(size("16 TiB").unwrap(), 1 << 44);
        for bad in [
            "",
            "8",
            "GiB",
            "8 gib",
            "1.5 GiB",
            "-1 GiB",
            "17 TiB",
            "1 KiB",
            "99999999999999999999 B",
            "5000 B",
            "8  GiB",
            "8 GiB ",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(size("5000 B").unwrap_err().help.unwrap(), "write \"8 KiB\"");
        assert_eq!((human(3 << 30), human(4097), human(0)), ("3 GiB".into(), "4097 B".into(), "0 B".into()));
    }

    #[test]
    fn times() {
        assert_eq!(time("2026-11-01", now()).unwrap(), time("2026-11-01T01:00:00+01:00", now()).unwrap());
        for bad in ["2026-11-01T00:00:00", "1979-12-31", "2026-12-01", "2026-11-01T00:00:00.5Z", "yesterday", "", "2026-13-01"] {
            assert!(time(bad, now()).is_err(), "{bad}");
        }
    }

    #[test]
    fn words() {
        assert!(["tty0", "ttyS0", "ttyS1,115200", "ttyS0,115200n8", "hvc0"].into_iter().all(is_console));
        assert!(!["", "tty", "ttyS0,", "tty0,115200", "console=tty0", "ttyS0,fast", "ttyS0 "].into_iter().any(is_console));
        assert!(["/usr/share/doc/*", "/usr/share/locale/locale.alias"].into_iter().all(is_path_pattern));
        assert!(!["/", "usr", "/usr/../etc", "/a b", "/é"].into_iter().any(is_path_pattern));
        assert!(["quiet", "loglevel=3", "i915.enable_psr=0"].into_iter().all(|text| kernel_argument(text).is_ok()));
        for bad in ["", "a b", "console=ttyS0", "root=/dev/sda", "init=/bin/sh", "systemd.verity=0", "a=\"b\""] {
            assert!(kernel_argument(bad).is_err(), "{bad}");
        }
        assert!(["firefox-esr", "libstdc++6", "7zip"].into_iter().all(|text| package(text).is_ok()));
        assert!(["", "x", "Firefox", "a=1", "-a", "a b"].into_iter().all(|text| package(text).is_err()));
        assert!(
            matches!(file_path(r"\ProgramData\Our Firm\livery.json"), Ok(Value::Text(path)) if path == "/ProgramData/Our Firm/livery.json")
        );
        for bad in ["", "/", "livery.json", "/a/../b", "/a//b", "/a/", "/-a", "/a\"b", "/a:b", "/a. ", "/é"] {
            assert!(file_path(bad).is_err(), "{bad}");
        }
        assert!(timezone("Europe/Paris").is_ok() && timezone("UTC").is_ok() && timezone("paris").is_err());
    }
}
