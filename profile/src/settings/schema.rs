//! `livery schema`: a JSON Schema (draft 2020-12) of one profile file, so that editors complete and check it.
//!
//! It is made from the [`table`] of settings, which is what the parser reads: a schema derived from Rust types
//! would be a second list beside it. It uses only words that mean the same from draft 6 on, as editors' validators are of
//! several ages.
//!
//! It knows one file alone: what is inherited, what settings demand of one another, and whether a file is there, only
//! `livery check` can say. So it never refuses what `livery check` accepts, and lets pass some of what that refuses.

use serde_json::{Map, Value, json};

use super::{
    choice::Kind,
    form::{Form, Word},
    setting::Setting,
    table, written,
};
use crate::words::{client, size::SIZE_UNITS, supplied};

/// The file that editors look for beside a profile.
pub(crate) const FILE: &str = "livery.schema.json";

/// The schema.
pub fn schema() -> Value {
    let mut properties = members("");
    for section in table::sections() {
        properties
            .insert(section.to_owned(), json!({"type": "object", "additionalProperties": false, "properties": members(section)}));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Livery profile",
        "description": "Describes a device. This schema checks one file; `livery check` also checks the files that it extends.",
        "type": "object",
        "required": ["schema"],
        "additionalProperties": false,
        "properties": properties,
    })
}

/// The schema as a file holds it.
pub(crate) fn text() -> String {
    format!("{:#}\n", schema())
}

/// The settings of a section; those at the top for `""`.
fn members(section: &str) -> Map<String, Value> {
    let settings = table::names(section).into_iter().filter_map(|name| {
        let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        Some((name.to_owned(), member(table::setting(&key)?)))
    });
    settings.collect()
}

fn member(setting: &Setting) -> Value {
    let mut value = form(setting);
    let users = setting.kinds.iter().copied().map(Kind::as_str).collect::<Vec<_>>().join(" and ");
    let users = if setting.kinds.len() == Kind::ALL.len() { String::new() } else { format!(" Used by {users} only.") };
    value.insert("description".into(), format!("{}{users}\n\nIt is {}.", setting.doc, setting.form.wanted()).into());
    if let Some(default) = setting.default {
        value.insert("default".into(), written::json(default));
    }
    value.into()
}

