//! HTTP: which path answers what, cookies, headers, the log. What to decide is the [`guard`](super::guard)'s business.
//!
//! Paths and cookie names are those of a NetScaler Gateway with a RADIUS challenge in front of StoreFront.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use askama::Template;
use axum::{
    Extension, Form, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    guard::{Guard, Outcome},
    journal::{Journal, Line, Rendered},
    pages::{Code, Complaint, Language, SignIn, StorePage, Unavailable},
};

const SIGN_IN: &str = "/logon/LogonPoint/index.html";
const CHALLENGE: &str = "/logon/LogonPoint/challenge.html";
const STORE: &str = "/Citrix/StoreWeb/";
/// The session, as on a NetScaler.
const SESSION: &str = "NSC_AAAC";
/// The sign-in under way.
const TICKET: &str = "NSC_TMAS";
/// Why the sign-in page is shown again.
const ERROR: &str = "NSC_VPNERR";
/// Everything comes from the server itself, and nothing may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What all requests share.
pub struct Shared {
    /// Whose Gateway it is.
    pub organisation: String,
    /// Who decides.
    pub guard: Guard,
    /// Who remembers.
    pub journal: Journal,
    /// Whether it answers at all, or 503 to everything.
    pub available: AtomicBool,
}

type App = Arc<Shared>;

/// All routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to(SIGN_IN) }))
        .route("/vpn/index.html", get(|| async { Redirect::to(SIGN_IN) }))
        .route(SIGN_IN, get(sign_in))
        .route("/cgi/login", post(login))
        .route(CHALLENGE, get(challenge))
        .route("/cgi/dlge", post(code))
        .route("/cgi/logout", get(logout))
        .route(STORE, get(store))
        .route("/standin/rendered", get(rendered).post(rendered))
        .route(
            "/logon/LogonPoint/style.css",
            get(|| async { asset("text/css", include_str!("../../templates/gateway/style.css")) }),
        )
        .route(
            "/logon/LogonPoint/page.js",
            get(|| async { asset("text/javascript", include_str!("../../templates/gateway/page.js")) }),
        )
        .route(
            "/logon/LogonPoint/shield.svg",
            get(|| async { asset("image/svg+xml", include_str!("../../templates/gateway/shield.svg")) }),
        )
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
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    line.status = response.status().as_u16();
    line.outcome = response.extensions().get::<Outcome>().copied();
    line.rendered = response.extensions().get::<Rendered>().cloned();
    app.journal.add(line);
    response
}

async fn sign_in(State(app): State<App>, headers: HeaderMap) -> Response {
    let complaint = cookie(&headers, ERROR).and_then(Complaint::of_number);
    let page = SignIn { language: language(&headers), organisation: &app.organisation, complaint };
    with_cookies(draw(&page), &[clear(ERROR)])
}

#[derive(Deserialize)]
struct Login {
    login: String,
    passwd: String,
}

async fn login(State(app): State<App>, Form(form): Form<Login>) -> Response {
    match app.guard.password(&form.login, &form.passwd, now()) {
        Ok(ticket) => with_outcome(with_cookies(Redirect::to(CHALLENGE), &[set(TICKET, &ticket)]), Outcome::Challenge),
        Err(outcome) => back(SIGN_IN, outcome),
    }
}

async fn challenge(State(app): State<App>, headers: HeaderMap) -> Response {
    if !cookie(&headers, TICKET).is_some_and(|ticket| app.guard.challenged(ticket, now())) {
        return back(SIGN_IN, Outcome::NoChallenge);
    }
    let complaint = cookie(&headers, ERROR).and_then(Complaint::of_number);
    let page = Code { language: language(&headers), organisation: &app.organisation, complaint };
    with_cookies(draw(&page), &[clear(ERROR)])
}

#[derive(Deserialize)]
struct Answer {
    response: String,
}

async fn code(State(app): State<App>, headers: HeaderMap, Form(form): Form<Answer>) -> Response {
    let Some(ticket) = cookie(&headers, TICKET) else { return back(SIGN_IN, Outcome::NoChallenge) };
    match app.guard.code(ticket, form.response.trim(), now()) {
        Ok(session) => with_outcome(with_cookies(Redirect::to(STORE), &[set(SESSION, &session), clear(TICKET)]), Outcome::SignedIn),
        Err(outcome @ (Outcome::Locked | Outcome::NoChallenge)) => back(SIGN_IN, outcome),
        Err(outcome) => back(CHALLENGE, outcome),
    }
}

async fn store(State(app): State<App>, headers: HeaderMap) -> Response {
    match cookie(&headers, SESSION).and_then(|token| app.guard.session(token, now())) {
        Some(account) => {
            draw(&StorePage { language: language(&headers), organisation: &app.organisation, account }).into_response()
        }
        None => back(SIGN_IN, Outcome::NoSession),
    }
}

async fn logout(State(app): State<App>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers, SESSION) {
        app.guard.sign_out(token);
    }
    let cookies = [clear(SESSION), clear(TICKET), clear(ERROR)];
    with_outcome(with_cookies(Redirect::to(SIGN_IN), &cookies), Outcome::SignedOut)
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
    let complaint = match outcome {
        Outcome::Locked => Complaint::Locked,
        Outcome::NoChallenge | Outcome::NoSession => Complaint::Expired,
        _ => Complaint::Credentials,
    };
    with_outcome(with_cookies(Redirect::to(to), &[set(ERROR, complaint.number())]), outcome)
}

fn draw(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn language(headers: &HeaderMap) -> Language {
    Language::of_header(&text(headers, header::ACCEPT_LANGUAGE).unwrap_or_default())
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn set(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

fn clear(name: &str) -> String {
    format!("{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
}

fn with_cookies(response: impl IntoResponse, cookies: &[String]) -> Response {
    let mut response = response.into_response();
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

fn with_outcome(mut response: Response, outcome: Outcome) -> Response {
    response.extensions_mut().insert(outcome);
    response
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
