//! The network of a hotel: whoever asks for anything over http gets its own sign-in page until he has accepted it, as RFC 8952 describes
//! such networks; and nothing under https leads anywhere. It also is what the organisation's own page for the question (`kiosk.connectivity-check`) answers once one is through.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::post,
};
use livery_contract::{Fault, Result};

use super::desk::HOTEL;
use crate::programs::tool;

/// The title of its page.
pub const TITLE: &str = "Hotel Livery";
/// What NetworkManager looks for (NetworkManager.conf(5), `[connectivity] response`).
const THROUGH: &str = "NetworkManager is online\n";

/// What goes to port 443 is lost on the way, as such networks do it: there is no answer, not even a refusal.
const CLOSED: &str = "add table inet hotel; add chain inet hotel door { type filter hook input priority 0; }; \
    add rule inet hotel door tcp dport 443 drop";
/// All goes through again.
const OPEN: &str = "add table inet hotel; delete table inet hotel";

/// See the module.
pub struct Hotel {
    captive: Arc<AtomicBool>,
}

impl Hotel {
    /// Opens, on port 80 of the test's network.
    ///
    /// # Errors
    /// Where the port is taken.
    pub fn open() -> Result<Self> {
        let taken = |error: std::io::Error| Fault::internal("the hotel can't open").cause(error);
        let captive = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("0.0.0.0:80").map_err(taken)?;
        listener.set_nonblocking(true).map_err(taken)?;
        let router = Router::new().route("/accept", post(accept)).fallback(anything).with_state(captive.clone());
        let server = axum_server::from_tcp(listener).map_err(taken)?;
        tokio::spawn(server.serve(router.into_make_service()));
        Ok(Self { captive })
    }

    /// From now on everybody must accept first.
    ///
    /// # Errors
    /// Where the kernel takes no rule.
    pub async fn lock(&self) -> Result<()> {
        self.captive.store(true, Ordering::Relaxed);
        tool("nft", &[CLOSED]).await.map(drop)
    }

    /// Whether somebody has accepted since.
    pub fn is_through(&self) -> bool {
        !self.captive.load(Ordering::Relaxed)
    }
}

async fn accept(State(captive): State<Arc<AtomicBool>>) -> Response {
    captive.store(false, Ordering::Relaxed);
    match tool("nft", &[OPEN]).await {
        Ok(_) => Html("<title>welcome</title>").into_response(),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, fault.render()).into_response(),
    }
}

async fn anything(State(captive): State<Arc<AtomicBool>>, uri: Uri) -> Response {
    if !captive.load(Ordering::Relaxed) {
        return ([(header::CACHE_CONTROL, "no-store")], THROUGH).into_response();
    }
    if uri.path() != "/welcome" {
        return Redirect::temporary(&format!("http://{HOTEL}/welcome")).into_response();
    }
    let page = format!(
        "<!doctype html><title>{TITLE}</title><body style='background:#6a3d9a'><form method=post action=/accept>\
         <button autofocus>Accept</button></form>"
    );
    (StatusCode::OK, Html(page)).into_response()
}