fn form(setting: &Setting) -> Map<String, Value> {
    let value = match setting.form {
        Form::Boolean => json!({"type": "boolean"}),
        Form::Integer { least, most } => json!({"type": "integer", "minimum": least, "maximum": most}),
        // Editors hand dates over as texts. A date, or a time with its offset: T or a space between, perhaps a zone's name.
        Form::Time => json!({
            "type": "string",
            "pattern": "^(\\+00)?[0-9]{4}-?[0-9]{2}-?[0-9]{2}([Tt ].*([Zz\\]]|[+-][0-9:.,]+))?$",
        }),
        Form::Text(word) => word_schema(word),
        Form::List(word) if table::PER_FILE.contains(&setting.key) => {
            json!({"type": "array", "items": word_schema(word), "uniqueItems": true})
        }
        // A list or an edit. Each keyword looks at one of the two types only, so that a complaint names the very item;
        // under `anyOf` it would only say that neither fits.
        Form::List(word) => json!({
            "type": ["array", "object"],
            "items": word_schema(word),
            "uniqueItems": true,
            "minProperties": 1,
            "additionalProperties": false,
            "properties": {
                "add": {"type": "array", "items": word_schema(word), "uniqueItems": true, "description": "Items to add at the end."},
                "remove": {"type": "array", "items": {"type": "string"}, "description": "Inherited items to remove."},
            },
        }),
    };
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// RFC 1123 labels in lower case.
const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

fn word_schema(word: Word) -> Value {
    let pattern = |pattern: String| json!({"type": "string", "pattern": pattern});
    let url = |scheme: &str, barred: &str| pattern(format!("^{scheme}:[^\\u0000-\\u0020\\u007f{barred}]+$"));
    const HTTP: &str = "[Hh][Tt][Tt][Pp]";
    let mut schema = match word {
        Word::Line { most } => json!({
            "type": "string",
            "maxLength": most,
            "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
        }),
        Word::Name | Word::Version => pattern("^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$".into()),
        Word::Choice(known) => json!({"enum": known}),
        Word::Https => url(&format!("{HTTP}[Ss]"), "#"),
        Word::Origin => url(&format!("{HTTP}[Ss]"), "#?"),
        Word::Mirror => url(&format!("{HTTP}[Ss]?"), "#"),
        Word::Host => {
            json!({"type": "string", "maxLength": 255, "pattern": format!("^({LABEL}|\\*\\.{LABEL}\\.{LABEL})(\\.{LABEL})*$")})
        }
        // A name, or an address of either kind.
        Word::Server => json!({"type": "string", "maxLength": 253, "pattern": format!("^({LABEL}(\\.{LABEL})*|[0-9A-Fa-f:.]+)$")}),
        Word::Size { .. } => {
            let units: Vec<&str> = SIZE_UNITS.iter().map(|(unit, _)| *unit).collect();
            pattern(format!("^[0-9]+ ?({})$", units.join("|")))
        }
        Word::Locale => pattern("^[a-z]{2,3}_[A-Z]{2}\\.UTF-8$".into()),
        Word::Keyboard => pattern("^[a-z]{2,8}(\\([A-Za-z0-9_-]{1,32}\\))?$".into()),
        Word::Timezone => {
            json!({"type": "string", "maxLength": 64, "pattern": "^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*)*$"})
        }
        Word::Package => pattern("^[a-z0-9][a-z0-9+.-]{1,127}$".into()),
        // Printable ASCII, without what would end a line of dpkg's or the kernel's.
        Word::PathPattern => pattern("^/[!$-&(-\\[\\]-~]{1,255}$".into()),
        Word::KernelArgument => pattern("^[!#-&(-~]{1,256}$".into()),
        Word::Console => pattern("^((ttyS|tty|hvc)[0-9]{1,2}|ttyS[0-9]{1,2},[0-9]{3,7}(n|e|o|n8|e8|o8|n7|e7|o7|n8r)?)$".into()),
        Word::Authorities | Word::JobKey | Word::Profile => json!({"type": "string", "minLength": 1}),
        Word::Key => json!({"enum": table::lockable().collect::<Vec<_>>()}),
        Word::Exception => pattern("^/[!-~]{1,255}: [^\\u0000-\\u001f\\u007f-\\u009f]{10,300}$".into()),
        Word::Supplied => supplied::schema(),
        Word::Partition => json!({"type": "string", "minLength": 1, "maxLength": 36}),
        Word::FilePath => pattern("^[/\\\\][A-Za-z0-9 ._+()@~/\\\\-]{1,239}$".into()),
        Word::ClientSetting => pattern(client::PATTERN.into()),
        Word::Domain => json!({"type": "string", "maxLength": 253, "pattern": format!("^{LABEL}(\\.{LABEL})+$")}),
        Word::Prefix => pattern("^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}$".into()),
        Word::Address => pattern("^[0-9A-Fa-f:.]{2,45}$".into()),
        Word::HostPort => pattern(format!("^({LABEL}(\\.{LABEL})*|\\[[0-9A-Fa-f:.]{{2,45}}\\]):[0-9]{{1,5}}$")),
        Word::WireGuardKey => pattern("^[A-Za-z0-9+/]{43}=$".into()),
        Word::EndpointList => json!({"type": "string", "minLength": 1}),
        Word::Service => pattern("^[a-z0-9-]{1,40}(:[a-z0-9-]{1,40})?$".into()),
    };
    if let (Some(members), false) = (schema.as_object_mut(), matches!(word, Word::Choice(_) | Word::Key)) {
        members.insert("examples".into(), json!([written::json(&word.example())]));
    }
    schema
}
