//! What comes of several files, the guide that follows from the table, and properties that hold for any text.

use proptest::prelude::*;

use super::*;
use crate::files::layer::Layer;

#[test]
fn nearest_wins_lists_are_edited_and_it_stays_known_who_decided() {
    let folder = Folder::new(&[
        (
            "middle.toml",
            "schema = 1\nabstract = true\nextends = \"good.toml\"\n[time]\nservers = [\"a.example\"]\n[image]\nminimum-disk = \"16 GB\"\n[agent]\nafter = \"stay\"\n",
        ),
        (
            "leaf.toml",
            "schema = 1\nextends = \"middle.toml\"\nversion = \"7\"\n[packages]\ninstall = { add = [\"vlc\"] }\n[hardware]\nsupported = { remove = [\"qemu\"] }\n[time]\nservers = [\"b.example\"]\n",
        ),
        (
            "bad.toml",
            "schema = 1\nextends = \"middle.toml\"\n[packages]\ninstall = { add = [\"sway\"], remove = [\"firefox-est\"] }\n[boot]\nconsoles = { add = [\"ttyS0\"], remove = [\"tty0\"] }\n",
        ),
    ]);
    let leaf = folder.load("leaf.toml").map_err(|diagnostics| folder.told(&diagnostics)).unwrap();
    assert_eq!(leaf.packages.install, ["sway", "seatd", "swayidle", "network-manager", "firefox-esr", "vlc"]);
    assert_eq!(
        (leaf.hardware.as_slice(), leaf.time.servers.as_slice()),
        (&[Hardware::Wyse5070][..], &["b.example".to_owned()][..])
    );
    assert_eq!((leaf.image.minimum_disk, leaf.name.as_str()), (16_000_000_000, "good"));
    assert_eq!(leaf.files, ["leaf.toml", "middle.toml", "good.toml"].map(|name| folder.path(name)));
    let told = |key: &str| -> Vec<(String, usize, Action, bool)> {
        let name = |origin: &Origin| origin.file.file_name().unwrap().to_string_lossy().into_owned();
        leaf.origins.of(key).iter().map(|origin| (name(origin), origin.line, origin.action.clone(), origin.holds)).collect()
    };
    let set = |value: &str| Action::Set { value: value.into() };
    assert_eq!(
        told("time.servers"),
        [("leaf.toml".into(), 9, set("[\"b.example\"]"), true), ("middle.toml".into(), 5, set("[\"a.example\"]"), false)]
    );
    assert_eq!(
        told("packages.install"),
        [
            ("leaf.toml".into(), 5, Action::Changed { add: vec!["vlc".into()], remove: vec![] }, true),
            ("good.toml".into(), 5, set("[\"sway\", \"seatd\", \"swayidle\", \"network-manager\", \"firefox-esr\"]"), true)
        ]
    );
    assert_eq!(told("extends"), [("leaf.toml".into(), 2, set("\"middle.toml\""), true)]);
    assert_eq!(told("boot.consoles"), []);
    assert_eq!(
        folder.errors("bad.toml"),
        [
            "bad.toml:4:20: double item in `packages.install`: \"sway\" is already in the list: good.toml:5 | remove it from `add`",
            "bad.toml:4:39: nothing to remove from `packages.install`: \"firefox-est\" is not in the inherited list | did you mean \"firefox-esr\"?",
        ]
    );
}

#[test]
fn a_path_starts_from_the_file_that_says_it() {
    let folder = Folder::new(&[("p.toml", "schema = 1\nextends = \"../good.toml\"\n")]);
    std::fs::create_dir(folder.path("sub")).unwrap();
    std::fs::rename(folder.path("p.toml"), folder.path("sub/p.toml")).unwrap();
    assert_eq!(folder.load("sub/p.toml").unwrap().desk().unwrap().authorities[0].name, "root");
    std::fs::write(
        folder.path("sub/p.toml"),
        "schema = 1\nextends = \"../good.toml\"\n[trust]\nauthorities = { remove = [\"../ca/root.pem\"] }\n",
    )
    .unwrap();
    assert!(folder.load("sub/p.toml").unwrap().desk().unwrap().authorities.is_empty());
}

