//! Files below a store's top, whichever kind of store it is.

use bytes::Bytes;
use livery_contract::Result;

use super::{access::Access, answer::Missing, folder, objects, web};
use crate::location::Location;

/// Reads files below a store's top.
#[derive(Clone, Debug)]
pub(crate) enum Fetcher {
    Folder(folder::Folder),
    Web(web::Web),
    Objects(objects::Objects),
}

impl Fetcher {
    pub(crate) fn new(location: &Location, access: &Access) -> Result<Self> {
        Ok(match location {
            Location::Folder(path) => Self::Folder(folder::Folder::new(path.clone())),
            Location::Web(_) => Self::Web(web::Web::new(location.clone(), access.client()?)),
            Location::Objects(_) => Self::Objects(objects::Objects::new(location, access.client()?, std::env::vars_os())?),
        })
    }

    /// The whole file, which may have at most `limit` bytes.
    pub(crate) async fn whole(&self, relative: &str, limit: u64) -> Result<Bytes, Missing> {
        match self {
            Self::Folder(folder) => folder.whole(relative, limit).await,
            Self::Web(web) => web.whole(relative, limit).await,
            Self::Objects(objects) => objects.whole(relative, limit).await,
        }
    }

    /// Exactly `length` bytes from `offset`.
    pub(crate) async fn range(&self, relative: &str, offset: u64, length: u64) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        match self {
            Self::Folder(folder) => folder.range(relative, offset, length).await,
            Self::Web(web) => web.range(relative, offset, length).await,
            Self::Objects(objects) => objects.range(relative, offset, length).await,
        }
    }
}
