//! Bytes from a store in an object store that speaks S3, by the crate `object_store` over our own HTTP client: it names,
//! signs and checks requests; connections, authorities, timeouts and limits are the same as for any web server.
//!
//! In: `s3://BUCKET/PREFIX/` and the environment's `AWS_…`. Out: bytes. Fails with exit 2 where the settings make no sense,
//! 5 where the object store refuses or does not answer. No text that leaves here holds a secret.

mod http;
mod refusal;
mod settings;

use std::{error::Error, ffi::OsString, fmt, io};

use bytes::Bytes;
use futures::StreamExt as _;
use livery_contract::{Fault, Result};
use object_store::{GetOptions, GetRange, GetResult, ObjectStore as _, RetryConfig, aws::AmazonS3, path::Path};
use reqwest::Client;

use self::refusal::Refusal;
use super::answer::{Missing, SERVER, body, cut_short, ignores_ranges, lacks_pack, unreachable};
use crate::location::Location;

/// The store's top in its bucket, and the client that reaches it.
#[derive(Clone)]
pub(crate) struct Objects {
    location: Location,
    bucket: String,
    prefix: String,
    /// Where it is reached, for messages; none for Amazon's own.
    endpoint: Option<String>,
    /// Whether requests are signed.
    signed: bool,
    client: AmazonS3,
}

impl fmt::Debug for Objects {
    /// Without the client: it knows the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("location", &self.location).field("signed", &self.signed).finish_non_exhaustive()
    }
}

impl Objects {
    /// # Errors
    /// Exit 2 where the environment's settings make no sense.
    pub(super) fn new(
        location: &Location,
        client: Client,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        let Location::Objects(url) = location else { return Err(Fault::internal("no object store").at(location)) };
        let (bucket, prefix) = (url.host_str().unwrap_or_default(), url.path().trim_matches('/'));
        let settings = settings::Settings::read(environment)?;
        let client = settings
            .builder
            .with_bucket_name(bucket)
            // Who asks tries again; twice the patience would be none.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_http_connector(http::Connector::new(client))
            .build()
            .map_err(|error| Fault::usage("the object store's settings (AWS_…) are not valid").at(location).cause(error))?;
        Ok(Self {
            location: location.clone(),
            bucket: bucket.into(),
            prefix: prefix.into(),
            endpoint: settings.endpoint,
            signed: settings.signed,
            client,
        })
    }

    pub(super) async fn whole(&self, relative: &str, limit: u64) -> Result<Bytes, Missing> {
        let place = self.location.place(relative);
        let found = self.get(relative, None).await.map_err(|error| self.missing(relative, &error))?;
        let promised = Some(found.meta.size);
        Ok(body(pieces(found), promised, &place, limit, limit.min(1 << 20)).await?)
    }

    pub(super) async fn range(&self, relative: &str, offset: u64, length: u64) -> Result<Bytes> {
        let place = self.location.place(relative);
        let asked = offset..offset + length;
        let found = self.get(relative, Some(GetRange::Bounded(asked.clone()))).await.map_err(|error| {
            match self.missing(relative, &error) {
                Missing::Absent => lacks_pack(&place),
                Missing::Failed(fault) => fault,
            }
        })?;
        // Where an object ends early, S3 answers with what there is.
        if found.range != asked {
            return Err(Fault::source(format!("the pack ends at byte {}, but {asked:?} was requested", found.range.end))
                .at(place)
                .fix("the store is incomplete or damaged: copy it again"));
        }
        let bytes = body(pieces(found), None, &place, length, length).await?;
        if bytes.len() as u64 != length {
            return Err(cut_short(&place, bytes.len() as u64, length));
        }
        Ok(bytes)
    }

    async fn get(&self, relative: &str, range: Option<GetRange>) -> object_store::Result<GetResult> {
        let key = Path::parse(format!("{}/{relative}", self.prefix))?;
        self.client.get_opts(&key, GetOptions { range, ..GetOptions::default() }).await
    }

    /// What `object_store` says, as ours.
    fn missing(&self, relative: &str, error: &object_store::Error) -> Missing {
        let place = self.location.place(relative);
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(inner) = cause {
            if let Some(refusal) = inner.downcast_ref::<Refusal>() {
                return match refusal {
                    Refusal::NoRanges => ignores_ranges(&place).into(),
                    Refusal::Status(said) => said.missing(&place, &self.bucket, self.signed),
                };
            }
            if inner.is::<reqwest::Error>() {
                let at = self.endpoint.as_ref().map_or_else(|| place.clone(), |endpoint| format!("{place} ({endpoint})"));
                return unreachable(&at, told(inner)).into();
            }
            cause = inner.source();
        }
        Fault::source("the object store sent an answer that is not valid").at(place).cause(error.to_string()).fix(SERVER).into()
    }
}

/// The body. `object_store` wraps the errors of our own client into words that help nobody: they are taken out again.
fn pieces(found: GetResult) -> impl futures::Stream<Item = Result<Bytes, io::Error>> + Unpin {
    found.into_stream().map(|piece| {
        piece.map_err(|error| {
            let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
            while let Some(inner) = cause {
                if inner.is::<reqwest::Error>() {
                    return told(inner);
                }
                cause = inner.source();
            }
            io::Error::other(error.to_string())
        })
    })
}

/// An error and its causes in words.
fn told(error: &dyn Error) -> io::Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::fetch::{access::Access, fetcher::Fetcher};

    #[test]
    fn no_secret_in_what_is_printed() {
        let location: Location = "s3://bucket/prefix".parse().unwrap();
        let variables = [
            ("AWS_ACCESS_KEY_ID", "key-of-mine"),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-mine"),
            ("AWS_SESSION_TOKEN", "token-of-mine"),
        ];
        let objects = Objects::new(&location, Access::default().client().unwrap(), variables.map(|(k, v)| (k.into(), v.into())));
        let printed = format!("{:?}", Fetcher::Objects(objects.unwrap()));
        assert!(printed.contains("s3") && printed.contains("bucket") && printed.contains("signed: true"), "{printed}");
        assert!(!printed.contains("of-mine"), "{printed}");
    }
}
