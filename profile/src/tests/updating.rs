//! Where a device in use gets newer images.

use super::{Folder, child};

#[test]
fn a_store_is_named_with_a_version_and_its_own_authority_or_without() {
    let store = "version = \"2026.11\"\n[updates]\nstore = \"https://images.example/store/\"\n";
    let folder = Folder::new(&[
        (
            "own.toml",
            &format!(
                "schema = 1\nextends = \"good.toml\"\n{store}store-ca = \"ca/root.pem\"\n[image]\nepoch = 2026-11-01\nslot-size = \"2 GiB\"\n"
            ),
        ),
        ("public.toml", &format!("schema = 1\nextends = \"good.toml\"\n{store}")),
        // Whoever extends it says the version.
        ("base.toml", "schema = 1\nextends = \"good.toml\"\nabstract = true\n[updates]\nstore = \"https://images.example/\"\n"),
    ]);
    let own = folder.load("own.toml").map_err(|all| folder.told(&all)).unwrap();
    let updates = own.desk().unwrap().updates.clone().unwrap();
    assert_eq!((updates.store.as_str(), updates.authorities.len()), ("https://images.example/store/", 1));
    assert_eq!(own.image.slot_size, Some(2 << 30));
    let public = folder.load("public.toml").unwrap();
    assert!(public.desk().unwrap().updates.as_ref().unwrap().authorities.is_empty() && public.image.slot_size.is_none());
    assert!(folder.load("good.toml").unwrap().desk().unwrap().updates.is_none());
    let whole = super::super::check_at(&[folder.path("base.toml")], super::now());
    assert!(whole.is_ok(), "{}", folder.told(&whole.unwrap_err()).join("\n"));
}

#[test]
fn what_would_update_nothing_is_refused() {
    for (section, words) in [
        ("[updates]\nstore = \"https://s.example/\"", "`updates.store` alone does not tell which image is newer"),
        ("[updates]\nstore-ca = \"ca/root.pem\"", "`updates.store-ca` has no effect"),
        ("[image]\nslot-size = \"2 GiB\"", "`image.slot-size` has no effect"),
    ] {
        let told = child(&format!("{section}\n"));
        assert!(told.len() == 1 && told[0].contains(words) && told[0].contains(":4:"), "{told:?}");
    }
}
