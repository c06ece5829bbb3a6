//! HTTP: which path answers what, headers, the log. What to decide is the [`guard`](super::guard)'s business.
//!
//! Paths and cookie names are those of a NetScaler Gateway with a RADIUS challenge in front of StoreFront; what differs from
//! version to version there (`/cgi/push`, `/cgi/fido2`) or is not HTTP at all (`/standin/`) is ours.
//!
//! | module | what it answers |
//! |---|---|
//! | [`sign_in`] | name and password, signing out |
//! | [`factors`] | the second factor |
//! | [`store`] | the published desktop, the file that launches it |
//! | [`desktop`] | the desktop in the browser |
//! | [`cookies`] | |

pub mod cookies;
pub mod desktop;
pub mod factors;
pub mod sign_in;
pub mod store;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use askama::Template;
use axum::{
    Extension, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{MethodRouter, any, get, post},
};
use jiff::Timestamp;
use serde::Deserialize;

use self::cookies::{ERROR, set, with_cookies};
use super::{
    desktops::Desktops,
    guard::{Guard, Outcome},
    journal::{Journal, Line, Rendered},
    pages::{Complaint, Language, Unavailable},
};

const SIGN_IN: &str = "/logon/LogonPoint/index.html";
const CHALLENGE: &str = "/logon/LogonPoint/challenge.html";
const STORE: &str = "/Citrix/StoreWeb/";
/// Everything comes from the server itself, and nothing may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What all requests share.
pub struct Shared {
    /// Whose Gateway it is.
    pub organisation: String,
    /// The name that browsers know it by.
    pub host: String,
    /// Who decides.
    pub guard: Guard,
    /// Who remembers.
    pub journal: Journal,
    /// What people have opened.
    pub desktops: Desktops,
    /// Whether it answers at all, or 503 to everything.
    pub available: AtomicBool,
}

type App = Arc<Shared>;

/// All routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to(SIGN_IN) }))
        .route("/vpn/index.html", get(|| async { Redirect::to(SIGN_IN) }))
        .route(SIGN_IN, get(sign_in::page))
        .route("/cgi/login", post(sign_in::login))
        .route("/cgi/logout", get(sign_in::logout))
        .route(CHALLENGE, get(factors::page))
        .route("/cgi/dlge", post(factors::code))
        .route("/cgi/push", get(factors::push))
        .route("/cgi/fido2", post(factors::key))
        .route(STORE, get(store::page))
        .route(store::LAUNCH, get(store::launch))
        .route("/standin/launch", post(store::redeem))
        .route(desktop::PAGE, get(desktop::page))
        .route(desktop::LINE, any(desktop::line))
        .route("/standin/rendered", get(rendered).post(rendered))
        .route("/logon/LogonPoint/style.css", asset("text/css", include_str!("../../../templates/gateway/style.css")))
        .route("/logon/LogonPoint/page.js", asset(SCRIPT, include_str!("../../../templates/gateway/page.js")))
        .route("/logon/LogonPoint/push.js", asset(SCRIPT, include_str!("../../../templates/gateway/push.js")))
        .route("/logon/LogonPoint/key.js", asset(SCRIPT, include_str!("../../../templates/gateway/key.js")))
        .route(desktop::SCRIPT_PATH, asset(SCRIPT, include_str!("../../../templates/gateway/desktop.js")))
        .route("/logon/LogonPoint/shield.svg", asset("image/svg+xml", include_str!("../../../templates/gateway/shield.svg")))
        .layer(DefaultBodyLimit::max(16 << 10))
        .layer(middleware::from_fn_with_state(app.clone(), around))
        .with_state(app)
}

/// Around every request: 503 where that is wanted, headers that every answer has, and the log.
async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let language = language(request.headers());
    let mut line = Line {
        at: Timestamp::now(),
        remote: request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        status: 0,
        user_agent: text(request.headers(), header::USER_AGENT),
        accept_language: text(request.headers(), header::ACCEPT_LANGUAGE),
        outcome: None,
        rendered: None,
    };
    let mut response = if app.available.load(Ordering::Relaxed) {
        next.run(request).await
    } else {
        let page = Unavailable { language, organisation: &app.organisation };
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], draw(&page)).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in
        [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "no-referrer")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Unless the page has one of its own.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    line.status = response.status().as_u16();
    line.outcome = response.extensions().get::<Outcome>().copied();
    line.rendered = response.extensions().get::<Rendered>().cloned();
    app.journal.add(line);
    response
}

#[derive(Deserialize)]
struct Window {
    page: Option<String>,
    w: u32,
    h: u32,
}

async fn rendered(Query(window): Query<Window>) -> Response {
    let page = window.page.unwrap_or_default().chars().take(200).collect();
    (StatusCode::NO_CONTENT, Extension(Rendered { page, width: window.w, height: window.h })).into_response()
}

/// Back to a page that says, in general words, that it did not work.
fn back(to: &str, outcome: Outcome) -> Response {
    with_outcome(with_cookies(Redirect::to(to), &[set(ERROR, complaint(outcome).number())]), outcome)
}

fn complaint(outcome: Outcome) -> Complaint {
    match outcome {
        Outcome::Locked => Complaint::Locked,
        Outcome::NoChallenge | Outcome::NoSession => Complaint::Expired,
        Outcome::PushDenied => Complaint::Denied,
        Outcome::PushTimedOut => Complaint::Unanswered,
        Outcome::PushReplaced => Complaint::Replaced,
        _ => Complaint::Credentials,
    }
}

fn draw(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

const SCRIPT: &str = "text/javascript";

fn asset<S: Clone + Send + Sync + 'static>(kind: &'static str, text: &'static str) -> MethodRouter<S> {
    get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The host, and the port where there is one, that the browser reached it by: in HTTP/2, that is no header.
fn reached_by(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let host = uri.authority().map(ToString::to_string).or_else(|| text(headers, header::HOST))?;
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    plain.then_some(host)
}

fn language(headers: &HeaderMap) -> Language {
    Language::of_header(&text(headers, header::ACCEPT_LANGUAGE).unwrap_or_default())
}

fn with_outcome(mut response: Response, outcome: Outcome) -> Response {
    response.extensions_mut().insert(outcome);
    response
}
