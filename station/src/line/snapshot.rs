//! One picture of the line, as the page and other programs read it.

use jiff::{SignedDuration, Timestamp, Zoned};
use livery_contract::{Result, wire::Phase};
use serde::Serialize;

use crate::{
    database::{
        Database,
        devices::{self, Device},
        encoding::{read_fault, read_phase},
        jobs::{self, Shown},
        meant, orders,
    },
    orders::usage::Usage,
    states::JobState,
};

/// The most rows of each kind that are shown.
const MOST: i64 = 200;
/// How long a device that waits is shown after it was last heard of: it asks every few seconds.
const WAITING_FOR: SignedDuration = SignedDuration::from_mins(3);
/// How long a device at work or failed stays on the page when nothing is heard of it: a night and a shift.
const AT_WORK_FOR: SignedDuration = SignedDuration::from_hours(24);
/// When a device at work counts as silent. Progress comes every second or so; a flush may hold it up.
const SILENT_AFTER: i64 = 30_000;

/// The picture.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Snapshot {
    /// When it was made.
    pub(super) at: Timestamp,
    /// Numbers for the top of the page.
    pub(super) counts: Counts,
    /// Failed first, then waiting, at work, done.
    pub(super) devices: Vec<Row>,
}

/// Numbers for the top of the page.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts {
    /// Devices that wait.
    pub(super) waiting: usize,
    /// Devices at work.
    pub(super) working: usize,
    /// Devices done since midnight, by the station's time zone.
    pub(super) done_today: i64,
    /// Devices that failed.
    pub(super) failed: usize,
    /// Orders without a valid record.
    pub(super) open_orders: i64,
}

/// What a row's state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// It gave up, or is silent for good.
    Failed,
    /// It has no job.
    Waiting,
    /// It is at work.
    Working,
    /// Its record is in the log: ship it.
    Done,
}

/// One device.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// The same for the same device and order, in every picture.
    pub(super) id: String,
    pub(super) state: State,
    pub(super) product: String,
    /// System serial; empty where the firmware has none.
    pub(super) serial: String,
    pub(super) macs: Vec<String>,
    pub(super) order: Option<String>,
    pub(super) user: Option<String>,
    pub(super) name: Option<String>,
    pub(super) hostname: Option<String>,
    pub(super) image: Option<String>,
    /// Where in the flow it is.
    pub(super) phase: Option<Phase>,
    /// Bytes done in this phase.
    pub(super) done: u64,
    /// Bytes of this phase; 0 where it has none.
    pub(super) total: u64,
    /// Bytes a second.
    pub(super) rate: u64,
    /// Seconds left in this phase, at that rate.
    pub(super) left: Option<u64>,
    /// Why it waits or failed.
    pub(super) reason: Option<String>,
    /// Where it failed.
    pub(super) place: Option<String>,
    /// What to do.
    pub(super) fix: Option<String>,
    /// The record's place in the log.
    pub(super) record: Option<i64>,
    /// What its device reports since it is in use.
    #[serde(rename = "use")]
    pub(super) usage: Option<Usage>,
    /// Since when it has this job, or was first seen.
    pub(super) since: Timestamp,
    /// When it was last heard of.
    pub(super) seen: Timestamp,
    /// At work, but not heard of for half a minute.
    pub(super) silent: bool,
}

impl Row {
    /// The state by which it is sorted and coloured: a device that is not as ordered needs somebody to look at it.
    pub(super) fn urgency(&self) -> State {
        if self.usage.as_ref().is_some_and(|usage| !usage.amiss.is_empty()) { State::Failed } else { self.state }
    }
}

