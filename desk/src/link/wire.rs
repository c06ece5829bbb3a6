//! Native messaging's framing: a length in the machine's own byte order, then so many bytes of JSON. Bounded on the way in: the
//! browser may be in somebody else's hands.

use livery_contract::{Fault, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use super::messages::{From, To};

/// The longest message from the browser.
const MOST: u32 = 4096;

/// Reads messages in a task of its own, since reading one cannot be broken off; the channel closes with the pipe.
pub(crate) fn reader(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> mpsc::Receiver<Result<From>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(message) = read(&mut pipe).await.transpose() {
            let ends = message.is_err();
            if sender.send(message).await.is_err() || ends {
                return;
            }
        }
    });
    receiver
}

/// The next message; `None` at the pipe's end.
async fn read(pipe: &mut (impl AsyncRead + Unpin)) -> Result<Option<From>> {
    let broken = |error: std::io::Error| Fault::internal("the browser's pipe breaks").cause(error);
    let mut length = [0; 4];
    match pipe.read_exact(&mut length).await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done.map_err(broken)?,
    };
    let length = u32::from_ne_bytes(length);
    if length > MOST {
        return Err(Fault::refused(format!("the browser sent a message of {length} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    pipe.read_exact(&mut bytes).await.map_err(broken)?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Fault::refused("the browser sent an unknown message").cause(error))
}

pub(crate) struct Writer<W>(W);

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(crate) fn new(pipe: W) -> Self {
        Self(pipe)
    }

    /// Writes one.
    ///
    /// # Errors
    /// Exit 1 where the pipe breaks.
    pub(crate) async fn send(&mut self, message: &To) -> Result<()> {
        let broken = |error: std::io::Error| Fault::internal("the browser's pipe breaks").cause(error);
        let bytes = serde_json::to_vec(message).map_err(|error| Fault::internal("a message does not encode").cause(error))?;
        let length = u32::try_from(bytes.len()).map_err(|error| Fault::internal("a message is too long").cause(error))?;
        self.0.write_all(&length.to_ne_bytes()).await.map_err(broken)?;
        self.0.write_all(&bytes).await.map_err(broken)?;
        self.0.flush().await.map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap();
        [&length.to_ne_bytes()[..], text.as_bytes()].concat()
    }

    #[tokio::test]
    async fn messages_come_one_by_one_until_something_is_wrong() {
        let beat = framed(r#"{"type":"beat"}"#);
        let mut two = reader(std::io::Cursor::new([beat.clone(), beat.clone()].concat()));
        assert_eq!(two.recv().await.unwrap().unwrap(), From::Beat {});
        assert_eq!(two.recv().await.unwrap().unwrap(), From::Beat {});
        assert!(two.recv().await.is_none());
        for bad in [framed("{}"), framed(&"x".repeat(5000)), beat[..9].to_vec()] {
            let mut pipe = reader(std::io::Cursor::new([bad, beat.clone()].concat()));
            assert!(pipe.recv().await.unwrap().is_err());
            assert!(pipe.recv().await.is_none(), "nothing after that is read");
        }
    }

    #[tokio::test]
    async fn what_is_written_is_framed() {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).send(&To::Leave).await.unwrap();
        assert_eq!(bytes, framed(r#"{"type":"leave"}"#));
    }
}
