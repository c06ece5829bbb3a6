//! The schema against a validator of JSON Schema, and against what `livery check` says.

use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use proptest::prelude::*;

use super::*;
use crate::{
    files::layer::Layer,
    report::source::Source,
    settings::{schema, table, written},
};

/// By the draft that the schema names, and by an old one that editors still read.
static VALIDATORS: LazyLock<[Validator; 2]> = LazyLock::new(|| {
    let schema = schema();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft7::meta::validate(&schema).unwrap();
    [jsonschema::draft202012::new(&schema).unwrap(), jsonschema::draft7::new(&schema).unwrap()]
});

/// What the schema says of a profile: nothing, or its complaints.
fn by_schema(text: &str) -> Vec<String> {
    let json = written::to_json(toml::Value::Table(text.parse().unwrap()));
    let [new, old] = VALIDATORS.each_ref().map(|validator| -> Vec<String> {
        validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect()
    });
    assert_eq!(new.is_empty(), old.is_empty(), "the drafts differ: {new:?} {old:?}\n{text}");
    new
}

/// Whether a file, alone, is right in its form: what a schema can know.
fn by_check(folder: &Folder, text: &str) -> bool {
    let mut sink = Sink::default();
    let layer = Layer::read(Arc::new(Source { path: folder.path("p.toml"), text: text.into() }), now(), &mut sink);
    sink.finish().is_none() && layer.entries.contains_key("schema")
}

#[test]
fn the_profiles_of_this_project_fit() {
    for name in ["base", "terminal", "laptop", "agent", "windows"] {
        let text = std::fs::read_to_string(profiles().join(format!("{name}.toml"))).unwrap();
        assert_eq!(by_schema(&text), Vec::<String>::new(), "{name}");
        assert!(text.starts_with(&format!("#:schema ./{}\n", schema::FILE)), "{name}");
    }
}

/// `LIVERY_REFRESH=1` on this test writes the file anew.
#[test]
fn the_file_beside_the_profiles_is_up_to_date() {
    let path = profiles().join(schema::FILE);
    if std::env::var_os("LIVERY_REFRESH").is_some() {
        std::fs::write(&path, schema::text()).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        file == schema::text(),
        "profiles/{} is out of date: LIVERY_REFRESH=1 cargo test -p livery-image-builder --lib the_file_beside",
        schema::FILE
    );
}

#[test]
fn what_check_refuses_for_its_form_does_not_fit() {
    let folder = Folder::new(&[]);
    let bad = [
        "",
        "schema = 2",
        "schema = \"1\"",
        "kidn = \"laptop\"",
        "kind = \"latop\"",
        "name = 5",
        "name = \"a b\"",
        "name = \"-a\"",
        "version = \"\"",
        "description = \"two\\nlines\"",
        "abstract = \"no\"",
        "extends = [\"base.toml\"]",
        "extends = \"\"",
        "locked = [\"citrx\"]",
        "locked = [\"schema\"]",
        "locked = { add = [\"trust\"] }",
        "citrix = true",
        "[[citrix]]\nmfa-hosts = []",
        "[citrx]",
        "[kiosk]\nurll = \"https://a.example/\"",
        "\"kiosk.url\" = \"https://a.example/\"",
        "[kiosk]\nurl = \"http://a.example/\"",
        "[kiosk]\nurl = \"a.example\"",
        "[kiosk]\nurl = \"https://a.example/#top\"",
        "[kiosk]\nallowed-hosts = \"a.example\"",
        "[kiosk]\nallowed-hosts = [\"a.example\", \"a.example\"]",
        "[kiosk]\nallowed-hosts = [\"A.example\"]",
        "[kiosk]\nallowed-hosts = [\"*.example\"]",
        "[kiosk]\nallowed-hosts = [\"a.example:443\"]",
        "[kiosk]\nallowed-hosts = [\"https://a.example/\"]",
        "[kiosk]\nallowed-hosts = {}",
        "[kiosk]\nallowed-hosts = { ad = [\"a.example\"] }",
        "[kiosk]\nallowed-hosts = { add = \"a.example\" }",
        "[kiosk]\nallowed-hosts = { add = [\"*\"] }",
        "[kiosk]\nallowed-hosts = { remove = [1] }",
        "[packages]\ninstall = [\"Firefox\"]",
        "[packages]\ninstall = [\"cage=1.0\"]",
        "[packages]\nrecommends = 0",
        "[packages]\nexclude-paths = [\"usr/share/doc\"]",
        "[packages]\nexclude-paths = [\"/a b\"]",
        "[image]\nepoch = 1.5",
        "[image]\nepoch = \"yesterday\"",
        "[image]\nepoch = 2026-11-01T06:00:00",
        "[image]\nminimum-disk = 8",
        "[image]\nminimum-disk = \"8\"",
        "[image]\nminimum-disk = \"8 gib\"",
        "[image]\nminimum-disk = \"1.5 GiB\"",
        "[image]\ncompression-level = 22",
        "[image]\ncompression-level = 0",
        "[image]\ncompression-level = \"3\"",
        "[image]\nsectors = \"4096\"",
        "[debian]\nsuite = \"bookworm\"",
        "[debian]\ncomponents = [\"man\"]",
        "[debian]\nmirror = \"file:///debian\"",
        "[scan]\nallow = [\"/etc/x\"]",
        "[scan]\nallow = [\"/etc/x: \"]",
        "[scan]\nallow = [\"/etc/x: short\"]",
        "[scan]\nallow = [\"etc/x: without a slash before it\"]",
        "[scan]\nallow = [\"/etc/x: the first reason for it\", \"/etc/x: the first reason for it\"]",
        "[boot]\nkernel-arguments = [\"a b\"]",
        "[boot]\nconsoles = [\"console=tty0\"]",
        "[time]\nservers = [\"*.a.example\"]",
        "[hardware]\nsupported = [\"wyse\"]",
        "[locale]\ndefault = \"fr\"",
        "[locale]\nkeyboard = \"AZERTY\"",
        "[locale]\ntimezone = \"paris\"",
        "[trust]\nauthorities = [\"\"]",
        "[agent]\nstation = \"https://station.factory.example/?line=1\"",
        "[agent]\nafter = \"sleep\"",
    ];
    for text in bad {
        let text = if text.is_empty() || text.starts_with("schema") { text.to_owned() } else { format!("schema = 1\n{text}\n") };
        assert!(!by_check(&folder, &text) || text.contains("extends = \"\""), "check accepts\n{text}");
        assert!(!by_schema(&text).is_empty(), "the schema accepts\n{text}");
    }
}

