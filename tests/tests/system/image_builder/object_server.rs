//! An object store on the loopback interface: S3 as the crate `s3s` speaks it, with signatures checked, over a folder whose
//! folders are its buckets.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use livery_contract::{Fault, Result};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tokio::sync::Mutex;

use livery_tests::serving::Serving;

/// The access key that it knows.
pub const ACCESS_KEY: &str = "LIVERYTESTACCESSKEY1";
/// That key's secret.
pub const SECRET_KEY: &str = "livery-test-secret-of-that-access-key";

/// How it behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Anybody may read, and nothing is signed.
    pub public: bool,
    /// 403 for what is not there, as Amazon's answers to those who may read but not list.
    pub hides_absence: bool,
    /// Ranges are answered one after the other, with this time before each.
    pub slow: Duration,
}

/// A running one; it stops when dropped.
pub struct ObjectServer {
    serving: Serving,
    state: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    manner: Manner,
    service: S3Service,
    /// Ranges answered.
    ranges: AtomicU64,
    turn: Mutex<()>,
}

impl ObjectServer {
    /// Serves the buckets in `folder` on this port (0: any); with `ca`, over HTTPS with a certificate by the authority in
    /// that folder.
    ///
    /// # Errors
    /// Where the folder can't be read or the port can't be had.
    pub async fn start(folder: &Path, port: u16, manner: Manner, ca: Option<&Path>) -> Result<Self> {
        let files = FileSystem::new(folder).map_err(|error| {
            Fault::internal(format!("no object store can be made of the folder: {error:?}")).at(folder.display())
        })?;
        let mut builder = S3ServiceBuilder::new(files);
        if !manner.public {
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        }
        let state = Arc::new(Shared {
            folder: folder.to_owned(),
            manner,
            service: builder.build(),
            ranges: AtomicU64::new(0),
            turn: Mutex::new(()),
        });
        let service = Router::new().fallback(answer).with_state(state.clone());
        let serving = Serving::start(service, port, ca, "Some object store", &["127.0.0.1".into()]).await?;
        Ok(Self { serving, state })
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        self.serving.origin()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.serving.address().port()
    }

    /// Ranges answered so far.
    pub fn ranges(&self) -> u64 {
        self.state.ranges.load(Ordering::Relaxed)
    }
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let ranged = request.headers().contains_key(header::RANGE);
    let bucket = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    if ranged && !state.manner.slow.is_zero() {
        let _turn = state.turn.lock().await;
        // A slow server.
        tokio::time::sleep(state.manner.slow).await;
    }
    // Nothing is uploaded here: a request has no body.
    let answer = match state.service.call(request.map(|_| s3s::Body::empty())).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response(),
    };
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => {
            state.ranges.fetch_add(1, Ordering::Relaxed);
            answer
        }
        // `s3s-fs` speaks of a missing key; S3 of a missing bucket.
        StatusCode::NOT_FOUND if !state.folder.join(&bucket).is_dir() => refusal(StatusCode::NOT_FOUND, "NoSuchBucket"),
        StatusCode::NOT_FOUND if state.manner.hides_absence => refusal(StatusCode::FORBIDDEN, "AccessDenied"),
        _ => answer,
    }
}

fn refusal(status: StatusCode, code: &str) -> Response {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>no</Message></Error>");
    (status, [(header::CONTENT_TYPE, "application/xml")], text).into_response()
}
