//! How the status bar and the idle time call the link: one word by a datagram socket in the runtime folder of the kiosk's user,
//! which only that user can enter. Fails where no link listens.

use std::{env, fs, os::unix::net::UnixDatagram, path::PathBuf};

use livery_contract::{Fault, Result};

/// The longest word.
const MOST: usize = 32;

/// What the link is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Settings,
    Leave,
}

impl Call {
    const ALL: [Self; 2] = [Self::Settings, Self::Leave];

    const fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Leave => "leave",
        }
    }

    fn of(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.word().as_bytes() == word)
    }
}

fn place() -> Result<PathBuf> {
    let folder = env::var_os("XDG_RUNTIME_DIR").ok_or_else(|| Fault::usage("$XDG_RUNTIME_DIR is not set"))?;
    Ok(PathBuf::from(folder).join("livery-link"))
}

/// Calls the link.
///
/// # Errors
/// Exit 1 where nobody listens.
pub(crate) fn ring(call: Call) -> Result<()> {
    let place = place()?;
    let failed = |error| Fault::internal("the browser's link does not listen").at(place.display()).cause(error);
    let socket = UnixDatagram::unbound().map_err(failed)?;
    socket.send_to(call.word().as_bytes(), &place).map_err(failed)?;
    Ok(())
}

/// The link's end.
#[derive(Debug)]
pub(crate) struct Doorbell(tokio::net::UnixDatagram);

impl Doorbell {
    /// Listens, in the place of the session before.
    ///
    /// # Errors
    /// Exit 1 where it can't.
    pub(crate) fn hang() -> Result<Self> {
        let place = place()?;
        let _ = fs::remove_file(&place);
        let socket = tokio::net::UnixDatagram::bind(&place);
        socket.map(Self).map_err(|error| Fault::internal("the link can't listen").at(place.display()).cause(error))
    }

    /// The next call; unknown words are ignored.
    ///
    /// # Errors
    /// Exit 1 where the socket fails.
    pub(crate) async fn next(&self) -> Result<Call> {
        loop {
            let mut word = [0; MOST];
            let length = self.0.recv(&mut word).await.map_err(|error| Fault::internal("the link can't listen").cause(error))?;
            if let Some(call) = Call::of(&word[..length]) {
                return Ok(call);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_count() {
        assert_eq!(Call::of(b"leave"), Some(Call::Leave));
        for other in [&b"leav"[..], b"leave ", b"", b"\0"] {
            assert_eq!(Call::of(other), None);
        }
    }
}
