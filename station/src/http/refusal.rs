//! A fault as an HTTP answer.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use livery_contract::{Exit, Fault};

/// A fault with the status that it is answered with; its body is a `FaultReport`.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) Fault);

impl Refusal {
    /// 400: the message is malformed.
    pub(crate) fn malformed(fault: Fault) -> Self {
        Self(StatusCode::BAD_REQUEST, fault)
    }

    /// 404.
    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, Fault::refused(what))
    }

    /// 409: it contradicts what is there.
    pub(crate) fn conflict(fault: Fault) -> Self {
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
