//! Who is told what took effect.

use super::{Folder, child};

#[test]
fn a_station_is_named_with_its_own_authority_or_without() {
    let folder = Folder::new(&[
        (
            "own.toml",
            "schema = 1\nextends = \"good.toml\"\n[confirm]\nstation = \"https://s.example:8443\"\nstation-ca = \"ca/root.pem\"\n",
        ),
        ("public.toml", "schema = 1\nextends = \"good.toml\"\n[confirm]\nstation = \"https://s.example\"\n"),
    ]);
    let confirm = |name: &str| folder.load(name).ok().and_then(|profile| profile.desk()?.confirm.clone());
    let own = confirm("own.toml").unwrap();
    assert_eq!((own.station.as_str(), own.authorities.len()), ("https://s.example:8443/", 1));
    assert!(confirm("public.toml").unwrap().authorities.is_empty());
    assert!(confirm("good.toml").is_none());
}

#[test]
fn what_would_tell_nobody_is_refused() {
    for (section, words) in [
        ("station-ca = \"ca/root.pem\"", "`confirm.station-ca` has no effect"),
        ("station = \"http://s.example\"", "confirm.station"),
        ("station = \"https://s.example/path\"", "confirm.station"),
    ] {
        let told = child(&format!("[confirm]\n{section}\n"));
        assert!(told.len() == 1 && told[0].contains(words) && told[0].contains(":4:"), "{told:?}");
    }
}
