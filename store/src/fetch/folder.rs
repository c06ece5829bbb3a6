//! Bytes from a store in a folder.

use std::{io, os::unix::fs::FileExt as _, path::PathBuf};

use bytes::{Bytes, BytesMut};
use livery_contract::{Fault, Result};
use tokio::task::spawn_blocking;

use super::answer::{Missing, too_long};

/// The store's top.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(top: PathBuf) -> Self {
        Self(top)
    }

    pub(super) async fn whole(&self, relative: &str, limit: u64) -> Result<Bytes, Missing> {
        let path = self.0.join(relative);
        let place = path.display().to_string();
        let read = blocking(move || {
            let file = std::fs::File::open(&path)?;
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(file, limit.saturating_add(1)), &mut bytes)?;
            Ok(Bytes::from(bytes))
        });
        match read.await {
            Ok(bytes) if bytes.len() as u64 > limit => Err(too_long(&place, limit).into()),
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Missing::Absent),
            Err(error) => Err(Fault::source("reading failed")
                .at(place)
                .cause(error)
                .fix("check that the store's folder can be read, or copy the store again")
                .into()),
        }
    }

    pub(super) async fn range(&self, relative: &str, offset: u64, length: u64) -> Result<Bytes> {
        let path = self.0.join(relative);
        let place = format!("{}, bytes {offset}..{}", path.display(), offset + length);
        let size = usize::try_from(length).map_err(|_| Fault::internal("a range is larger than memory"))?;
        blocking(move || {
            let file = std::fs::File::open(&path)?;
            let mut bytes = BytesMut::zeroed(size);
            file.read_exact_at(&mut bytes, offset)?;
            Ok(bytes.freeze())
        })
        .await
        .map_err(|error| {
            Fault::source("reading a pack failed").at(place).cause(error).fix("the store is incomplete or damaged: copy it again")
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