/// Takes the picture of now.
///
/// # Errors
/// `Source` where the database does not answer.
pub(super) async fn take(database: &Database) -> Result<Snapshot> {
    let now = Timestamp::now();
    let mut connection = database.connection().await?;
    let ago = |span: SignedDuration| now.as_millisecond().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    let midnight = Zoned::now().start_of_day().map_or_else(|_| ago(AT_WORK_FOR), |day| day.timestamp().as_millisecond());

    let shown = jobs::shown(&mut connection, ago(AT_WORK_FOR), midnight, MOST).await?;
    let mut rows: Vec<Row> = shown.into_iter().map(|job| of_job(job, now)).collect();
    let idle = devices::idle(&mut connection, ago(WAITING_FOR), MOST).await?;
    let mut serials = std::collections::HashSet::new();
    for device in idle {
        // A machine that was started anew shows once, as it is now; machines without a serial each for themselves.
        if device.serial.is_empty() || serials.insert(device.serial.clone()) {
            rows.push(of_device(device));
        }
    }
    rows.sort_by(|a, b| {
        // What did not take is for somebody to look at, like what failed.
        (a.urgency()).cmp(&b.urgency()).then_with(|| match a.state {
            State::Done => b.seen.cmp(&a.seen),
            _ => (a.since, &a.id).cmp(&(b.since, &b.id)),
        })
    });
    let number = |state: State| rows.iter().filter(|row| row.state == state).count();
    let counts = Counts {
        waiting: number(State::Waiting),
        working: number(State::Working),
        done_today: jobs::done_count(&mut connection, midnight).await?,
        failed: number(State::Failed),
        open_orders: orders::open_count(&mut connection).await?,
    };
    Ok(Snapshot { at: now, counts, devices: rows })
}

fn of_job(shown: Shown, now: Timestamp) -> Row {
    let job = shown.job;
    let state = match job.state {
        JobState::Done => State::Done,
        JobState::Failed => State::Failed,
        JobState::Issued | JobState::Working | JobState::Replaced => State::Working,
    };
    let (done, total, rate) = (meant(job.done_bytes), meant(job.all_bytes), meant(job.rate));
    let fault = job.fault.as_deref().map(read_fault);
    Row {
        id: job.id,
        state,
        product: product(&shown.manufacturer, &shown.product),
        serial: job.serial,
        macs: macs(&shown.macs),
        order: Some(job.order_id),
        user: Some(shown.sign_in),
        name: Some(shown.person),
        hostname: Some(shown.hostname),
        image: Some(job.image),
        phase: read_phase(&job.phase),
        done,
        total,
        rate,
        left: (rate > 0 && total > done && state == State::Working).then(|| (total - done).div_ceil(rate)),
        reason: fault.as_ref().map(|fault| fault.what.clone()),
        place: fault.as_ref().and_then(|fault| fault.at.clone()),
        fix: fault.and_then(|fault| fault.fix),
        record: job.record,
        usage: Usage::of_columns(shown.confirmation, shown.amiss.as_deref(), shown.heard_at, shown.runs.clone())
            .filter(|_| state == State::Done),
        since: time(job.issued_at),
        seen: time(job.last_seen),
        silent: state == State::Working && now.as_millisecond().saturating_sub(job.last_seen) > SILENT_AFTER,
    }
}

fn of_device(device: Device) -> Row {
    let fault = device.fault.as_deref().map(read_fault);
    Row {
        // The key's own text is nobody's business; its first digits tell one row from another.
        id: format!("device-{}", device.device_key.get(..16).unwrap_or_default()),
        state: if fault.is_some() { State::Failed } else { State::Waiting },
        product: product(&device.manufacturer, &device.product),
        serial: device.serial,
        macs: macs(&device.macs),
        order: None,
        user: None,
        name: None,
        hostname: None,
        image: None,
        phase: None,
        done: 0,
        total: 0,
        rate: 0,
        left: None,
        reason: fault.as_ref().map(|fault| fault.what.clone()).or(device.waiting),
        place: fault.as_ref().and_then(|fault| fault.at.clone()),
        fix: fault.and_then(|fault| fault.fix),
        record: None,
        usage: None,
        since: time(device.first_seen),
        seen: time(device.last_seen),
        silent: false,
    }
}

fn product(manufacturer: &str, product: &str) -> String {
    if product.starts_with(manufacturer) { product.to_owned() } else { format!("{manufacturer} {product}").trim().to_owned() }
}

fn macs(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
