//! `livery saas update` from a provider's own address: a stand-in for Microsoft's endpoint web service, over TLS, which answers as
//! documented and badly.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use livery_tests::{
    programs::{Done, Program, run},
    serving::Serving,
};

const FIRST: &str = r#"[{"id": 31, "serviceArea": "SharePoint", "serviceAreaDisplayName": "SharePoint Online",
    "urls": ["*.sharepoint.com"], "ips": ["13.107.136.0/22", "40.108.128.0/17"], "tcpPorts": "80,443", "expressRoute": true,
    "category": "Optimize", "required": true}]"#;
const SECOND: &str = r#"[{"id": 31, "serviceArea": "SharePoint", "serviceAreaDisplayName": "SharePoint Online",
    "urls": ["*.sharepoint.com", "new.sharepoint.example"], "ips": ["13.107.136.0/22"], "tcpPorts": "80,443",
    "expressRoute": true, "category": "Optimize", "required": true}]"#;

/// What the provider answers now.
#[derive(Clone)]
struct Says {
    version: String,
    list: String,
    status: StatusCode,
}

type Shared = Arc<Mutex<Says>>;

/// Microsoft refuses who does not give a number of his own.
fn answer(says: &Says, asked: &HashMap<String, String>, text: String) -> Response {
    match asked.get("clientrequestid").is_some_and(|id| id.len() == 36) {
        true => (says.status, text).into_response(),
        false => (StatusCode::BAD_REQUEST, "clientrequestid is missing").into_response(),
    }
}

async fn version(State(says): State<Shared>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let says = says.lock().unwrap().clone();
    let text = format!(r#"{{"instance": "Worldwide", "latest": "{}", "versions": []}}"#, says.version);
    answer(&says, &asked, text)
}

async fn endpoints(State(says): State<Shared>, Query(asked): Query<HashMap<String, String>>) -> Response {
    let says = says.lock().unwrap().clone();
    answer(&says, &asked, says.list.clone())
}

struct Bench {
    folder: tempfile::TempDir,
    provider: Serving,
    says: Shared,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let says = Arc::new(Mutex::new(Says { version: "2026110100".into(), list: FIRST.into(), status: StatusCode::OK }));
        let router = Router::new()
            .route("/version/worldwide", get(version))
            .route("/endpoints/worldwide", get(endpoints))
            .with_state(says.clone());
        let ca = folder.path().join("ca");
        let provider = Serving::start(router, 0, Some(&ca), "Provider", &["127.0.0.1".into()]).await.unwrap();
        Self { folder, provider, says }
    }

    fn list(&self) -> PathBuf {
        self.folder.path().join("microsoft365.toml")
    }

    fn source(&self) -> String {
        format!("{}/endpoints/worldwide", self.provider.origin())
    }

    fn says(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().unwrap());
    }

    async fn update(&self, arguments: &[&str], trusting: bool) -> Done {
        let list = self.list().display().to_string();
        let mut command = Program::Livery.command(["saas", "update", &list].iter().chain(arguments)).unwrap();
        if trusting {
            // As everywhere: which authorities a host trusts is its administrator's to say.
            command.env("SSL_CERT_FILE", self.folder.path().join("ca/ca.pem"));
        }
        run(command, "livery", Duration::from_secs(60)).await.unwrap()
    }
}

#[tokio::test]
async fn a_list_is_shown_then_taken_and_then_updated_from_where_it_came() {
    let bench = Bench::start().await;
    let shown = bench.update(&["--from", &bench.source()], true).await.good().unwrap();
    assert!(shown.stdout.contains("*.sharepoint.com") && shown.stdout.contains("--accept"), "{}", shown.stdout);
    assert!(!bench.list().exists(), "shown, not taken");
    bench.update(&["--from", &bench.source(), "--accept"], true).await.good().unwrap();
    let first = fs::read_to_string(bench.list()).unwrap();
    assert!(first.contains("version = \"2026110100\"") && first.contains(&bench.source()), "{first}");

    let same = bench.update(&["--json"], true).await.good().unwrap().json::<serde_json::Value>().unwrap();
    assert_eq!(same["accepted"], false, "{same}");
    bench.says(|says| (says.version, says.list) = ("2026120100".into(), SECOND.into()));
    let shown = bench.update(&[], true).await.good().unwrap();
    assert!(shown.stdout.contains("new.sharepoint.example") && shown.stdout.contains("40.108.128.0/17"), "{}", shown.stdout);
    assert_eq!(fs::read_to_string(bench.list()).unwrap(), first);
    bench.update(&["--accept"], true).await.good().unwrap();
    let second = fs::read_to_string(bench.list()).unwrap();
    assert!(
        second.contains("2026120100") && second.contains("new.sharepoint.example") && !second.contains("40.108.128"),
        "{second}"
    );
}

#[tokio::test]
async fn a_bad_answer_changes_nothing() {
    let bench = Bench::start().await;
    bench.update(&["--from", &bench.source(), "--accept"], true).await.good().unwrap();
    let before = fs::read(bench.list()).unwrap();
    let good = bench.says.lock().unwrap().clone();
    let long = format!("{}{}", FIRST.trim_end_matches(']'), " ".repeat(2 << 20));
    type Change = fn(&mut Says, &str);
    let bad: [(&str, Change, i32); 6] = [
        ("503", |says, _| says.status = StatusCode::SERVICE_UNAVAILABLE, 5),
        ("more than", |says, long| says.list = long.into(), 5),
        ("YYYYMMDDNN", |says, _| says.version = "soon".into(), 5),
        ("", |says, _| says.list = "<html>sign in to this Wi-Fi</html>".into(), 3),
        ("", |says, _| says.list = FIRST.replace("/22", "/99"), 3),
        ("", |says, _| says.list = "[]".into(), 3),
    ];
    for (word, change, code) in bad {
        bench.says(|says| change(says, &long));
        let done = bench.update(&["--accept"], true).await;
        assert_eq!(done.code, Some(code), "{word}: {}", done.stderr);
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
        assert_eq!(fs::read(bench.list()).unwrap(), before, "{word}");
        bench.says(|says| *says = good.clone());
    }
    // Somebody else in the provider's place: no authority of this host's has signed for him.
    let done = bench.update(&["--accept"], false).await;
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert_eq!(fs::read(bench.list()).unwrap(), before);
}
