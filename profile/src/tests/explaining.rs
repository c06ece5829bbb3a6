//! What `livery explain` says of every place that had a say.

use super::*;
use crate::settings::table;

fn folder() -> Folder {
    Folder::new(&[
        (
            "base.toml",
            "schema = 1\nextends = \"good.toml\"\nabstract = true\nlocked = [\"image\"]\n[time]\nservers = [\"a.example\", \"b.example\"]\n[boot]\nconsoles = { add = [\"ttyS0\"] }\n",
        ),
        (
            "leaf.toml",
            "schema = 1\nextends = \"base.toml\"\n[time]\nservers = { add = [\"c.example\"], remove = [\"a.example\"] }\n[image]\ngrow = true\n[locale]\nkeyboard = 7\n[citrix]\nstore-url = \"\"\"https://gateway.assurance.example/\"\"\"\n",
        ),
    ])
}

fn told(folder: &Folder, name: &str, key: Option<&str>) -> String {
    let explanation = explain_at(&folder.path(name), key, now()).unwrap();
    let prefix = format!("{}/", folder.0.path().display());
    // Places stand in a column, which the folder's name widens for those that have none, too.
    let padding = format!("the default{}", " ".repeat(prefix.len()));
    explanation.to_string().replace(&prefix, "").replace(&padding, "the default")
}

#[test]
fn each_place_is_named_and_what_holds_is_marked() {
    let folder = folder();
    assert_eq!(
        told(&folder, "leaf.toml", Some("time.servers")),
        r#"time.servers = ["b.example", "c.example"]
  Time servers. If empty: those that the network announces, or else the distribution's. One-time codes and TLS need a correct clock.

items, and where they come from:
  "b.example"  base.toml:6:25
  "c.example"  leaf.toml:4:20

where it is set, nearest first (* is the effective value):
* leaf.toml:4:1  adds "c.example", removes "a.example"
* base.toml:6:1  sets ["a.example", "b.example"]
  the default    []
"#
    );
    assert_eq!(
        told(&folder, "leaf.toml", Some("boot.consoles")).lines().skip(3).collect::<Vec<_>>(),
        [
            "items, and where they come from:",
            "  \"tty0\"   the default",
            "  \"ttyS0\"  base.toml:8:21",
            "",
            "where it is set, nearest first (* is the effective value):",
            "* base.toml:8:1  adds \"ttyS0\"",
            "* the default    [\"tty0\"]",
        ]
    );
    assert_eq!(
        told(&folder, "leaf.toml", Some("image.grow")).lines().skip(3).collect::<Vec<_>>(),
        [
            "where it is set, nearest first (* is the effective value):",
            "  leaf.toml:6:1   would change it, but base.toml:4 locks it",
            "  base.toml:4:11  locks it, by \"image\", for files that extend this one",
            "* the default     false",
        ]
    );
    let url = told(&folder, "leaf.toml", Some("citrix.store-url"));
    assert!(url.starts_with("citrix.store-url = \"https://gateway.assurance.example/\"\n"), "{url}");
    assert!(url.contains("* leaf.toml:10:1  sets \"https://gateway.assurance.example/\"\n"), "{url}");
    assert!(url.contains("  good.toml:18:1  sets \"https://gateway.assurance.example/\" (overridden)\n"), "{url}");
    let agent = told(&folder, "leaf.toml", Some("agent.after"));
    assert!(agent.contains("no effect here: kind = \"terminal\" does not use it, only agent does."), "{agent}");
    let keyboard = told(&folder, "leaf.toml", Some("locale.keyboard"));
    assert!(keyboard.starts_with("locale.keyboard has an error\n") && keyboard.contains("* leaf.toml:8:1"), "{keyboard}");
    assert!(told(&folder, "leaf.toml", Some("kiosk.url")).starts_with("kiosk.url is not set\n"));
}

#[test]
fn without_a_key_all_settings_of_the_kind_have_a_line() {
    let folder = folder();
    let all = told(&folder, "leaf.toml", None);
    let of_terminals = table::TABLE.iter().filter(|setting| setting.kinds.contains(&Kind::Terminal)).count();
    assert_eq!(all.lines().count(), of_terminals);
    let line = |key: &str| {
        let line = all.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("image.epoch"), "image.epoch 2026-11-01 good.toml:8:1 (locked)");
    assert_eq!(line("image.sectors"), "image.sectors \"512\" default (locked)");
    assert_eq!(line("time.servers"), "time.servers [\"b.example\", \"c.example\"] leaf.toml:4:1, base.toml:6:1");
    assert_eq!(line("locale.keyboard"), "locale.keyboard faulty leaf.toml:8:1");
    assert_eq!(line("debian.mirror"), "debian.mirror - not set");
    // A section, and an abstract profile of no kind.
    // All but `restricted`, which only an import has.
    assert_eq!(told(&folder, "leaf.toml", Some("image")).lines().count(), table::names("image").len() - 1);
    let none = Folder::new(&[("none.toml", "schema = 1\nabstract = true\n")]);
    assert_eq!(told(&none, "none.toml", None).lines().count(), table::TABLE.len());
}

#[test]
fn machines_get_the_same_and_hear_of_errors_elsewhere() {
    let folder = folder();
    let explanation = explain_at(&folder.path("leaf.toml"), Some("image.grow"), now()).unwrap();
    assert_eq!(explanation.errors, 2, "image.grow is locked, locale.keyboard is no text");
    assert!(explanation.note(Path::new("leaf.toml")).unwrap().contains("livery check leaf.toml"));
    let json = explanation.to_json();
    let base = folder.path("base.toml").display().to_string();
    assert_eq!(json["setting"]["value"], false);
    assert_eq!(json["setting"]["locked"], format!("{base}:4"));
    assert_eq!(json["setting"]["origins"][0]["action"], "refused");
    assert_eq!(json["setting"]["origins"][0]["lock"], format!("{base}:4"));
    assert_eq!(json["setting"]["origins"][1]["by"], "image");
    let sound = explain_at(&folder.path("good.toml"), None, now()).unwrap();
    assert!(sound.note(Path::new("good.toml")).is_none() && sound.to_json()["settings"].as_array().unwrap().len() > 30);
}

#[test]
fn an_unknown_name_and_a_file_that_is_not_there_are_refused() {
    let folder = folder();
    let fault = |name: &str, key: &str| explain_at(&folder.path(name), Some(key), now()).unwrap_err();
    for (key, near) in [("timezone", "locale.timezone"), ("citrix.store-ulr", "citrix.store-url"), ("kisok", "kiosk")] {
        let fault = fault("good.toml", key);
        assert_eq!(fault.exit().code(), 2);
        assert!(fault.render().contains(&format!("did you mean {near}?")), "{}", fault.render());
    }
    assert!(fault("good.toml", "\u{1b}[31m").render().contains("lists them all"));
    assert_eq!(fault("none.toml", "kind").exit().code(), 3);
}
