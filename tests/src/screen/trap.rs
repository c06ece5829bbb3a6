//! A page that tries every way out by itself, on a host that the profile allows; and a place that it does not allow, which counts who
//! comes. Fails where an address is taken.

use std::{
    net::TcpListener,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use axum::{
    Router,
    extract::{Query, State},
    http::header,
    response::Html,
    routing::get,
};
use axum_server::tls_rustls::RustlsConfig;
use livery_contract::{Fault, Result};
use serde::Deserialize;

use super::desk::{ELSEWHERE, HERE, PROVIDER};
use crate::gateway::pki;

/// Where the page is: another port than the Gateway's.
const PORT: u16 = 4443;
/// The ports of the place that nobody may reach.
const FORBIDDEN: [u16; 2] = [8080, 8443];

/// What a page tries, by name: each is a button's action.
const TRIES: &[(&str, &str)] = &[
    ("elsewhere", "location.href = 'http://ELSEWHERE:8080/'"),
    ("elsewhere-https", "location.href = 'https://ELSEWHERE:8443/'"),
    ("elsewhere-frame", "document.body.append(Object.assign(document.createElement('iframe'), {src: 'http://ELSEWHERE:8080/'}))"),
    ("elsewhere-window", "open('http://ELSEWHERE:8080/')"),
    ("redirect", "location.href = '/redirect'"),
    ("file", "location.href = 'file:///etc/passwd'"),
    ("file-window", "open('file:///etc/passwd')"),
    ("about-config", "location.href = 'about:config'"),
    ("about-window", "open('about:support')"),
    ("view-source", "location.href = 'view-source:https://' + location.host + '/'"),
    ("data", "location.href = 'data:text/html,<title>data</title>out'"),
    ("mailto", "location.href = 'mailto:somebody@ELSEWHERE'"),
    ("protocol", "location.href = 'ssh://ELSEWHERE/'"),
    ("download", "location.href = '/download'"),
    ("picker", "document.querySelector('input[type=file]').showPicker()"),
    ("print", "print()"),
    ("popup", "open('/second', '', 'width=300,height=300')"),
    ("extension", "location.href = 'moz-extension://desk@livery/settings.html'"),
];

/// See the module.
pub struct Trap {
    seen: Arc<Mutex<Vec<String>>>,
    reached: Arc<AtomicUsize>,
}

impl Trap {
    /// Starts both, under the authority in `ca`.
    ///
    /// # Errors
    /// Where an address is taken or the authority is damaged.
    pub async fn set(ca: &Path) -> Result<Self> {
        let trap = Self { seen: Arc::default(), reached: Arc::default() };
        for port in FORBIDDEN {
            let listener = TcpListener::bind(("0.0.0.0", port)).map_err(taken)?;
            let reached = trap.reached.clone();
            thread::spawn(move || {
                for _ in listener.incoming() {
                    reached.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let identity = pki::identity(ca, "Assurance", &[PROVIDER.into()])?;
        let tls = RustlsConfig::from_pem(identity.certificate_pem.into_bytes(), identity.key_pem.into_bytes());
        let tls = tls.await.map_err(|error| Fault::internal("the TLS certificate does not load").cause(error))?;
        let listener = TcpListener::bind((HERE, PORT)).or_else(|_| TcpListener::bind(("0.0.0.0", PORT))).map_err(taken)?;
        listener.set_nonblocking(true).map_err(taken)?;
        let router = Router::new()
            .route("/", get(page))
            .route("/second", get(|| async { Html("<title>second</title><script>onload = () => setTimeout(close)</script>") }))
            .route("/seen", get(seen))
            .route("/redirect", get(|| async { axum::response::Redirect::to(&format!("http://{ELSEWHERE}:8080/")) }))
            .route(
                "/download",
                get(|| async { ([(header::CONTENT_DISPOSITION, "attachment; filename=livery-trap.bin")], "secret") }),
            )
            .with_state(trap.seen.clone());
        let server = axum_server::from_tcp_rustls(listener, tls).map_err(taken)?;
        tokio::spawn(server.serve(router.into_make_service()));
        Ok(trap)
    }

    /// The names of all tries.
    pub fn tries() -> impl Iterator<Item = &'static str> {
        TRIES.iter().map(|(name, _)| *name)
    }

    /// What is typed into the page for a try.
    pub fn keys_of(name: &str) -> Option<String> {
        Self::tries().zip('a'..).find(|(known, _)| *known == name).map(|(_, letter)| format!("#{letter}"))
    }

    /// The page.
    pub fn url() -> String {
        format!("https://{PROVIDER}:{PORT}/")
    }

    /// What the page has said so far: that it was drawn, and which try it began.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often somebody came to the place that nobody may reach.
    pub fn reached(&self) -> usize {
        self.reached.load(Ordering::Relaxed)
    }
}

#[derive(Deserialize)]
struct Said {
    what: String,
}

async fn seen(State(seen): State<Arc<Mutex<Vec<String>>>>, Query(said): Query<Said>) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(said.what);
}

/// `#` and a letter begin the try of that number; every other key the page only tells.
async fn page() -> Html<String> {
    let tries: Vec<String> = TRIES.iter().map(|(name, script)| format!("[{name:?}, () => {{ {script} }}]")).collect();
    let tries = tries.join(",\n").replace("ELSEWHERE", ELSEWHERE);
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>trap</title><style>body {{ background: #2e8b57 }}</style>\
         <input type=file><a id=link href='http://{ELSEWHERE}:8080/'>out</a>\n<script>\n\
         const say = (what) => fetch('/seen?what=' + encodeURIComponent(what), {{ keepalive: true }}).catch(() => {{}});\n\
         const tries = [{tries}];\n\
         addEventListener('load', () => requestAnimationFrame(() => requestAnimationFrame(() => say('drawn'))));\n\
         let armed = false;\n\
         addEventListener('keydown', (event) => {{\n\
           if (event.key === '#') return (armed = true);\n\
           const found = armed && event.key.length === 1 && tries[event.key.charCodeAt(0) - 97];\n\
           if (!found) return say('key ' + event.key);\n\
           armed = false;\n\
           say('try ' + found[0]).then(() => {{ try {{ found[1](); }} catch (error) {{ say('refused ' + found[0]); }} }});\n\
         }});\n</script>"
    ))
}

fn taken(error: std::io::Error) -> Fault {
    Fault::refused("can't listen").cause(error)
}
