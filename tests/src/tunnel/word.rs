//! A server that answers every request with one word, by plain HTTP: which server it was is all that is asked. The word can be
//! changed, which is how a test speaks to a laptop that asks.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::Router;
use livery_contract::{Fault, Result};
use tokio::{net::TcpListener, task::JoinHandle};

/// A running one; it ends when dropped.
pub struct Word {
    task: JoinHandle<()>,
    word: Arc<Mutex<&'static str>>,
}

impl Word {
    /// Listens there.
    ///
    /// # Errors
    /// Where it can't.
    pub async fn start(at: SocketAddr, word: &'static str) -> Result<Self> {
        let listener = TcpListener::bind(at).await.map_err(|error| Fault::refused("can't listen").cause(error).at(at))?;
        let word = Arc::new(Mutex::new(word));
        let says = word.clone();
        let service = Router::new().fallback(move || async move { *says.lock().unwrap_or_else(PoisonError::into_inner) });
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, service).await {
                eprintln!("{at}: stopped: {error}");
            }
        });
        Ok(Self { task, word })
    }

    /// Says this from now on.
    pub fn says(&self, word: &'static str) {
        *self.word.lock().unwrap_or_else(PoisonError::into_inner) = word;
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        self.task.abort();
    }
}
