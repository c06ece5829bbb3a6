//! Values as a person would write them in a profile, and as JSON.

use toml::{Table, Value};

/// A value's TOML, perhaps over several lines, in one; as it is where it does not parse.
pub(crate) fn one_line(text: &str) -> String {
    parsed(text).map_or_else(|| text.to_owned(), |value| value.to_string())
}

/// A list as TOML, from its items as TOML.
pub(crate) fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

/// A value's TOML as JSON; a date becomes a text.
pub(crate) fn json(text: &str) -> serde_json::Value {
    parsed(text).map_or_else(|| text.into(), to_json)
}

/// As editors hand TOML to a JSON Schema: a date becomes a text.
pub(crate) fn to_json(value: Value) -> serde_json::Value {
    match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Boolean(flag) => flag.into(),
        Value::Datetime(at) => at.to_string().into(),
        Value::Array(items) => items.into_iter().map(to_json).collect::<Vec<_>>().into(),
        Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, to_json(value))).collect::<serde_json::Map<_, _>>().into()
        }
    }
}

fn parsed(text: &str) -> Option<Value> {
    format!("value = {text}").parse::<Table>().ok()?.remove("value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_one_line() {
        assert_eq!(one_line("'it\"s'"), r#"'it"s'"#);
        assert_eq!(one_line("0x10"), "16");
        assert_eq!(one_line("2026-11-01"), "2026-11-01");
        assert_eq!(one_line("[\n  'a', # why\n  'b',\n]"), r#"["a", "b"]"#);
        assert_eq!(one_line("]"), "]");
        assert_eq!(list(["\"a\"".to_owned(), "\"b\"".to_owned()]), r#"["a", "b"]"#);
        assert_eq!(json("[2026-11-01, 1, true]"), serde_json::json!(["2026-11-01", 1, true]));
    }
}