#[test]
fn the_agents_own_settings() {
    let digits = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let agent = |job_key: &str| {
        format!(
            "schema = 1\nkind = \"agent\"\nname = \"agent\"\npackages.install = [\"udev\"]\npackages.boot = [\"dracut\"]\nimage.epoch = \"2026-11-01T00:00:00Z\"\nhardware.supported = [\"qemu\"]\n[agent]\nstation = \"https://station.factory.example:8443\"\nstation-ca = \"ca/root.pem\"\njob-key = \"{job_key}\"\n"
        )
    };
    let folder = Folder::new(&[
        ("digits.toml", &agent(digits)),
        ("file.toml", &agent("job.pub")),
        ("bad.toml", &agent("job.key").replace(":8443", "/line")),
        ("job.pub", &format!("{digits}\n")),
        ("job.key", &format!("-----BEGIN PRIVATE {}-----\n", "KEY")),
    ]);
    for name in ["digits.toml", "file.toml"] {
        let profile = folder.load(name).map_err(|diagnostics| folder.told(&diagnostics)).unwrap();
        let agent = profile.agent().unwrap();
        assert_eq!(agent.job_key.unwrap().to_string(), digits);
        assert_eq!(
            (agent.station.as_ref().unwrap().as_str(), agent.station_ca.len()),
            ("https://station.factory.example:8443/", 1)
        );
    }
    assert_eq!(
        folder.errors("bad.toml"),
        [
            "bad.toml:9:11: bad value for `agent.station`: \"https://station.factory.example/line\" has a path | write \"https://station.factory.example\"",
            "bad.toml:11:11: bad value for `agent.job-key`: the file holds a private key | name job.pub, the public half; job.key stays at the station",
        ]
    );
    assert!(read_job_key(&folder.path("job.pub")).is_ok());
    assert_eq!(read_job_key(&folder.path("job.key")).unwrap_err().exit().code(), 3);
    assert!(read_station("http://station.factory.example").is_err());
    assert_eq!(read_authorities(&folder.path("ca/root.pem")).unwrap().len(), 1);
}

#[test]
fn a_base_that_several_extend_is_reported_once() {
    let folder = Folder::new(&[("a.toml", "schema = 1\nextends = \"b.toml\"\n"), ("b.toml", &GOOD.replace("kind", "knd"))]);
    let paths = [folder.path("a.toml"), folder.path("b.toml")];
    let told = folder.told(&check_at(&paths, now()).unwrap_err());
    assert_eq!(told.iter().filter(|line| line.contains("unknown setting")).count(), 1, "{told:#?}");
}

#[test]
fn the_defaults_are_sound() {
    let mut sink = Sink::default();
    Layer::built_in(now(), &mut sink);
    assert!(sink.finish().is_none());
}

/// The guide's key reference is what the table says. `LIVERY_REFRESH=1` on this test writes it anew.
#[test]
fn the_guide_has_every_key() {
    const BEGIN: &str = "<!-- key reference: written from the table of settings, do not edit -->\n";
    const END: &str = "<!-- end of key reference -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/it-guide.md");
    let guide = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once(BEGIN).expect("the guide has the reference's begin mark");
    let (section, after) = rest.split_once(END).expect("the guide has the reference's end mark");
    if std::env::var_os("LIVERY_REFRESH").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}\n{}{END}{after}", reference())).unwrap();
        return;
    }
    assert_eq!(
        section.trim(),
        reference().trim(),
        "docs/it-guide.md is out of date: LIVERY_REFRESH=1 cargo test -p livery-image-builder --lib the_guide_has_every_key"
    );
}

/// Values that a profile may be given by mistake.
fn scrap() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        Just("{ add = [\"x\"], remove = [1] }".to_owned()),
        Just("2026-11-01".to_owned()),
        Just("[[], {}]".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-z*.:/0-9 -]{0,20}".prop_map(|text| format!("{text:?}")),
        "\\PC{0,10}".prop_map(|text| format!("{text:?}")),
        "\\PC{0,10}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_answered_and_drawn_without_a_panic(text in "(?s).{0,200}") {
        let folder = Folder::new(&[("p.toml", &text)]);
        let diagnostics = folder.load("p.toml").unwrap_err();
        prop_assert!(!diagnostics.render(Style::Plain).is_empty());
        prop_assert!(diagnostics.list().iter().all(|diagnostic| diagnostic.line >= 1 && diagnostic.column >= 1));
    }

    #[test]
    fn any_setting_with_any_value_is_answered_without_a_panic(
        lines in proptest::collection::vec((0..TABLE.len(), scrap()), 1..6)
    ) {
        let mut text = "schema = 1\nextends = \"good.toml\"\n".to_owned();
        for (at, value) in lines {
            text.push_str(&format!("{} = {value}\n", TABLE[at].key));
        }
        let folder = Folder::new(&[("p.toml", &text)]);
        if let Err(diagnostics) = folder.load("p.toml") {
            prop_assert!(!diagnostics.render(Style::Fancy).is_empty());
            prop_assert!(diagnostics.to_json().as_array().is_some_and(|list| list.len() == diagnostics.list().len()));
        }
    }

    #[test]
    fn adding_and_then_removing_gives_back_the_list(names in proptest::collection::hash_set("[a-z]{6,9}", 1..8)) {
        let list = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let folder = Folder::new(&[
            ("more.toml", &format!("schema = 1\nextends = \"good.toml\"\npackages.install = {{ add = [{list}] }}\n")),
            ("less.toml", &format!("schema = 1\nextends = \"more.toml\"\npackages.install = {{ remove = [{list}] }}\n")),
        ]);
        let good = folder.load("good.toml").unwrap().packages.install;
        prop_assert_eq!(folder.load("more.toml").unwrap().packages.install.len(), good.len() + names.len());
        prop_assert_eq!(folder.load("less.toml").unwrap().packages.install, good);
    }
}
