//! Bytes from a store behind an HTTP(S) server.

use bytes::Bytes;
use livery_contract::{Fault, Result};
use reqwest::{Client, StatusCode, header};

use super::answer::{Missing, SERVER, body, cut_short, ignores_ranges, lacks_pack, unexpected, unreachable};
use crate::location::Location;

/// The store's top, and the client that reaches it.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    base: Location,
    client: Client,
}

impl Web {
    pub(super) fn new(base: Location, client: Client) -> Self {
        Self { base, client }
    }

    pub(super) async fn whole(&self, relative: &str, limit: u64) -> Result<Bytes, Missing> {
        let url = self.base.place(relative);
        let response = self.client.get(&url).send().await.map_err(|error| unreachable(&url, error.without_url()))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Missing::Absent),
            status => return Err(unexpected(&url, status).into()),
        }
        let promised = response.content_length();
        Ok(body(response.bytes_stream(), promised, &url, limit, limit.min(1 << 20)).await?)
    }

    pub(super) async fn range(&self, relative: &str, offset: u64, length: u64) -> Result<Bytes> {
        let url = self.base.place(relative);
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let request = self.client.get(&url).header(header::RANGE, &range);
        let response = request.send().await.map_err(|error| unreachable(&url, error.without_url()))?;
        // A server that ignores ranges answers 200 with the whole pack; taking its first bytes would be wrong.
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK => return Err(ignores_ranges(&url)),
            StatusCode::NOT_FOUND => return Err(lacks_pack(&url)),
            status => return Err(unexpected(&url, status)),
        }
        let said = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !said.starts_with(&format!("bytes {offset}-{}/", offset + length - 1)) {
            return Err(Fault::source(format!("the request was for {range}, but the server answered with {said:.60}"))
                .at(&url)
                .fix(SERVER));
        }
        let promised = response.content_length();
        let bytes = body(response.bytes_stream(), promised, &url, length, length).await?;
        if bytes.len() as u64 != length {
            return Err(cut_short(&url, bytes.len() as u64, length));
        }
        Ok(bytes)
    }
}
