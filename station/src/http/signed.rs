//! Reading a signed message: its body within limits, what it claims, and whether it was sent now.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use jiff::{SignedDuration, Timestamp};
use livery_contract::{
    Fault, Result,
    envelope::{Envelope, Payload},
    wire,
};

use super::refusal::Refusal;

/// How long a body of at most 2 MiB may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A body that was read whole and is an envelope; nothing is verified yet.
#[derive(Debug)]
pub(crate) struct Signed {
    /// The very bytes that came.
    pub(crate) bytes: Bytes,
    /// The same, parsed.
    pub(crate) envelope: Envelope,
}

impl Signed {
    /// Reads it.
    ///
    /// # Errors
    /// As [`read_at_most`](Self::read_at_most), for more than [`wire::MAX_BODY`] bytes.
    pub(crate) async fn read(body: Body) -> Result<Self, Refusal> {
        Self::read_at_most(wire::MAX_BODY, body).await
    }

    /// Reads one of so many bytes.
    ///
    /// # Errors
    /// 413 for more, 408 where they come too slowly, 400 where they are no envelope.
    pub(crate) async fn read_at_most(most: usize, body: Body) -> Result<Self, Refusal> {
        let bytes = match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, most)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                let fault = Fault::refused(format!("the body broke off, or is larger than {most} bytes")).cause(error);
                return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, fault));
            }
            Err(_) => {
                let fault = Fault::source(format!("the body took longer than {} s to arrive", BODY_TIME.as_secs()));
                return Err(Refusal(StatusCode::REQUEST_TIMEOUT, fault));
            }
        };
        let envelope = serde_json::from_slice(&bytes)
            .map_err(|error| Refusal(StatusCode::BAD_REQUEST, Fault::refused("the body is not a signed envelope").cause(error)))?;
        Ok(Self { bytes, envelope })
    }

    /// Reads what the message claims, before any signature is checked: to learn which job or key it names.
    ///
    /// # Errors
    /// 400 where it is malformed.
    pub(crate) fn claim<P: Payload>(&self) -> Result<P, Refusal> {
        self.envelope.peek().map_err(Refusal::malformed)
    }
}

/// An old message shall not be played again; the likely cause is a device without a battery for its clock.
pub(crate) fn check_time(at: Timestamp, now: Timestamp, slack: SignedDuration) -> Result<()> {
    let off = at.duration_since(now);
    if off.abs() <= slack {
        return Ok(());
    }
    let minutes = off.abs().as_mins();
    let how = if off.is_negative() { "behind" } else { "ahead of" };
    Err(Fault::untrusted(format!(
        "the device's clock is {minutes} minutes {how} the station's: the device says {at:.0}, the station {now:.0}"
    ))
    .fix("set the clock in the device's firmware setup or give it a time server, then start it again"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_clock_may_be_some_minutes_off() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let slack = SignedDuration::from_mins(15);
        check_time(now - SignedDuration::from_mins(14), now, slack).unwrap();
        check_time(now + SignedDuration::from_mins(14), now, slack).unwrap();
        let fault = check_time("1970-01-01T00:00:00Z".parse().unwrap(), now, slack).unwrap_err();
        assert_eq!(fault.exit().code(), 4);
        assert!(fault.render().contains("behind"), "{}", fault.render());
    }
}