/// A good value of some setting, perhaps with a few characters changed; or something else altogether.
fn value(form: Form) -> BoxedStrategy<String> {
    let text = |word: Word| {
        let good: Vec<String> = match word {
            Word::Choice(known) => known.iter().map(|word| (*word).to_owned()).collect(),
            Word::Key => table::lockable().map(str::to_owned).collect(),
            Word::Authorities => vec!["ca/root.pem".into(), "./ca/../ca/root.pem".into()],
            Word::JobKey => vec!["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".into()],
            Word::Server => {
                vec!["time.assurance.example".into(), "10.0.2.2".into(), "fd00::1".into(), "::ffff:1.2.3.4".into()]
            }
            Word::Host => vec!["*.a.example".into(), "a".into(), "xn--a.b-c.example".into()],
            Word::Size { .. } => vec!["8 GiB".into(), "16GB".into(), "1048576 B".into(), "0064 MiB".into()],
            Word::Timezone => vec!["Europe/Paris".into(), "UTC".into(), "Etc/GMT+5".into(), "America/Port-au-Prince".into()],
            Word::Console => vec!["ttyS0,115200n8r".into(), "hvc0".into(), "tty63".into()],
            Word::Keyboard => vec!["fr(oss_latin9)".into(), "be".into()],
            Word::Https | Word::Origin | Word::Mirror => {
                vec!["HTTPS:a.example:8443".into(), "https:\\\\a.example\\x".into(), "http://[fd00::1]/é?q=@".into()]
            }
            _ => Vec::new(),
        };
        let example = written::json(&word.example()).as_str().unwrap_or_default().to_owned();
        let good: Vec<String> = good.into_iter().chain([example]).collect();
        let change = (any::<prop::sample::Index>(), any::<bool>(), "[a-zA-Z0-9 .:/_*@#?(),+-]|\\PC");
        (prop::sample::select(good), prop::collection::vec(change, 0..3)).prop_map(|(mut text, changes)| {
            for (at, replace, with) in changes {
                let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
                let from = at.index(starts.len());
                let to = if replace { starts.get(from + 1).copied().unwrap_or(text.len()) } else { starts[from] };
                text.replace_range(starts[from]..to, &with);
            }
            toml::Value::from(text).to_string()
        })
    };
    let list = move |word| prop::collection::vec(text(word), 0..4).prop_map(|items| format!("[{}]", items.join(", ")));
    match form {
        Form::Boolean => prop_oneof![Just("true".to_owned()), Just("false".to_owned())].boxed(),
        Form::Integer { least, most } => (least - 1..=most + 1).prop_map(|number| number.to_string()).boxed(),
        Form::Time => prop_oneof![
            "(19[89]|20[012])[0-9]-(0[1-9]|1[012])-[012][0-9]",
            "2026-[01][0-9]-[012][0-9][Tt ][012][0-9](:[0-5][0-9](:[0-5][0-9])?)?([Zz]|[+-][01][0-9](:?[0-5][0-9])?)(\\[Europe/Paris\\])?"
                .prop_map(|text| format!("{text:?}")),
            "(\\+00)?2026-?[01][0-9]-?[012][0-9]T?([012][0-9][0-5][0-9][0-5][0-9]Z?)?".prop_map(|text| format!("{text:?}")),
            "20[012][0-9]-0[1-9]-[012][1-9][T ][01][0-9]:[0-5][0-9]:[0-5][0-9](\\.0)?(Z|[+-]0[0-9]:00)",
        ]
        .boxed(),
        Form::Text(word) => text(word).boxed(),
        Form::List(word) => prop_oneof![
            list(word),
            (list(word), list(word)).prop_map(|(add, remove)| format!("{{ add = {add}, remove = {remove} }}")),
        ]
        .boxed(),
    }
}

fn setting_and_value() -> impl Strategy<Value = (&'static str, String)> {
    (0..TABLE.len()).prop_flat_map(|at| {
        let setting = &TABLE[at];
        value(setting.form).prop_map(|value| (setting.key, value))
    })
}

#[test]
fn the_schema_never_refuses_what_check_accepts() {
    let folder = Folder::new(&[]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(6000));
    let accepted = std::cell::Cell::new(0);
    let run = runner.run(&setting_and_value(), |(key, value)| {
        let text = if key == "schema" { format!("schema = {value}\n") } else { format!("schema = 1\n{key} = {value}\n") };
        if text.parse::<toml::Table>().is_ok() && by_check(&folder, &text) {
            accepted.set(accepted.get() + 1);
            prop_assert_eq!(by_schema(&text), Vec::<String>::new(), "{}", text);
        }
        Ok(())
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
    // A test of nothing would pass too.
    assert!(accepted.get() > 1000, "only {} of the values were good ones", accepted.get());
}
