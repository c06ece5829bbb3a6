//! A stand-in for the organisation's Citrix Gateway (NetScaler) and StoreFront, as a user's browser sees them: HTTPS under
//! the organisation's own authority, user name and password, a second factor (a one-time code, a tap on the phone, a security
//! key), then the published desktop: in the same tab, or as a file for Citrix's client.
//!
//! It answers badly where a real one does: wrong password, wrong, late or reused code, a phone that says no or nothing, a
//! foreign or copied security key, lock after five failures, a ticket used twice, expired or idle session, 503. Each page reports by a beacon (`/standin/rendered`) that it has been drawn, and carries three marks of
//! known colours ([`MARKS`]), so that a picture of a screen can be checked without reading it.
//!
//! | module | step |
//! |---|---|
//! | [`pki`] | authority and certificate |
//! | [`accounts`] | who may sign in |
//! | [`totp`], [`push`], [`webauthn`] | the second factors |
//! | [`guard`], [`tickets`] | decides, and what it gives out for a while |
//! | [`pages`], [`routes`] | what the browser sees |
//! | [`ica`] | the file for Citrix's client |
//! | [`screen`], [`desktops`] | the desktop in the browser: its pixels; who typed what |
//! | [`journal`] | what is remembered |

pub mod accounts;
pub mod desktops;
pub mod guard;
pub mod ica;
pub mod journal;
pub mod pages;
pub mod pki;
pub mod push;
pub mod routes;
pub mod screen;
pub mod tickets;
pub mod totp;
pub mod webauthn;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use livery_contract::{Fault, Result};

use self::{
    accounts::{Accounts, Receiver},
    desktops::{Desktop, Desktops},
    guard::{Guard, Limits},
    journal::{Journal, Line},
    push::Answer,
    routes::Shared,
};

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
            guard: Guard::new(&config.host, config.accounts, config.limits),
            host: config.host.clone(),
            journal: Journal::open(config.log.as_deref())?,
            desktops: Desktops::default(),
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

    /// How often this page has been drawn.
    pub fn drawn(&self, page: &str) -> usize {
        self.beacons().iter().filter(|line| line.rendered.as_ref().is_some_and(|drawn| drawn.page == page)).count()
    }

    /// Whether this person's phone shows a request.
    pub fn phone_rings(&self, login: &str) -> bool {
        self.shared.guard.phone_rings(login, now())
    }

    /// The person answers on the phone; `false` where it shows nothing, or no longer. The browser hears of it within a second.
    pub fn answer_phone(&self, login: &str, answer: Answer) -> bool {
        self.shared.guard.phone_answers(login, answer, now())
    }

    /// Takes the `LogonTicket` of a file for Citrix's client, as the desktop would; gives the login that it lets in. Once only.
    pub fn redeem(&self, ticket: &str) -> Option<String> {
        self.shared.guard.redeem(ticket, Receiver::Native, now()).ok().map(|launch| launch.login)
    }

    /// The desktops opened in browsers, in order.
    pub fn desktops(&self) -> Vec<Desktop> {
        self.shared.desktops.list()
    }

    /// Ends a person's desktops, as where a machine is shut down.
    pub fn end_desktops(&self, login: &str) {
        self.shared.desktops.end_of(login);
    }

    /// Whether it answers, or 503 to everything.
    pub fn set_available(&self, available: bool) {
        self.shared.available.store(available, Ordering::Relaxed);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.handle.shutdown();
        // The server no longer knows of connections that have become WebSockets.
        self.shared.desktops.end_all();
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
