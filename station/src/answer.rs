//! What every route shares: reading a signed body within its limits, and a fault as an HTTP answer.

use std::time::Duration;

use axum::{
    Json,
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use livery_contract::{Exit, Fault, Result, envelope::Envelope, wire};

/// How long a body of at most 2 MiB may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A fault with the status that it is answered with; its body is a `FaultReport`.
#[derive(Debug)]
pub struct Refusal(pub StatusCode, pub Fault);

impl Refusal {
    /// 404.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, Fault::refused(what))
    }

    /// 409: it contradicts what is there.
    pub fn conflict(fault: Fault) -> Self {
        Self(StatusCode::CONFLICT, fault)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let status = match fault.exit() {
            Exit::Untrusted => StatusCode::FORBIDDEN,
            Exit::Refused => StatusCode::CONFLICT,
            Exit::Usage => StatusCode::BAD_REQUEST,
            Exit::Source => StatusCode::SERVICE_UNAVAILABLE,
            Exit::Done | Exit::Internal | Exit::Device => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, fault)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if self.0.is_server_error() {
            tracing::error!(status = self.0.as_u16(), "{}", self.1.render());
        } else if self.0 == StatusCode::NOT_FOUND {
            // TUF clients ask for the next root until there is none: no news.
            tracing::debug!("{}", self.1.render());
        } else {
            tracing::warn!(status = self.0.as_u16(), "{}", self.1.render());
        }
        (self.0, [(header::CACHE_CONTROL, "no-store")], Json(self.1.report())).into_response()
    }
}

/// A body that was read whole and is an envelope; nothing is verified yet.
#[derive(Debug)]
pub struct Signed {
    /// The very bytes that came.
    pub bytes: Bytes,
    /// The same, parsed.
    pub envelope: Envelope,
}

impl Signed {
    /// Reads it.
    ///
    /// # Errors
    /// 413 for more than [`wire::MAX_BODY`] bytes, 408 where they come too slowly, 400 where they are no envelope.
    pub async fn read(body: Body) -> Result<Self, Refusal> {
        let bytes = match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, wire::MAX_BODY)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                let fault = Fault::refused(format!("the body did not come, or has over {} bytes", wire::MAX_BODY)).cause(error);
                return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, fault));
            }
            Err(_) => {
                let fault = Fault::source(format!("the body took over {} s", BODY_TIME.as_secs()));
                return Err(Refusal(StatusCode::REQUEST_TIMEOUT, fault));
            }
        };
        let envelope = serde_json::from_slice(&bytes)
            .map_err(|error| Refusal(StatusCode::BAD_REQUEST, Fault::refused("the body is no signed envelope").cause(error)))?;
        Ok(Self { bytes, envelope })
    }
}
