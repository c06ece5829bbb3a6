//! Which way a laptop's browsers go: the same thousands of URLs through the PAC in real Firefox, real Chromium, pacparser and our
//! own evaluator, with the same answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use livery_tests::{
    pac::{
        chromium,
        crossing::{Side, plain},
        firefox::Firefox,
        pacparser, urls,
    },
    programs::{Done, Program, run},
};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

/// As the issue asks.
const COUNT: usize = 10_000;
const PROXY: &str = "proxy.corp.assurance.example";
const BY_PROXY: &str = "otherwise = \"proxy\"\nproxy = \"proxy.corp.assurance.example:3128\"\n";

struct Laptop {
    profile: PathBuf,
    _folder: tempfile::TempDir,
}

impl Laptop {
    /// The sample, with another section `[internet]`.
    fn new(internet: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles");
        for name in ["base.toml", "ca/assurance-root.pem", "saas/microsoft365.toml"] {
            let to = folder.path().join(name);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(profiles.join(name), to).unwrap();
        }
        let sample = std::fs::read_to_string(profiles.join("laptop.toml")).unwrap();
        let (before, _) = sample.split_once("[internet]").unwrap();
        let profile = folder.path().join("laptop.toml");
        std::fs::write(&profile, format!("{before}[internet]\n{internet}")).unwrap();
        Self { profile, _folder: folder }
    }

    async fn route(&self, more: &[&str]) -> Done {
        let arguments = ["route", self.profile.to_str().unwrap()].into_iter().chain(more.iter().copied());
        Program::Livery.run(arguments).await.unwrap().good().unwrap()
    }

    async fn show(&self, part: &str) -> String {
        self.route(&["--show", part]).await.stdout
    }

    /// Our own answers, as the PAC's words.
    async fn decide(&self, urls: &[String]) -> Vec<String> {
        let mut command = Program::Livery.command(["route", self.profile.to_str().unwrap(), "-", "--json"]).unwrap();
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text = urls.join("\n");
        let write = async move { stdin.write_all(text.as_bytes()).await };
        let (written, output) = tokio::join!(write, child.wait_with_output());
        written.unwrap();
        let said: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        said["routes"].as_array().unwrap().iter().map(|one| one["pac"].as_str().unwrap().to_owned()).collect()
    }
}

fn differences(urls: &[String], ours: &[String], theirs: &[String]) -> Vec<String> {
    assert_eq!(ours.len(), theirs.len());
    let all = urls.iter().zip(ours.iter().zip(theirs));
    all.filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(url, (ours, theirs))| format!("{url}: {ours}, they say {theirs}"))
        .collect()
}

