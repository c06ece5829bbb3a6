//! Whole profiles in, exact diagnostics out.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use livery_contract::Fault;
use tempfile::TempDir;

use super::*;

mod confirming;
mod explaining;
mod locking;
mod merging;
mod routing;
mod schemas;
mod starters;
mod supplied;
mod updating;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn profiles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles")
}

/// Files in a folder of their own; a sound base, `good.toml`, always lies there too.
struct Folder(TempDir);

const GOOD: &str = r#"schema = 1
kind = "terminal"
name = "good"
[packages]
install = ["sway", "seatd", "swayidle", "network-manager", "firefox-esr"]
boot = ["linux-image-amd64"]
[image]
epoch = 2026-11-01
[hardware]
supported = ["wyse-5070", "qemu"]
[locale]
default = "fr_FR.UTF-8"
keyboard = "fr"
timezone = "Europe/Paris"
[trust]
authorities = ["ca/root.pem"]
[citrix]
store-url = "https://gateway.assurance.example/"
gateway-hosts = ["gateway.assurance.example"]
"#;

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path("ca")).unwrap();
        std::fs::copy(profiles().join("ca/assurance-root.pem"), folder.path("ca/root.pem")).unwrap();
        std::fs::write(folder.path("good.toml"), GOOD).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path(name), text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, name: &str) -> Result<Profile, Diagnostics> {
        load_at(&self.path(name), now())
    }

    /// The errors as `file:line:column: message: cause | help`, with the folder's path taken out.
    fn errors(&self, name: &str) -> Vec<String> {
        self.told(&self.load(name).unwrap_err())
    }

    fn told(&self, diagnostics: &Diagnostics) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        let line = |diagnostic: &Diagnostic| {
            let Diagnostic { file, line, column, message, cause, help, .. } = diagnostic;
            format!("{}:{line}:{column}: {message}: {cause} | {}", file.display(), help.as_deref().unwrap_or("-"))
                .replace(&folder, "")
        };
        diagnostics.list().iter().map(line).collect()
    }
}

/// The errors of a profile that extends the sound one.
fn child(text: &str) -> Vec<String> {
    Folder::new(&[("p.toml", &format!("schema = 1\nextends = \"good.toml\"\n{text}"))]).errors("p.toml")
}

#[test]
fn the_profiles_of_this_project_are_accepted_silently() {
    let paths: Vec<PathBuf> = ["base", "terminal", "laptop", "agent"].map(|name| profiles().join(format!("{name}.toml"))).into();
    if let Err(diagnostics) = check(&paths) {
        panic!("{}", diagnostics.render(Style::Plain));
    }
    let terminal = load(&paths[1]).unwrap();
    assert_eq!((terminal.kind(), terminal.name.as_str()), (Kind::Terminal, "terminal"));
    assert_eq!(terminal.kiosk().unwrap().url.as_str(), "https://gateway.assurance.example/");
    assert_eq!(terminal.kiosk().unwrap().allowed_hosts.len(), 4);
    assert_eq!(terminal.hardware, [Hardware::Qemu, Hardware::Wyse5070, Hardware::Latitude5000]);
    assert_eq!(
        (terminal.image.minimum_disk, terminal.image.identity_size, terminal.image.compression_level),
        (4 << 30, 1 << 20, 3)
    );
    let laptop = load(&paths[2]).unwrap();
    assert_eq!((laptop.kind(), laptop.hardware.as_slice()), (Kind::Laptop, &[Hardware::Qemu, Hardware::Latitude5000][..]));
    assert_eq!(laptop.desk().unwrap().authorities[0].name, "assurance-root");
    let agent = load(&paths[3]).unwrap();
    assert_eq!((agent.kind(), agent.agent().unwrap().after), (Kind::Agent, After::PowerOff));
    assert!(agent.agent().unwrap().station.is_none());
    let fault = Fault::from(load(&paths[0]).unwrap_err());
    assert_eq!(fault.exit().code(), 3);
    assert!(fault.render().contains("base.toml:5:12: an abstract profile"), "{}", fault.render());
}

