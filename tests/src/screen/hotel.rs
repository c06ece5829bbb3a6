//! The network of a hotel: whoever asks for anything over http gets its own sign-in page until he has accepted it, as RFC 8952 describes
//! such networks. It also is what the organisation's own page for the question (`kiosk.connectivity-check`) answers once one is through.

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

/// The title of its page.
pub const TITLE: &str = "Hotel Livery";
/// What NetworkManager looks for (NetworkManager.conf(5), `[connectivity] response`).
const THROUGH: &str = "NetworkManager is online\n";

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
    pub fn lock(&self) {
        self.captive.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has accepted since.
    pub fn is_through(&self) -> bool {
        !self.captive.load(Ordering::Relaxed)
    }
}

async fn accept(State(captive): State<Arc<AtomicBool>>) -> Response {
    captive.store(false, Ordering::Relaxed);
    Html("<title>welcome</title>").into_response()
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
