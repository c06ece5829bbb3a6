//! One value: TOML to what it means, or why not.

use std::sync::{Arc, LazyLock};

use livery_contract::{Name, Version, envelope::PublicKey, roster};
use toml::de::DeValue;

use super::value::{Context, Value};
use crate::{
    report::{
        problem::Problem,
        text::{nearest, quoted},
    },
    settings::{
        form::{Form, Word},
        table,
    },
    words::{
        certificate,
        client::ClientSetting,
        debian::{is_path_pattern, package},
        exception::Exception,
        host::Host,
        job_key,
        kernel::{is_console, kernel_argument},
        network, service,
        size::size,
        time::time,
        urls,
    },
};

/// Decodes a value that is no list.
pub(crate) fn single(form: Form, value: &DeValue<'_>, context: Context<'_>) -> Result<Value, Problem> {
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
pub(crate) fn wrong_type(wanted: &str, value: &DeValue<'_>) -> Problem {
    let found = match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
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
                return Err(Problem::new(format!("one line of text with at most {most} characters is expected")));
            }
            Ok(Value::Text(text.to_owned()))
        }
        Word::Name => form(text.parse::<Name>().is_ok()),
        Word::Version => form(text.parse::<Version>().is_ok()),
        Word::Choice(known) => choice(text, known),
        Word::Https => urls::https(text).map(Value::Url),
        Word::Origin => urls::origin(text).map(Value::Url),
        Word::Mirror => urls::mirror(text).map(Value::Url),
        Word::Host => Host::parse(text).map(Value::Host),
        Word::Server => urls::server(text).map(|()| Value::Text(text.to_owned())),
        Word::Size { least, most, multiple } => size(text, least, most, multiple).map(Value::Size),
        Word::Locale => form(roster::is_locale(text)),
        Word::Keyboard => form(roster::is_keyboard(text)),
        Word::Timezone => timezone(text),
        Word::Package => package(text).map(|()| Value::Text(text.to_owned())),
        Word::PathPattern => form(is_path_pattern(text)),
        Word::KernelArgument => kernel_argument(text).map(|()| Value::Text(text.to_owned())),
        Word::Console => form(is_console(text)),
        Word::Authorities => certificate::read(&context.source.sibling(text), context.now).map(Value::Authorities),
        Word::JobKey => match text.parse::<PublicKey>() {
            Ok(key) => Ok(Value::Key(key)),
            Err(_) => job_key::read(&context.source.sibling(text)).map(Value::Key),
        },
        Word::Profile => Ok(Value::Text(text.to_owned())),
        Word::Key => key(text),
        Word::Exception => exception(text),
        Word::ClientSetting => ClientSetting::parse(text).map(|_| Value::Text(text.to_owned())),
        Word::Partition => form(!text.trim().is_empty() && text.chars().count() <= 36 && !text.chars().any(char::is_control)),
        Word::FilePath => file_path(text),
        Word::Domain => network::domain(text).map(|()| Value::Text(text.to_owned())),
        Word::Prefix => network::prefix(text).map(Value::Prefix),
        Word::Address => form(text.parse::<std::net::IpAddr>().is_ok()),
        Word::HostPort => network::host_port(text).map(|()| Value::Text(text.to_owned())),
        Word::WireGuardKey => network::wireguard_key(text).map(|()| Value::Text(text.to_owned())),
        Word::EndpointList => service::endpoint_list(&context.source.sibling(text)).map(|list| Value::EndpointList(Arc::new(list))),
        Word::Service => service::service(text).map(|()| Value::Text(text.to_owned())),
        // Its items are tables, and read as such before this is asked.
        Word::Supplied => Err(Problem::new(format!("text, where {} is expected", kind.wanted())).what("wrong type")),
    }
}

fn choice(text: &str, known: &[&str]) -> Result<Value, Problem> {
    if known.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let problem = Problem::new(format!("{} is unknown", quoted(text)));
    let all = known.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    Err(match nearest(text, known.iter().copied()) {
        Some(near) if known.len() > 1 => problem.help(format!("did you mean {near:?}? The choices are {all}")),
        _ if known.len() == 1 => problem.help(format!("this release knows only {all}")),
        _ => problem.help(format!("choose one of {all}")),
    })
}

/// What the scan lets pass.
fn exception(text: &str) -> Result<Value, Problem> {
    match Exception::parse(text) {
        Some(_) => Ok(Value::Text(text.to_owned())),
        None => Err(Problem::new(format!("{} does not give a path and a reason", quoted(text)))
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
    if table::PER_FILE.contains(&text) {
        return Err(
            Problem::new(format!("{} is not inherited and can't be locked", quoted(text))).help("remove it: no file inherits it")
        );
    }
    let problem = Problem::new(format!("{} is neither a setting nor a section", quoted(text)));
    Err(match nearest(text, table::lockable()) {
        Some(near) => problem.help(format!("did you mean {near:?}?")),
        None => problem.help(format!("write {}", Word::Key.wanted())),
    })
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
    let problem = Problem::new(format!("{} is not a time zone of the tz database", quoted(text)));
    Err(match nearest(text, KNOWN.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean {near:?}?")),
        None => problem.help("such as \"Europe/Paris\""),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_in_partitions_and_time_zones() {
        assert!(
            matches!(file_path(r"\ProgramData\Our Firm\livery.json"), Ok(Value::Text(path)) if path == "/ProgramData/Our Firm/livery.json")
        );
        for bad in ["", "/", "livery.json", "/a/../b", "/a//b", "/a/", "/-a", "/a\"b", "/a:b", "/a. ", "/é"] {
            assert!(file_path(bad).is_err(), "{bad}");
        }
        assert!(timezone("Europe/Paris").is_ok() && timezone("UTC").is_ok() && timezone("paris").is_err());
    }
}