#[tokio::test]
async fn the_same_ten_thousand_urls_go_the_same_way_by_every_judge() {
    let laptop = Laptop::new(&format!("{BY_PROXY}blocked-hosts = [\"*.games.example\", \"bad.crm.example\"]\n"));
    let table: Value = laptop.route(&["--json"]).await.json().unwrap();
    let urls = urls::urls(&table, COUNT, 5);
    let ours = laptop.decide(&urls).await;
    let kinds: BTreeMap<&str, usize> = ours.iter().fold(BTreeMap::new(), |mut map, answer| {
        *map.entry(answer.as_str()).or_default() += 1;
        map
    });
    println!("{kinds:?}");
    assert_eq!(ours.len(), COUNT);
    assert!(kinds.len() == 3 && kinds.values().all(|count| *count > 100), "{kinds:?}");

    let pacs = pacparser::ask(&laptop.show("pac").await, &urls).await.unwrap();
    let wrong = differences(&urls, &ours, &pacs);
    assert!(wrong.is_empty(), "pacparser: {} differ, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);

    let mut firefox = Firefox::start(&laptop.show("firefox").await).await.unwrap();
    let wrong = differences(&urls, &ours, &firefox.ask(&urls).await.unwrap());
    assert!(wrong.is_empty(), "Firefox: {} differ, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    drop(firefox);

    let seen = chromium::send(&laptop.show("chromium").await, &urls, PROXY).await.unwrap();
    let mut wrong = Vec::new();
    let mut hosts = BTreeSet::new();
    for (url, ours) in urls.iter().zip(&ours) {
        let parsed: url::Url = url.parse().unwrap();
        let host = plain(parsed.host_str().unwrap());
        let went = seen.get(&host).cloned().unwrap_or_default();
        let wanted: BTreeSet<Side> = match ours.as_str() {
            "DIRECT" => [Side::Direct].into(),
            answer if answer.starts_with("PROXY proxy.") => [Side::Proxy].into(),
            _ => BTreeSet::new(),
        };
        if went != wanted {
            wrong.push(format!("{url}: {ours}, Chromium went {went:?}"));
        }
        hosts.insert(host);
    }
    println!("Chromium: {} hosts", hosts.len());
    assert!(wrong.is_empty(), "Chromium: {} differ, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
}

#[tokio::test]
async fn a_closed_internet_is_closed_for_every_judge() {
    let laptop = Laptop::new("otherwise = \"blocked\"\n");
    let table: Value = laptop.route(&["--json"]).await.json().unwrap();
    let urls = urls::urls(&table, 2_000, 6);
    let ours = laptop.decide(&urls).await;
    assert!(ours.iter().all(|answer| ["DIRECT", "PROXY 127.0.0.1:9"].contains(&answer.as_str())));
    assert!(ours.iter().filter(|answer| *answer != "DIRECT").count() > 200);
    let wrong = differences(&urls, &ours, &pacparser::ask(&laptop.show("pac").await, &urls).await.unwrap());
    assert!(wrong.is_empty(), "pacparser: {} differ, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    let mut firefox = Firefox::start(&laptop.show("firefox").await).await.unwrap();
    let wrong = differences(&urls, &ours, &firefox.ask(&urls).await.unwrap());
    assert!(wrong.is_empty(), "Firefox: {} differ, such as {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
}

#[tokio::test]
async fn what_livery_route_says() {
    let laptop = Laptop::new(BY_PROXY);
    let said =
        laptop.route(&["https://teams.microsoft.com/x", "intranet.corp.assurance.example", "http://192.168.1.1/"]).await.stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("direct   teams.microsoft.com: microsoft365:allow (list "), "{said}");
    assert!(
        lines[1].starts_with("tunnel   intranet.corp.assurance.example: tunnel.domains, by *.corp.assurance.example"),
        "{said}"
    );
    assert!(lines[2].contains("in the local network"), "{said}");
    let terminal = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/terminal.toml");
    let refused = Program::Livery.run(["route", terminal.to_str().unwrap(), "a.example"]).await.unwrap();
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    let refused = Program::Livery.run(["route", laptop.profile.to_str().unwrap(), "https://"]).await.unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let rules = laptop.show("firewall").await;
    assert!(rules.contains("oifname \"corporate\" ip daddr @internal4 accept"), "{rules}");
    // The rules load: nft's own parser is the judge, in a network namespace of its own.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    let mut check = tokio::process::Command::new("unshare");
    check.args(["--user", "--map-root-user", "--net", "nft", "--check", "--file"]).arg(file.path()).kill_on_drop(true);
    run(check, "nft", Duration::from_secs(60)).await.unwrap().good().unwrap();
}

/// Microsoft's form, as its web service answers.
const SETS: &str = r#"[
    {"id": 1, "serviceArea": "Exchange", "urls": ["outlook.office.com"], "ips": ["52.96.0.0/14"], "tcpPorts": "443", "category": "Optimize", "required": true},
    {"id": 56, "serviceArea": "Common", "urls": ["login.microsoftonline.com"], "category": "Allow", "required": true}
]"#;

#[tokio::test]
async fn a_newer_list_is_shown_before_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let update = async |more: &[&str]| {
        let list = path("saas/microsoft365.toml");
        let arguments = ["saas", "update", &list].into_iter().chain(more.iter().copied());
        Program::Livery.run(arguments).await.unwrap()
    };
    let refused = update(&[]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--from"), "{}", refused.stderr);
    std::fs::write(path("one.json"), SETS).unwrap();
    let newer = SETS.replace("login.microsoftonline.com", "login.microsoft.com").replace("52.96.0.0/14", "40.96.0.0/13");
    std::fs::write(path("two.json"), newer).unwrap();

    let one = [&path("one.json"), "--list-version", "2025120100"].map(str::to_owned);
    let first = update(&["--from", &one[0], &one[1], &one[2]]).await.good().unwrap().stdout;
    assert!(
        first.contains("new: 2025120100") && first.contains("+ outlook.office.com") && first.contains("nothing was written"),
        "{first}"
    );
    assert!(!Path::new(&path("saas/microsoft365.toml")).exists());
    update(&["--from", &one[0], &one[1], &one[2], "--accept"]).await.good().unwrap();
    let kept = std::fs::read_to_string(path("saas/microsoft365.toml")).unwrap();

    let shown = update(&["--from", &path("two.json"), "--list-version", "2026010100"]).await.good().unwrap().stdout;
    for line in
        ["2025120100 -> 2026010100", "allow: 1 come, 1 go", "- login.microsoftonline.com", "+ 40.96.0.0/13", "- 52.96.0.0/14"]
    {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert_eq!(std::fs::read_to_string(path("saas/microsoft365.toml")).unwrap(), kept, "only shown");
    let json: Value = update(&["--json", "--from", &path("two.json"), "--accept"]).await.json().unwrap();
    assert_eq!(
        (json["accepted"].as_bool(), json["change"]["categories"]["allow"]["added"][0].as_str()),
        (Some(true), Some("login.microsoft.com"))
    );

    // Bad ones: nothing changes.
    let kept = std::fs::read_to_string(path("saas/microsoft365.toml")).unwrap();
    for (text, why) in [
        ("<html>Sign in to the network</html>", "not an endpoint list"),
        ("[{\"id\": 1, \"serviceArea\": \"x\"}]", "not an endpoint list"),
        (&SETS.replace("outlook.office.com", "*"), "not a host name pattern"),
        (&SETS[..100], "not an endpoint list"),
        ("[]", "not an endpoint list"),
    ] {
        std::fs::write(path("bad.json"), text).unwrap();
        let refused = update(&["--from", &path("bad.json"), "--accept"]).await;
        assert_eq!(refused.code, Some(3), "{text}: {}", refused.stderr);
        assert!(refused.stderr.contains(why), "{why} in {}", refused.stderr);
        assert_eq!(std::fs::read_to_string(path("saas/microsoft365.toml")).unwrap(), kept);
    }
    // Nobody listens there.
    let lost = update(&["--from", "https://127.0.0.1:9/endpoints/worldwide", "--accept"]).await;
    assert_eq!(lost.code, Some(5), "{}", lost.stderr);
    let plain = update(&["--from", "http://127.0.0.1:9/endpoints/worldwide"]).await;
    assert_eq!(plain.code, Some(2), "{}", plain.stderr);
    // Changed by hand, it is no base for anything.
    std::fs::write(path("saas/microsoft365.toml"), kept.replace("login", "logon")).unwrap();
    let changed = update(&["--from", &path("two.json")]).await;
    assert!(changed.code == Some(3) && changed.stderr.contains("edited it by hand"), "{}", changed.stderr);
}
