//! The HTTPS server: routes, headers, start and stop.

use std::{
    ffi::OsString,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use axum_server::{
    Handle,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use livery_contract::{Fault, Result, wire};
use nix::sys::socket::{setsockopt, sockopt::TcpCongestion};
use tower_http::limit::RequestBodyLimitLayer;

use crate::{
    admission::enrol,
    evidence::{confirmations, records},
    http::{
        connections::{self, Limited},
        health,
        refusal::Refusal,
    },
    images::files,
    jobs::progress,
    line,
    station::Shared,
};

/// How long those connected have to finish when the station stops.
const GRACE: Duration = Duration::from_secs(10);
/// The most requests at once over one connection (RFC 9113, section 5.1.2).
const MOST_STREAMS: u32 = 64;
/// How long a handshake may take, and a request's head.
const HEAD_TIME: Duration = Duration::from_secs(15);

/// All routes.
fn routes(station: Shared) -> Router {
    let store = files::routes(station.catalogue.folder());
    let line = line::routes::routes(station.line.clone());
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/api/v1/enrol", post(enrol::post))
        .route("/api/v1/progress", post(progress::post))
        .route("/api/v1/failures", post(progress::post_failure))
        .route("/api/v1/records", post(records::post))
        .route("/api/v1/records/{order}", get(records::get))
        .route("/api/v1/confirmations", post(confirmations::post))
        .with_state(station)
        .merge(line)
        .merge(store)
        .fallback(async || Refusal::not_found("there is nothing at this address"))
        .layer(RequestBodyLimitLayer::new(wire::MAX_BODY))
        .layer(middleware::from_fn(headers))
}

async fn headers(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    tracing::debug!(%method, %path, status = response.status().as_u16(), "answered");
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A server that has begun.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, with the port that it was given.
    pub address: SocketAddr,
    handle: Handle<SocketAddr>,
    station: Shared,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    line: tokio::task::JoinHandle<()>,
}

/// Begins to serve on an address.
///
/// # Errors
/// `Refused` where the address cannot be had.
pub async fn start(station: Shared, tls: RustlsConfig, address: SocketAddr) -> Result<Running> {
    let taken = |error: std::io::Error| {
        Fault::refused("the station cannot listen on this address")
            .at(address)
            .fix("check whether another station is running; ports below 1024 need CAP_NET_BIND_SERVICE")
            .cause(error)
    };
    let listener = TcpListener::bind(address).map_err(taken)?;
    prefer_bbr(&listener);
    let address = listener.local_addr().map_err(taken)?;
    let handle = Handle::new();
    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(HEAD_TIME).acceptor(Limited::new(connections::most()));
    let mut server = axum_server::from_tcp(listener)
        .map_err(taken)?
        .acceptor(acceptor)
        .handle(handle.clone())
        .first_request_timeout(HEAD_TIME)
        .accept_error_handler(
            |_, error| tracing::error!(%error, "a connection could not be taken: is there an end to open files?"),
        );
    server.http_builder().http1().header_read_timeout(HEAD_TIME);
    server.http_builder().http2().max_concurrent_streams(MOST_STREAMS);
    let service = routes(station.clone()).into_make_service();
    let line = tokio::spawn(line::task::run(station.line.clone()));
    let server = tokio::spawn(server.serve(service));
    Ok(Running { address, handle, station, server, line })
}

/// Asks the kernel for the congestion control BBR, for all connections that this socket accepts (tcp(7)). The usual ones
/// take each lost packet for a jam: with one in a thousand lost, a connection over 40 ms carries 1 MB/s. Without BBR the
/// station works as well on a clean line, so its absence is no fault.
fn prefer_bbr(listener: &TcpListener) {
    if let Err(error) = setsockopt(listener, TcpCongestion, &OsString::from("bbr")) {
        tracing::info!(%error, "the kernel offers no BBR: networks that lose packets will be slower. `modprobe tcp_bbr` enables it");
    }
}

impl Running {
    /// Serves until Ctrl-C or SIGTERM, then lets those connected finish.
    ///
    /// # Errors
    /// `Internal` where the server ends by itself.
    pub(crate) async fn until_stopped(mut self) -> Result<()> {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .map_err(|error| Fault::internal("the station cannot wait for signals").cause(error))?;
        tokio::select! {
            ended = &mut self.server => return finished(ended),
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        self.stop().await
    }

    /// Stops, letting those connected finish for some seconds.
    ///
    /// # Errors
    /// `Internal` where the server ended with an error.
    pub async fn stop(self) -> Result<()> {
        self.station.line.stop();
        self.handle.graceful_shutdown(Some(GRACE));
        let ended = self.server.await;
        // The line was told to stop; it ends after its snapshot at hand.
        let _ = self.line.await;
        self.station.database.close().await;
        finished(ended)
    }
}

fn finished(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> Result<()> {
    let fault = |error: Box<dyn std::error::Error + Send + Sync>| Fault::internal("the server stopped unexpectedly").cause(error);
    ended.map_err(|error| fault(error.into()))?.map_err(|error| fault(error.into()))
}
