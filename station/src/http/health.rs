//! How the station is, for those who watch over it.
//!
//! `GET /healthz`: whether the database takes a write and gives it back. `GET /readyz`: the same, and whether the store can be vouched
//! for: whether a device that came now would get its job.

use axum::{extract::State, http::StatusCode};
use livery_contract::Result;

use super::refusal::Refusal;
use crate::station::{Shared, Station};

/// The route.
///
/// # Errors
/// 503 where the database cannot be written or read.
pub(crate) async fn healthz(State(station): State<Shared>) -> Result<&'static str, Refusal> {
    station.pulse.check(&station.database).await?;
    Ok("ok\n")
}

/// The route.
///
/// # Errors
/// 503 as [`healthz`], or where the store cannot be vouched for.
pub(crate) async fn readyz(State(station): State<Shared>) -> Result<&'static str, Refusal> {
    ready(&station).await.map_err(|fault| Refusal(StatusCode::SERVICE_UNAVAILABLE, fault))?;
    Ok("ready\n")
}

async fn ready(station: &Station) -> Result<()> {
    station.pulse.check(&station.database).await?;
    station.catalogue.look().await
}
