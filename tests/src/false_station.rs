//! A station that answers an agent's enrolment with whatever a test wants, signed with whatever key, and keeps what the
//! agent tells it afterwards. It has no store: an agent that believed it would not come far.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Json, Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use livery_contract::{
    Result,
    envelope::Envelope,
    wire::{Enrol, EnrolAnswer, Failure},
};

use crate::serving::Serving;

type Make = dyn Fn(&Enrol) -> EnrolAnswer + Send + Sync;

struct Shared {
    make: Box<Make>,
    failures: Mutex<Vec<Failure>>,
    enrolled: Mutex<Vec<Enrol>>,
}

/// A running one; it stops when dropped.
pub struct FalseStation {
    serving: Serving,
    shared: Arc<Shared>,
}

impl FalseStation {
    /// Starts it on a free port of the loopback interface, with a certificate by the authority in `ca`.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(ca: &Path, make: impl Fn(&Enrol) -> EnrolAnswer + Send + Sync + 'static) -> Result<Self> {
        let shared = Arc::new(Shared { make: Box::new(make), failures: Mutex::default(), enrolled: Mutex::default() });
        let routes =
            Router::new().route("/api/v1/enrol", post(enrol)).route("/api/v1/failures", post(failure)).with_state(shared.clone());
        Ok(Self { serving: Serving::start(routes, 0, Some(ca), "Some station", &["127.0.0.1".into()]).await?, shared })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.serving.origin()
    }

    /// What agents said when they gave up.
    pub fn failures(&self) -> Vec<Failure> {
        self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who asked for a job.
    pub fn enrolled(&self) -> Vec<Enrol> {
        self.shared.enrolled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn enrol(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<EnrolAnswer>, StatusCode> {
    let envelope: Envelope = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let claimed: Enrol = envelope.peek().map_err(|_| StatusCode::BAD_REQUEST)?;
    let enrol: Enrol = envelope.open(&claimed.key).map_err(|_| StatusCode::FORBIDDEN)?;
    shared.enrolled.lock().unwrap_or_else(PoisonError::into_inner).push(enrol.clone());
    Ok(Json((shared.make)(&enrol)))
}

async fn failure(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<StatusCode, StatusCode> {
    let envelope: Envelope = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let keys: Vec<_> = shared.enrolled.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|enrol| enrol.key).collect();
    let failure = keys.iter().find_map(|key| envelope.open::<Failure>(key).ok()).ok_or(StatusCode::FORBIDDEN)?;
    shared.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    Ok(StatusCode::NO_CONTENT)
}
