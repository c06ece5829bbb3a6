//! A stand-in for the organisation's Citrix Gateway (NetScaler) and StoreFront, as a user's browser sees them: HTTPS under
//! the organisation's own authority, user name and password, a one-time code as from a smartphone, then the published
//! desktop.
//!
//! It answers badly where a real one does: wrong password, wrong, late or reused code, lock after five failures, expired
//! session, 503. Each page reports by a beacon (`/standin/rendered`) that it has been drawn, and carries three marks of
//! known colours ([`MARKS`]), so that a picture of a screen can be checked without reading it.
//!
//! | module | step |
//! |---|---|
//! | [`pki`] | authority and certificate |
//! | [`accounts`], [`totp`] | who may sign in |
//! | [`guard`] | decides |
//! | [`pages`], [`routes`] | what the browser sees |
//! | [`journal`] | what is remembered |

pub mod accounts;
pub mod guard;
pub mod journal;
pub mod pages;
pub mod pki;
pub mod routes;
pub mod totp;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use livery_contract::{Fault, Result};

use self::{accounts::Accounts, guard::Guard, guard::Limits, journal::Journal, journal::Line, routes::Shared};

/// The colours of the three marks on every page, red, green and blue: they occur nowhere else on it.
pub const MARKS: [[u8; 3]; 3] = [[0xe4, 0x57, 0x2e], [0x17, 0xbe, 0xbb], [0xff, 0xc9, 0x14]];

/// What it needs to start.
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The name that browsers know it by.
    pub host: String,
    /// Folder of the certificate authority, made when absent.
    pub ca: PathBuf,
    /// Whose Gateway it is, as on its pages.
    pub organisation: String,
    /// Who may sign in.
    pub accounts: Accounts,
    /// How strict it is.
    pub limits: Limits,
    /// Access log, JSON lines.
    pub log: Option<PathBuf>,
}

impl Config {
    /// On a free port of the loopback interface, with the usual limits and no log.
    pub fn new(host: &str, ca: impl Into<PathBuf>, accounts: Accounts) -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            host: host.to_owned(),
            ca: ca.into(),
            organisation: "Assurance".to_owned(),
            accounts,
            limits: Limits::default(),
            log: None,
        }
    }
}

/// A running one; it stops when dropped.
pub struct Gateway {
    address: SocketAddr,
    host: String,
    ca_pem: String,
    spki: String,
    handle: Handle<SocketAddr>,
    shared: Arc<Shared>,
}

impl Gateway {
    /// Starts it on the current tokio runtime; when this returns, it listens.
    ///
    /// # Errors
    /// Where the authority is damaged, the address is taken, or the log can't be opened.
    pub async fn start(config: Config) -> Result<Self> {
        let hosts = [config.host.clone(), "localhost".into(), config.listen.ip().to_string()];
        let identity = pki::identity(&config.ca, &config.organisation, &hosts)?;
        let tls = RustlsConfig::from_pem(identity.certificate_pem.into_bytes(), identity.key_pem.into_bytes())
            .await
            .map_err(|error| Fault::internal("the TLS certificate does not load").cause(error))?;
        let taken = |error: std::io::Error| Fault::refused("can't listen").cause(error).at(config.listen);
        let listener = TcpListener::bind(config.listen).map_err(taken)?;
        listener.set_nonblocking(true).map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let shared = Arc::new(Shared {
            organisation: config.organisation,
            guard: Guard::new(config.accounts, config.limits),
            journal: Journal::open(config.log.as_deref())?,
            available: AtomicBool::new(true),
        });
        let handle = Handle::new();
        let service = routes::router(shared.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let server = axum_server::from_tcp_rustls(listener, tls).map_err(taken)?.handle(handle.clone());
        tokio::spawn(async move {
            if let Err(error) = server.serve(service).await {
                eprintln!("gateway: stopped: {error}");
            }
        });
        Ok(Self { address, host: config.host, ca_pem: identity.ca_pem, spki: identity.spki, handle, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that a browser is given, where the host's name leads to [`address`](Self::address).
    pub fn url(&self) -> String {
        format!("https://{}:{}/", self.host, self.address.port())
    }

    /// The name that browsers know it by.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The authority that vouches for it, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The pin of its certificate; see [`pki::Identity::spki`].
    pub fn spki(&self) -> &str {
        &self.spki
    }

    /// Pages that said they have been drawn, in order.
    pub fn beacons(&self) -> Vec<Line> {
        self.shared.journal.beacons()
    }

    /// The accounts that it knows.
    pub fn accounts(&self) -> &Accounts {
        self.shared.guard.accounts()
    }

    /// Whether it answers, or 503 to everything.
    pub fn set_available(&self, available: bool) {
        self.shared.available.store(available, Ordering::Relaxed);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}