#[test]
fn the_sample_roster_fits_the_terminal() {
    let text = std::fs::read_to_string(profiles().join("sample-roster.csv")).unwrap();
    let employees = livery_contract::roster::parse(&text, livery_contract::roster::Format::Csv).unwrap();
    let terminal = load(&profiles().join("terminal.toml")).unwrap();
    assert_eq!(employees.len(), 3);
    for employee in employees {
        assert!(terminal.desk().unwrap().locale.available.contains(&employee.locale), "{}", employee.locale);
    }
}

#[test]
fn a_diagnostic_is_drawn_with_its_line_and_marker() {
    let folder = Folder::new(&[(
        "p.toml",
        "schema = 1\nextends = \"good.toml\"\n# é\n[kiosk]\nurl = \"http://gateway.assurance.example/\" # é\n",
    )]);
    let diagnostics = folder.load("p.toml").unwrap_err();
    let drawn = diagnostics.render(Style::Plain).replace(&format!("{}/", folder.0.path().display()), "");
    let wanted = r#"
  x bad value for `kiosk.url`
   ,-[p.toml:5:7]
 5 | url = "http://gateway.assurance.example/" # é
   :       ^^^^^^^^^^^^^^^^^|^^^^^^^^^^^^^^^^^
   :                        `-- "http://gateway.assurance.example/" is not https
   `----
  help: write "https://gateway.assurance.example/"
"#;
    assert_eq!(drawn.trim_end(), wanted.trim_start_matches('\n').trim_end(), "{drawn}");
    assert!(drawn.is_ascii() || drawn.matches('é').count() == 1);
    assert!(diagnostics.render(Style::Fancy).contains('\u{1b}'));
    assert_eq!(
        diagnostics.to_json().to_string(),
        format!(
            r#"[{{"file":"{}/p.toml","line":5,"column":7,"message":"bad value for `kiosk.url`: \"http://gateway.assurance.example/\" is not https","help":"write \"https://gateway.assurance.example/\""}}]"#,
            folder.0.path().display()
        )
    );
    assert_eq!(diagnostics.summary(), "1 error in 1 file");
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    assert_eq!(
        child(
            "kidn = \"laptop\"\ntimezone = \"Europe/Paris\"\nzzz = 1\n[kiosk]\nurll = \"\"\nallowed-host = []\nepoch = 1\n[citrx]\na = 1\n[[lokale]]\n"
        ),
        [
            "p.toml:3:1: unknown setting `kidn`: no setting has this name | did you mean `kind`?",
            "p.toml:4:1: unknown setting `timezone`: no setting has this name | did you mean `timezone` in [locale]?",
            "p.toml:5:1: unknown setting `zzz`: no setting has this name | the known ones are schema, kind, name, version, description, extends, abstract, locked",
            "p.toml:7:1: unknown setting `urll` in [kiosk]: no setting has this name | did you mean `url`?",
            "p.toml:8:1: unknown setting `allowed-host` in [kiosk]: no setting has this name | did you mean `allowed-hosts`?",
            "p.toml:9:1: unknown setting `epoch` in [kiosk]: no setting has this name | did you mean `epoch` in [image]?",
            "p.toml:10:2: unknown section [citrx]: no section has this name | did you mean [citrix]?",
            "p.toml:12:3: unknown section [lokale]: no section has this name | did you mean [locale]?",
        ]
    );
}

