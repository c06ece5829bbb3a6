//! A station inside the device: one job, for a disk that the case names. Plain HTTP, which the agent allows on the loopback.

use std::{
    os::unix::fs::FileExt as _,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use livery_contract::{
    Digest, Result,
    envelope::{Envelope, PublicKey},
    job::{DiskHints, Job, SCHEMA},
    record::Record,
    wire::{Enrol, EnrolAnswer, Failure, Phase, Progress, Receipt},
};
use uuid::Uuid;

use super::cases::Plan;
use crate::serving::Serving;

/// What the agent told.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// It has its job.
    pub enrolled: bool,
    /// The last step that it reported.
    pub phase: Option<Phase>,
    /// Why it gave up.
    pub failure: Option<Failure>,
    /// What it did.
    pub record: Option<Record>,
}

struct Shared {
    store: PathBuf,
    plan: Plan,
    hints: DiskHints,
    key: SigningKey,
    job: Mutex<Option<Job>>,
    heard: Mutex<Heard>,
}

/// A running one; it stops when dropped.
pub struct Station {
    serving: Serving,
    shared: Arc<Shared>,
}

impl Station {
    /// Starts it on a free port, with the store in this folder.
    ///
    /// # Errors
    /// Where no port can be had.
    pub fn start(store: &Path, plan: &Plan, hints: DiskHints) -> Result<Self> {
        let shared = Arc::new(Shared {
            store: store.to_owned(),
            plan: plan.clone(),
            hints,
            key: SigningKey::from_bytes(&[7; 32]),
            job: Mutex::default(),
            heard: Mutex::default(),
        });
        let routes = Router::new()
            .route("/api/v1/enrol", post(enrol))
            .route("/api/v1/progress", post(progress))
            .route("/api/v1/failures", post(failure))
            .route("/api/v1/records", post(record))
            .fallback(file)
            .with_state(shared.clone());
        Ok(Self { serving: Serving::plain(routes, 0)?, shared })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.serving.origin()
    }

    /// The key that signs its jobs.
    pub fn job_key(&self) -> PublicKey {
        PublicKey::of(&self.shared.key)
    }

    /// What it has heard so far.
    pub fn heard(&self) -> Heard {
        self.hearing()()
    }

    /// The same, to be asked later and elsewhere.
    pub fn hearing(&self) -> impl Fn() -> Heard + Send + use<> {
        let shared = self.shared.clone();
        move || shared.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn job(&self) -> Result<Job, StatusCode> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(StatusCode::FORBIDDEN)
    }

    fn hear(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn envelope(body: &[u8]) -> Result<Envelope, StatusCode> {
    serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)
}

async fn enrol(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Json<EnrolAnswer>, StatusCode> {
    let envelope = envelope(&body)?;
    let claimed: Enrol = envelope.peek().map_err(|_| StatusCode::BAD_REQUEST)?;
    let enrol: Enrol = envelope.open(&claimed.key).map_err(|_| StatusCode::FORBIDDEN)?;
    let order = "ORD-1".parse().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let job = Job {
        schema: SCHEMA,
        id: Uuid::from_u128(1),
        serial: enrol.inventory.system.serial,
        device_key: enrol.key,
        order,
        image: shared.plan.image.clone(),
        manifest: shared.plan.manifest,
        disk: shared.hints.clone(),
        issued: Timestamp::now(),
        expires: Timestamp::now() + SignedDuration::from_hours(1),
    };
    *shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(job.clone());
    shared.hear(|heard| heard.enrolled = true);
    Ok(Json(EnrolAnswer::Job { job: Envelope::sign(&job, &shared.key) }))
}

async fn progress(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<StatusCode, StatusCode> {
    let progress: Progress = envelope(&body)?.open(&shared.job()?.device_key).map_err(|_| StatusCode::FORBIDDEN)?;
    shared.hear(|heard| heard.phase = Some(progress.phase));
    Ok(StatusCode::NO_CONTENT)
}

async fn failure(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<StatusCode, StatusCode> {
    let failure: Failure = envelope(&body)?.open(&shared.job()?.device_key).map_err(|_| StatusCode::FORBIDDEN)?;
    shared.hear(|heard| heard.failure = Some(failure));
    Ok(StatusCode::NO_CONTENT)
}

async fn record(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<(StatusCode, Json<Envelope>), StatusCode> {
    let job = shared.job()?;
    let record: Record = envelope(&body)?.open(&job.device_key).map_err(|_| StatusCode::FORBIDDEN)?;
    shared.hear(|heard| heard.record = Some(record));
    let receipt = Receipt { job: job.id, order: job.order, sequence: 1, record: Digest::of(&body), at: Timestamp::now() };
    Ok((StatusCode::CREATED, Json(Envelope::sign(&receipt, &shared.key))))
}

/// A file of the store, or a range of it.
async fn file(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = Path::new(request.uri().path().trim_start_matches('/'));
    let Ok(inside) = path.strip_prefix("store") else { return StatusCode::NOT_FOUND.into_response() };
    if !inside.components().all(|part| matches!(part, Component::Normal(_))) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let Ok(file) = std::fs::File::open(shared.store.join(inside)) else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(length) = file.metadata().map(|metadata| metadata.len()) else { return StatusCode::NOT_FOUND.into_response() };
    let range = request.headers().get(header::RANGE).and_then(|value| {
        let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < length).then_some((first, last))
    });
    let (first, last) = range.unwrap_or((0, length.saturating_sub(1)));
    let mut bytes = vec![0; usize::try_from((last + 1 - first).min(length)).unwrap_or(0)];
    if file.read_exact_at(&mut bytes, first).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match range {
        Some(_) => {
            let content_range = format!("bytes {first}-{last}/{length}");
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, content_range)], bytes).into_response()
        }
        None => bytes.into_response(),
    }
}
