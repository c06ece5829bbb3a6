//! A server that answers every request with one word, by plain HTTP: which server it was is all that is asked.

use std::net::SocketAddr;

use axum::Router;
use livery_contract::{Fault, Result};
use tokio::{net::TcpListener, task::JoinHandle};

/// A running one; it ends when dropped.
pub struct Word {
    task: JoinHandle<()>,
}

impl Word {
    /// Listens there.
    ///
    /// # Errors
    /// Where it can't.
    pub async fn start(at: SocketAddr, word: &'static str) -> Result<Self> {
        let listener = TcpListener::bind(at).await.map_err(|error| Fault::refused("can't listen").cause(error).at(at))?;
        let service = Router::new().fallback(move || async move { word });
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, service).await {
                eprintln!("{at}: stopped: {error}");
            }
        });
        Ok(Self { task })
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        self.task.abort();
    }
}