#[test]
fn wrong_types_say_what_is_expected_and_what_was_found() {
    assert_eq!(
        child(
            "name = 5\nabstract = \"no\"\ncitrix = true\n[packages]\ninstall = \"cage\"\nrecommends = 0\nexclude-paths = { add = \"/x\", also = [] }\n[image]\nepoch = 1.5\nminimum-disk = 8\ncompression-level = \"3\"\n[hardware]\nsupported = [1, \"qemu\"]\n"
        ),
        [
            "p.toml:3:8: wrong type for `name`: a whole number, where an image name such as \"terminal\" (1 to 60 of A-Z a-z 0-9 . _ -) is expected | -",
            "p.toml:4:12: wrong type for `abstract`: text, where true or false is expected | -",
            "p.toml:5:10: wrong type for `citrix`: true or false, where a section is expected | write [citrix] and its settings below",
            "p.toml:7:11: wrong type for `packages.install`: text, where a list, each item a package name such as \"firefox-esr\" is expected | write [\"cage\"]",
            "p.toml:8:14: wrong type for `packages.recommends`: a whole number, where true or false is expected | -",
            "p.toml:9:25: wrong type for `add` of `packages.exclude-paths`: text, where a list is expected | -",
            "p.toml:9:31: unknown key `also` for `packages.exclude-paths`: a list is edited only with `add` and `remove` | write { add = […], remove = […] }",
            "p.toml:11:9: wrong type for `image.epoch`: a decimal number, where a date such as 2026-11-01 is expected | -",
            "p.toml:12:16: wrong type for `image.minimum-disk`: a whole number, where a size from \"1 GiB\" to \"16 TiB\" is expected | -",
            "p.toml:13:21: wrong type for `image.compression-level`: text, where a whole number from 1 to 19 is expected | -",
            "p.toml:15:14: wrong type for `hardware.supported`: a whole number, where one of \"qemu\", \"wyse-5070\", \"latitude-5000\" is expected | -",
        ]
    );
}

#[test]
fn values_out_of_range_name_the_range() {
    assert_eq!(
        child(
            "[image]\nepoch = 2026-11-25\nminimum-disk = \"512 MiB\"\nidentity-size = \"300 kB\"\ncompression-level = 22\n[debian]\nsuite = \"bookworm\"\ncomponents = [\"man\"]\n[locale]\ndefault = \"fr\"\nkeyboard = \"AZERTY\"\ntimezone = \"Europe/Pariss\"\n"
        ),
        [
            "p.toml:4:9: value out of range for `image.epoch`: 2026-11-25T00:00:00Z lies in the future (it is 2026-11-24T12:00:00Z here) | files would be newer than the device's clock; use a past day, or set this machine's clock",
            "p.toml:5:16: value out of range for `image.minimum-disk`: \"512 MiB\" is not within 1 GiB to 16 TiB | -",
            "p.toml:6:17: bad value for `image.identity-size`: \"300 kB\" is not a multiple of 4 KiB | write \"296 KiB\"",
            "p.toml:7:21: value out of range for `image.compression-level`: 22 is not within 1 to 19 | write a whole number from 1 to 19",
            "p.toml:9:9: bad value for `debian.suite`: \"bookworm\" is unknown | this release knows only \"trixie\"",
            "p.toml:10:15: bad value for `debian.components`: \"man\" is unknown | did you mean \"main\"? The choices are \"main\", \"contrib\", \"non-free\", \"non-free-firmware\"",
            "p.toml:12:11: bad value for `locale.default`: \"fr\" is not a locale such as \"fr_FR.UTF-8\" | -",
            "p.toml:13:12: bad value for `locale.keyboard`: \"AZERTY\" is not an XKB layout such as \"fr\" or \"fr(oss)\" | -",
            "p.toml:14:12: bad value for `locale.timezone`: \"Europe/Pariss\" is not a time zone of the tz database | did you mean \"Europe/Paris\"?",
        ]
    );
}

