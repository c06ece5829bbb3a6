//! Ctrl-C and SIGTERM while something is measured. Loop devices and namespaces are taken down by their owners' `Drop`, so the
//! program must come back from where it is, not end there.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use livery_contract::{Fault, Result};
use tokio::signal::unix::{SignalKind, signal};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Listens from now on, to the end of the program.
///
/// # Errors
/// Where the kernel gives no signal handlers.
pub fn listen() -> Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let mut stream = signal(kind).map_err(|error| Fault::internal("signals can't be listened to").cause(error))?;
        tokio::spawn(async move {
            stream.recv().await;
            ASKED.store(true, Ordering::Relaxed);
        });
    }
    Ok(())
}

/// Whether someone wants it to end.
///
/// # Errors
/// Where someone does.
pub fn check() -> Result<()> {
    if ASKED.load(Ordering::Relaxed) { Err(Fault::refused("interrupted")) } else { Ok(()) }
}

/// Does this, unless someone wants the program to end before.
///
/// # Errors
/// Where someone does, or it fails.
pub async fn unless<T>(doing: impl Future<Output = Result<T>>) -> Result<T> {
    let asked = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if let Err(fault) = check() {
                return fault;
            }
        }
    };
    tokio::select! {
        done = doing => done,
        fault = asked => Err(fault),
    }
}
