//! Our HTTP client below `object_store`: the authorities, timeouts and redirects of [`Access`](crate::fetch::access::Access) count,
//! whatever the crate's own options say, and an answer that refuses is read with a limit.

use http_body_util::BodyExt as _;
use object_store::{
    ClientOptions,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService},
};
use reqwest::{Client, Response, StatusCode, Url, header};

use super::refusal::{Refusal, Said};
use crate::fetch::access::SILENCE;

/// The most that is read of an answer that refuses: S3's are below 2 KiB.
const MAX_REFUSAL: usize = 64 << 10;

/// Hands our client to `object_store`.
#[derive(Clone, Debug)]
pub(super) struct Connector(Client);

impl Connector {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        if !body.is_empty() {
            return Err(failed(std::io::Error::other("a store can only be read here")));
        }
        let url: Url = parts.uri.to_string().parse().map_err(failed)?;
        let ranged = parts.headers.contains_key(header::RANGE);
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        let response = self.0.execute(request).await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            return Err(failed(Refusal::Status(refusal(response).await)));
        }
        // A server that ignores ranges answers 200 with the whole pack; taking its first bytes would be wrong.
        if ranged && status != StatusCode::PARTIAL_CONTENT {
            return Err(failed(Refusal::NoRanges));
        }
        let headers = response.headers().clone();
        let mut answer = HttpResponse::new(HttpResponseBody::new(reqwest::Body::from(response).map_err(broken)));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

/// What a refusal says, of as much of it as comes within [`SILENCE`] and [`MAX_REFUSAL`].
async fn refusal(mut response: Response) -> Said {
    let status = response.status();
    let region = response.headers().get("x-amz-bucket-region").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut text = Vec::new();
    let _ = tokio::time::timeout(SILENCE, async {
        while text.len() < MAX_REFUSAL
            && let Ok(Some(piece)) = response.chunk().await
        {
            text.extend_from_slice(&piece);
        }
    })
    .await;
    Said::new(status, region.as_deref(), &String::from_utf8_lossy(&text))
}

/// Of this kind, `object_store` never tries again.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

fn broken(error: reqwest::Error) -> HttpError {
    failed(error.without_url())
}