#[test]
fn hosts_urls_and_contradictions() {
    assert_eq!(
        child(
            "[citrix]\nstore-url = \"https://store.assurance.example/\"\nmfa-hosts = [\"https://mfa.assurance.example/x\", \"a.example:443\", \"A.example\", \"*.example\", \"b.example\", \"b.example\"]\n"
        ),
        [
            "p.toml:5:14: bad value for `citrix.mfa-hosts`: \"https://mfa.assurance.example/x\" is a URL, but a host name is expected | write \"mfa.assurance.example\"",
            "p.toml:5:49: bad value for `citrix.mfa-hosts`: \"a.example:443\" has a port | write \"a.example\": a host is allowed on every port, the URL decides which",
            "p.toml:5:66: bad value for `citrix.mfa-hosts`: \"A.example\" has capital letters | write \"a.example\"",
            "p.toml:5:79: bad value for `citrix.mfa-hosts`: \"*.example\" would allow a whole top-level domain | name the organisation's domain, such as \"*.assurance.example\"",
            "p.toml:5:105: double item in `citrix.mfa-hosts`: \"b.example\" is already in line 5 | remove one",
        ]
    );
    assert_eq!(
        child(
            "[citrix]\nstore-url = \"https://gatevay.assurance.example/\"\n[packages]\ninstall = [\"sway\", \"swayidle\"]\n[debian]\nmirror = \"http://mirror.assurance.example/debian\"\n[locale]\navailable = [\"fr_BE.UTF-8\"]\n"
        ),
        [
            "good.toml:12:11: the default locale is not available: \"fr_FR.UTF-8\" is not in locale.available (p.toml:10) | add it there, or use \"fr_BE.UTF-8\"",
            "p.toml:4:13: the browser may not open `citrix.store-url`: \"gatevay.assurance.example\" is in none of the lists of allowed hosts | add it to citrix.gateway-hosts, or is \"gateway.assurance.example\" misspelt there?",
            "p.toml:6:11: a terminal lacks a package: \"seatd\" is not in the list: it gives the compositor access to screen and input | add \"seatd\" to packages.install",
            "p.toml:6:11: a terminal lacks a package: \"network-manager\" is not in the list: it connects to networks, including Wi-Fi | add \"network-manager\" to packages.install",
            "p.toml:6:11: a terminal lacks a package: \"firefox-esr\" is not in the list: it is kiosk.browser | add \"firefox-esr\" to packages.install",
            "p.toml:8:10: `debian.mirror` alone is an incomplete package source: `debian.security-mirror` is missing | set both, or neither for the distribution's own",
        ]
    );
    assert_eq!(
        child("[agent]\nafter = \"reboot\"\n"),
        [
            "p.toml:4:1: `agent.after` has no effect here: kind = \"terminal\" (good.toml:2) does not use it; only agent does | remove it; only a file with abstract = true may hold settings of several kinds"
        ]
    );
}

#[test]
fn files_that_are_missing_or_unfit() {
    let folder = Folder::new(&[
        (
            "p.toml",
            "schema = 1\nextends = \"good.toml\"\n[trust]\nauthorities = [\"ca/rot.pem\", \"ca/key.pem\", \"ca\", \"ca/root.pem\", \"ca/../ca/root.pem\"]\n",
        ),
        ("q.toml", "schema = 1\nextends = \"god.toml\"\n"),
        ("r.toml", "schema = 1\nextends = \"good.toml\"\n[trust]\nauthorities = { add = [\"ca/copy.pem\"] }\n"),
    ]);
    std::fs::write(folder.path("ca/key.pem"), format!("-----BEGIN PRIVATE {}-----\nAAAA\n", "KEY")).unwrap();
    std::fs::copy(folder.path("ca/root.pem"), folder.path("ca/copy.pem")).unwrap();
    assert_eq!(
        folder.errors("p.toml"),
        [
            "p.toml:4:16: file not readable for `trust.authorities`: the path is ca/rot.pem: there is no such file | a path starts from the folder of the file that contains it",
            "p.toml:4:30: bad value for `trust.authorities`: the file holds a private key | remove the key and store it where only its owner can read it; if this file was ever shared, replace the key",
            "p.toml:4:44: file not readable for `trust.authorities`: the path is ca: it is a folder | a path starts from the folder of the file that contains it",
            "p.toml:4:65: double item in `trust.authorities`: \"ca/../ca/root.pem\" is already in line 4 | remove one",
        ]
    );
    assert_eq!(
        folder.errors("q.toml"),
        [
            "q.toml:2:11: file not readable for `extends`: the path is god.toml: there is no such file | did you mean \"good.toml\"? It is in the same folder"
        ]
    );
    assert_eq!(
        folder.errors("r.toml"),
        [
            "r.toml:4:24: double certificate in `trust.authorities`: \"C=FR, O=Assurance Example SA, CN=Assurance Example Root CA\" is also in \"ca/root.pem\" | remove one"
        ]
    );
    assert_eq!(
        folder.errors("none.toml"),
        [
            "none.toml:1:1: this profile cannot be read: there is no such file:  | did you mean \"good.toml\"? It is in the same folder"
        ]
    );
}

