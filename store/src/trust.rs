//! TUF over a store's location, by `tough`; its errors as ours.
//!
//! `tough` follows the specification's client workflow: root rotation, then timestamp, snapshot, targets and delegated
//! roles, each checked for signature threshold, expiry, rollback and length.

use std::error::Error as _;

use bytes::Bytes;
use livery_contract::{Fault, Result};
use tough::{
    ExpirationEnforcement, RepositoryLoader, Transport, TransportError, TransportErrorKind, TransportStream, error::Error as Tough,
};
use url::Url;

use crate::{
    fetch::{Fetcher, Missing},
    location::Location,
};

/// The most bytes that a metadata file may have: a `personal` role of 100,000 images takes about 25 MB.
const MAX_METADATA: u64 = 64 << 20;

/// Lets `tough` read below one store's top, and nowhere else.
#[derive(Clone, Debug)]
struct Below {
    base: Url,
    fetcher: Fetcher,
}

#[async_trait::async_trait]
impl Transport for Below {
    async fn fetch(&self, url: Url) -> std::result::Result<TransportStream, TransportError> {
        let relative = url
            .as_str()
            .strip_prefix(self.base.as_str())
            .ok_or_else(|| TransportError::new_with_cause(TransportErrorKind::Other, &url, "it lies outside the store"))?;
        match self.fetcher.whole(relative, MAX_METADATA).await {
            Ok(bytes) => Ok(Box::pin(futures::stream::once(async move { Ok::<Bytes, TransportError>(bytes) }))),
            Err(Missing::Absent) => Err(TransportError::new(TransportErrorKind::FileNotFound, &url)),
            Err(Missing::Failed(fault)) => Err(TransportError::new_with_cause(TransportErrorKind::Other, &url, fault)),
        }
    }
}

/// Loads the repository from `root_json` on.
pub(crate) async fn load(
    location: &Location,
    fetcher: &Fetcher,
    root_json: &[u8],
    expiry: ExpirationEnforcement,
) -> Result<tough::Repository> {
    let base = location.base()?;
    let join = |folder: &str| base.join(folder).map_err(|error| Fault::internal("a store's URL").cause(error));
    RepositoryLoader::new(&root_json, join("metadata/")?, join("targets/")?)
        .expiration_enforcement(expiry)
        .transport(Below { base: base.clone(), fetcher: fetcher.clone() })
        .load()
        .await
        .map_err(|error| fault(error, location))
}

/// A `tough` error as ours: what could not be had is exit 5, all else 4.
pub(crate) fn fault(error: Tough, location: &Location) -> Fault {
    // A fault of our own fetcher, or a digest or length that does not fit, travels as a transport error's cause.
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(ours) = inner.downcast_ref::<Fault>() {
            let report = ours.report();
            let fault = Fault::new(report.exit, report.what).at(report.at.unwrap_or_else(|| location.to_string()));
            return match report.fix {
                Some(fix) => fault.fix(fix),
                None => fault,
            };
        }
        if let Some(inner @ (Tough::HashMismatch { .. } | Tough::MaxSizeExceeded { .. })) = inner.downcast_ref::<Tough>() {
            return Fault::untrusted(format!("a file of the store is not what was signed: {inner}"))
                .at(location)
                .fix("the store's copy is damaged or forged: copy that file again from a good store");
        }
        cause = inner.source();
    }
    match &error {
        Tough::ExpiredMetadata { role, .. } => Fault::untrusted(format!("the store's {role} metadata has expired"))
            .at(location)
            .fix("check this machine's clock; if it is right, ask IT to sign the store again: `livery refresh --store DIR --keys DIR`"),
        Tough::OlderMetadata { .. } | Tough::OlderSnapshotInTimestamp { .. } | Tough::SnapshotRoleRollback { .. } => {
            Fault::untrusted("the store is older than one that this program has seen before").at(location).cause(error).fix("somebody put an old store back: copy the current one")
        }
        Tough::Transport { source, .. } if source.kind() == TransportErrorKind::FileNotFound => {
            Fault::source(format!("this is not a store: {}", source.url())).at(location).fix("give the folder or URL that holds `metadata/timestamp.json`")
        }
        Tough::Transport { .. } => Fault::source("the store could not be read").at(location).cause(error).fix("check that the store can be read, or copy it again"),
        Tough::ParseTrustedMetadata { .. } => Fault::untrusted("the trusted root does not parse").cause(error).fix("give the root.json that `livery keygen` made"),
        _ => Fault::untrusted("the store's signatures are not valid").at(location).cause(error).fix(
            "other keys signed this store (see --trust, or --keys), or somebody changed it: copy it again, and check which root.json belongs to it",
        ),
    }
}
