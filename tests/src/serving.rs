//! An HTTP server of the tests' own on the loopback, with TLS or without.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use livery_contract::{Fault, Result};

use crate::gateway::pki;

/// A running one; it stops when dropped.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    tls: bool,
    handle: Handle<SocketAddr>,
}

impl Serving {
    /// Answers by `service` on this port (0: any); with `ca`, over HTTPS with a certificate for `hosts` by the authority in
    /// that folder, in the name of `owner`.
    ///
    /// # Errors
    /// Where the port can't be had, or no certificate can be made.
    pub async fn start(service: Router, port: u16, ca: Option<&Path>, owner: &str, hosts: &[String]) -> Result<Self> {
        let Some(ca) = ca else { return Self::plain(service, port) };
        let (listener, address) = listen(port)?;
        let identity = pki::identity(ca, owner, hosts)?;
        let tls = RustlsConfig::from_pem(identity.certificate_pem.into(), identity.key_pem.into()).await.map_err(failed)?;
        let handle = Handle::new();
        let server = axum_server::from_tcp_rustls(listener, tls).map_err(failed)?.handle(handle.clone());
        tokio::spawn(server.serve(service.into_make_service()));
        Ok(Self { address, tls: true, handle })
    }

    /// The same without TLS.
    ///
    /// # Errors
    /// Where the port can't be had.
    pub fn plain(service: Router, port: u16) -> Result<Self> {
        let (listener, address) = listen(port)?;
        let handle = Handle::new();
        let server = axum_server::from_tcp(listener).map_err(failed)?.handle(handle.clone());
        tokio::spawn(server.serve(service.into_make_service()));
        Ok(Self { address, tls: false, handle })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Scheme, address and port, without a slash at the end.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

fn listen(port: u16) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn failed(error: std::io::Error) -> Fault {
    Fault::internal("can't listen").cause(error)
}