#[test]
fn a_cycle_is_answered_with_its_chain() {
    let folder = Folder::new(&[
        ("a.toml", "schema = 1\nextends = \"b.toml\"\nkind = \"latop\"\n"),
        ("b.toml", "schema = 1\n# a comment\nextends = \"./c.toml\"\n"),
        ("c.toml", "schema = 1\nextends = \"b.toml\"\n"),
        ("self.toml", "schema = 1\nextends = \"self.toml\"\n"),
    ]);
    assert_eq!(
        folder.errors("a.toml"),
        [
            "a.toml:3:8: bad value for `kind`: \"latop\" is unknown | did you mean \"laptop\"? The choices are \"terminal\", \"laptop\", \"agent\", \"import\"",
            "c.toml:2:11: cycle of `extends`: these files extend one another in a circle: b.toml -> c.toml -> b.toml | remove one of these `extends`",
        ]
    );
    assert_eq!(
        folder.errors("self.toml"),
        [
            "self.toml:2:11: cycle of `extends`: these files extend one another in a circle: self.toml -> self.toml | remove one of these `extends`"
        ]
    );
}

#[test]
fn what_is_missing_is_named_with_where_it_goes() {
    let folder = Folder::new(&[("p.toml", "kind = \"agent\"\n[packages]\ninstall = []\n")]);
    assert_eq!(
        folder.errors("p.toml"),
        [
            "p.toml:1:1: missing `schema`: the file does not state the version of its format | write schema = 1 at the top of the file",
            "p.toml:1:1: missing `name`: neither this file nor a file that it extends sets it | write `name = …` at the top of the file: an image name such as \"terminal\" (1 to 60 of A-Z a-z 0-9 . _ -)",
            "p.toml:1:1: missing `packages.boot`: neither this file nor a file that it extends sets it | write `boot = …` in [packages]: a list, each item a package name such as \"firefox-esr\"",
            "p.toml:1:1: missing `image.epoch`: neither this file nor a file that it extends sets it | write `epoch = …` in [image]: a date such as 2026-11-01",
            "p.toml:1:1: missing `hardware.supported`: neither this file nor a file that it extends sets it | write `supported = …` in [hardware]: a list, each item one of \"qemu\", \"wyse-5070\", \"latitude-5000\"",
            "p.toml:3:11: bad value for `packages.install`: the list is empty | write `install = …` in [packages]: a list, each item a package name such as \"firefox-esr\"",
        ]
    );
}

#[test]
fn syntax_errors_do_not_hide_the_others() {
    assert_eq!(
        child(
            "name = \nversion = \"1\"\nversion = \"2\"\n[image]\nepoch = 2026-11-01 x\ncompression-level = 40\n[kiosk\nurl = \"http://a.example/\"\n[time]\nserver = []\n"
        ),
        [
            "p.toml:3:8: not valid TOML: string values must be quoted, expected literal string | a line is key = value or [section]; text is written \"in quotes\", a list [\"a\", \"b\"]",
            "p.toml:5:1: not valid TOML: duplicate key | a setting or a [section] may appear only once in a file: remove one",
            "p.toml:7:9: not valid TOML: invalid time, expected hour | a line is key = value or [section]; text is written \"in quotes\", a list [\"a\", \"b\"]",
            "p.toml:8:21: value out of range for `image.compression-level`: 40 is not within 1 to 19 | write a whole number from 1 to 19",
            "p.toml:9:7: not valid TOML: unclosed table, expected `]` | a line is key = value or [section]; text is written \"in quotes\", a list [\"a\", \"b\"]",
            "p.toml:12:1: unknown setting `server` in [time]: no setting has this name | did you mean `servers`?",
        ]
    );
}
