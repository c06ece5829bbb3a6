//! The commands about profiles: `livery check`, silent on good ones and like a compiler on bad ones; `explain`, `new`,
//! `schema`.

use std::{fs, path::Path};

use livery_tests::programs::{Done, Program};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

async fn check(profiles: &[&Path]) -> Done {
    let mut arguments = vec!["check".to_owned()];
    arguments.extend(profiles.iter().map(|path| path.display().to_string()));
    Program::Livery.run(arguments).await.unwrap()
}

#[tokio::test]
async fn ours_are_accepted_silently() {
    let names =
        ["base.toml", "terminal.toml", "laptop.toml", "agent.toml", "windows.toml"].map(|name| root().join("profiles").join(name));
    let done = check(&names.each_ref().map(|path| path.as_path())).await;
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), "", ""));
}

#[tokio::test]
async fn a_bad_one_is_told_everything_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    let base = root().join("profiles/terminal.toml").canonicalize().unwrap();
    let text = format!(
        "schema = 1\nextends = \"{}\"\n\n[citrix]\nstore-ulr = \"https://gateway.assurance.example/\"\n\
         store-url = \"http://gateway.assurance.example/\"\n\n[locale]\nkeyboard = 7\n\n\
         [trust]\nauthorities = [\"no-such-file.pem\"]\n",
        base.display()
    );
    fs::write(&path, &text).unwrap();
    let done = check(&[&path]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    let said = done.stdout + done.stderr.as_str();
    for (line, column, words) in [
        (5, 1, vec!["store-ulr", "store-url"]),
        (6, 13, vec!["https"]),
        (9, 12, vec!["keyboard"]),
        (12, 16, vec!["no-such-file.pem"]),
    ] {
        assert!(said.contains(&format!("bad.toml:{line}:{column}")), "bad.toml:{line}:{column} in\n{said}");
        for word in words {
            assert!(said.contains(word), "{word} in\n{said}");
        }
        let source = text.lines().nth(line - 1).unwrap();
        assert!(said.contains(source), "the line itself, {source:?}, in\n{said}");
    }
}

#[tokio::test]
async fn a_cycle_and_a_missing_base_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = (folder.path().join("a.toml"), folder.path().join("b.toml"), folder.path().join("c.toml"));
    fs::write(&a, "schema = 1\nextends = \"b.toml\"\n").unwrap();
    fs::write(&b, "schema = 1\nextends = \"a.toml\"\n").unwrap();
    fs::write(&c, "schema = 1\nextends = \"nowhere.toml\"\n").unwrap();
    let done = check(&[&a]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("b.toml") && done.stderr.contains("cycle of `extends`"), "{done:?}");
    let done = check(&[&c]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stderr.contains("nowhere.toml"), "{done:?}");
    assert_eq!(check(&[&folder.path().join("absent.toml")]).await.code, Some(3));
    assert_eq!(Program::Livery.run(["check"]).await.unwrap().code, Some(2));
    // What a flag can't be, and what it can.
    let done = Program::Livery.run(["inspect", "terminal", "--store", "store"]).await.unwrap();
    assert!(done.code == Some(2) && done.stderr.contains("not an image reference: \"terminal\""), "{done:?}");
    assert!(done.stderr.contains("  fix: write NAME@VERSION"), "{done:?}");
}

#[tokio::test]
async fn machines_get_the_same_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    fs::write(&path, "schema = 1\nnaem = \"x\"\n").unwrap();
    let done = Program::Livery.run(["check", &path.display().to_string(), "--json"]).await.unwrap();
    assert_eq!(done.code, Some(3));
    let lines: Vec<serde_json::Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = lines[0].as_array().unwrap().iter().find(|one| one["message"].as_str().unwrap().contains("naem")).unwrap();
    assert_eq!((first["line"].as_u64(), first["column"].as_u64()), (Some(2), Some(1)), "{first}");
    assert!(first["help"].as_str().unwrap().contains("name"), "{first}");
}

async fn livery(arguments: &[&str]) -> Done {
    Program::Livery.run(arguments.iter().copied()).await.unwrap()
}

#[tokio::test]
async fn what_an_organisation_locks_stays_and_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let (base, ours) = (folder.path().join("base.toml"), folder.path().join("ours.toml"));
    let terminal = root().join("profiles/terminal.toml").canonicalize().unwrap();
    fs::write(&base, format!("schema = 1\nextends = \"{}\"\nabstract = true\nlocked = [\"citrix\"]\n", terminal.display()))
        .unwrap();
    let ours_text = "schema = 1\nextends = \"base.toml\"\n[citrix]\nmfa-hosts = [\"x.example\"]\n[debian]\nsuite = \"trixie\"\n";
    fs::write(&ours, ours_text).unwrap();
    let done = check(&[&ours]).await;
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(
        done.stderr.contains("ours.toml:4:1") && done.stderr.contains("base.toml:4 locks it, with all of [citrix]"),
        "{done:?}"
    );
    assert!(done.stderr.contains("ours.toml:6:1") && done.stderr.contains("`debian.suite` is locked"), "{done:?}");

    let ours = ours.display().to_string();
    let done = livery(&["explain", &ours, "citrix.mfa-hosts"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.starts_with("citrix.mfa-hosts = [\"mfa.assurance.example\"]\n"), "{done:?}");
    assert!(done.stdout.contains("ours.toml:4:1") && done.stdout.contains("would change it, but"), "{done:?}");
    assert!(done.stderr.contains("this profile has errors"), "{done:?}");
    let done = livery(&["explain", &ours, "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((json["kind"].as_str(), json["errors"].as_u64()), (Some("terminal"), Some(2)), "{json}");
    let done = livery(&["explain", &ours, "citrix.mfa-host"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("did you mean citrix.mfa-hosts?"), "{done:?}");
    assert_eq!(livery(&["explain", "no-such.toml"]).await.code, Some(3));
}

#[tokio::test]
async fn a_starter_is_accepted_and_never_written_over_anything() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for kind in ["base", "terminal", "laptop", "agent"] {
        let file = at(&format!("{kind}.toml"));
        let done = livery(&["new", kind, &file]).await;
        assert_eq!((done.code, done.stdout.lines().last()), (Some(0), Some(file.as_str())), "{done:?}");
        let done = livery(&["check", &file]).await;
        assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), "", ""), "{kind}");
        let text = fs::read_to_string(&file).unwrap();
        let done = livery(&["new", kind, &file]).await;
        assert!(done.code == Some(3) && done.stderr.contains("already"), "{done:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    let done = livery(&["new", "laptop", &at("branch.toml"), "--extends", &at("base.toml"), "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["file"].as_str(), Some(at("branch.toml").as_str()), "{done:?}");
    assert!(fs::read_to_string(at("branch.toml")).unwrap().contains("extends = \"base.toml\"\n"));
    assert_eq!(check(&[&folder.path().join("branch.toml")]).await.code, Some(0));
    let done = livery(&["new", "desktop", &at("desktop.toml")]).await;
    assert!(done.code == Some(2) && done.stderr.contains("there is no starter for \"desktop\""), "{done:?}");
}

#[tokio::test]
async fn the_schema_beside_the_profiles_is_what_the_program_prints() {
    let done = livery(&["schema"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout, fs::read_to_string(root().join("profiles/livery.schema.json")).unwrap());
}
