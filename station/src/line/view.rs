//! A picture as the page shows it: every word and figure ready, so that neither template nor script formats anything.

use jiff::Timestamp;

use super::{
    snapshot::{Counts, Row, Snapshot, State},
    words::{self, amount, badge, bytes, clock, mark, span, step},
};

/// The most MAC addresses that a row shows.
const MOST_MACS: usize = 2;

/// The whole picture.
pub(super) struct View {
    pub(super) clock: String,
    /// For programs: RFC 3339.
    pub(super) at: Timestamp,
    pub(super) orders: String,
    pub(super) counts: [Count; 4],
    pub(super) rows: Vec<RowView>,
    /// Why there is no picture.
    pub(super) alarm: Option<String>,
}

/// A number at the top of the page.
pub(super) struct Count {
    pub(super) state: &'static str,
    pub(super) number: i64,
    pub(super) name: &'static str,
}

/// One device.
pub(super) struct RowView {
    pub(super) id: String,
    /// The state by which the page filters.
    pub(super) state: &'static str,
    /// The state whose colour it has: a device that is not as ordered looks like one that failed.
    pub(super) colour: &'static str,
    pub(super) silent: bool,
    /// Changes when there is something to announce.
    pub(super) stage: String,
    /// The announcement.
    pub(super) say: String,
    pub(super) serial: String,
    pub(super) product: String,
    pub(super) macs: Option<String>,
    /// The person, and order and host name.
    pub(super) order: Option<(String, String)>,
    pub(super) middle: Middle,
    pub(super) badge: &'static str,
    pub(super) when: Option<String>,
}

/// The columns between who it is and the result.
pub(super) enum Middle {
    /// At work: step, progress, time left.
    Work {
        step: &'static str,
        /// `past`, `now`, or nothing.
        marks: [&'static str; words::STEPS],
        bar: Option<Bar>,
        left: Left,
    },
    /// It waits or failed.
    Reason { during: Option<String>, why: String, fix: Option<String>, place: Option<String> },
    /// Its record is in the log.
    Recorded { what: String, how: String },
    /// It is in use.
    InUse { differs: Vec<String>, how: String },
}

/// A step's progress.
pub(super) struct Bar {
    pub(super) label: String,
    /// Of a thousand.
    pub(super) value: u64,
    pub(super) percent: String,
    pub(super) amount: String,
}

/// How long it will take.
pub(super) enum Left {
    /// Nothing was heard for this long.
    Silent(String),
    /// The time left and the speed, where known.
    Time { left: Option<String>, rate: Option<String> },
}

impl View {
    pub(super) fn of(picture: &Snapshot) -> Self {
        let counts = &picture.counts;
        let many = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let count = |state, number, name| Count { state, number, name };
        Self {
            clock: clock(picture.at),
            at: picture.at,
            orders: format!("{} open order{}", counts.open_orders, if counts.open_orders == 1 { "" } else { "s" }),
            counts: [
                count("failed", many(counts.failed), "failed"),
                count("waiting", many(counts.waiting), "waiting"),
                count("working", many(counts.working), "at work"),
                count("done", counts.done_today, "done today"),
            ],
            rows: picture.devices.iter().map(|row| RowView::of(row, picture.at)).collect(),
            alarm: None,
        }
    }

    /// No picture, and why.
    pub(super) fn absent(why: String) -> Self {
        let nothing = Snapshot { at: Timestamp::now(), counts: Counts::default(), devices: Vec::new() };
        Self { alarm: Some(why), ..Self::of(&nothing) }
    }
}

impl RowView {
    fn of(row: &Row, now: Timestamp) -> Self {
        let differs: &[String] = row.usage.as_ref().map_or(&[], |usage| &usage.words);
        let stage = match &row.usage {
            Some(usage) => format!("{} {}", usage.state, differs.join("; ")),
            None => name(row.state).to_owned(),
        };
        let shows_macs = row.state == State::Waiting || row.serial.is_empty();
        let order = row.order.as_ref().map(|order| {
            let host = row.hostname.as_deref().unwrap_or_default();
            (row.name.clone().unwrap_or_default(), format!("{order} · {host}"))
        });
        Self {
            id: format!("row-{}", row.id),
            state: name(row.state),
            colour: name(row.urgency()),
            silent: row.silent,
            stage,
            say: say(row, differs),
            serial: or(&row.serial, "no serial"),
            product: or(&row.product, "unknown product"),
            macs: shows_macs.then(|| row.macs.iter().take(MOST_MACS).map(String::as_str).collect::<Vec<_>>().join("  ")),
            order,
            middle: middle(row, now),
            badge: match &row.usage {
                Some(_) if differs.is_empty() => "IN USE",
                Some(_) => "LOOK",
                None => badge(row.state),
            },
            when: match row.state {
                State::Waiting => Some(format!("since {}", clock(row.since))),
                State::Failed => Some(format!("at {}", clock(row.seen))),
                State::Working | State::Done => None,
            },
        }
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

/// As in JSON.
const fn name(state: State) -> &'static str {
    match state {
        State::Failed => "failed",
        State::Waiting => "waiting",
        State::Working => "working",
        State::Done => "done",
    }
}

fn middle(row: &Row, now: Timestamp) -> Middle {
    let image = row.image.as_deref().unwrap_or_default();
    match (row.state, &row.usage) {
        (State::Working, _) => work(row, now),
        (State::Failed | State::Waiting, _) => Middle::Reason {
            during: row.phase.filter(|_| row.state == State::Failed).map(|phase| format!("during: {}", step(phase).to_lowercase())),
            why: row.reason.clone().unwrap_or_else(|| "no reason was given".into()),
            fix: row.fix.clone(),
            place: row.place.clone(),
        },
        (State::Done, Some(usage)) => Middle::InUse {
            differs: usage.words.clone(),
            how: format!("last report at {} · {}", clock(usage.heard), usage.runs.as_deref().unwrap_or(image)),
        },
        (State::Done, None) => Middle::Recorded {
            what: format!("Written and read back, record #{}", row.record.unwrap_or_default()),
            how: format!("at {}, after {} · {image}", clock(row.seen), span(seconds(row.since, row.seen))),
        },
    }
}

fn work(row: &Row, now: Timestamp) -> Middle {
    let at = row.phase.and_then(mark);
    let step = row.phase.map_or("", step);
    let marks = std::array::from_fn(|number| match at {
        Some(at) if number < at => "past",
        Some(at) if number == at => "now",
        _ => "",
    });
    let bar = (row.total > 0).then(|| {
        let done = row.done.min(row.total);
        // In wide figures: a product of two numbers of bytes may pass 2^64.
        let of = |parts: u128| u64::try_from(u128::from(done) * parts / u128::from(row.total)).unwrap_or(0);
        Bar {
            label: format!("{step} {}", row.serial),
            value: of(1000),
            percent: format!("{} %", of(100)),
            amount: amount(row.done, row.total),
        }
    });
    let left = if row.silent {
        Left::Silent(format!("silent {}", span(seconds(row.seen, now))))
    } else {
        Left::Time { left: row.left.map(span), rate: (row.rate > 0).then(|| format!("{}/s", bytes(row.rate))) }
    };
    Middle::Work { step, marks, bar, left }
}

fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}

/// What a screen reader announces when the row comes into its present stage.
fn say(row: &Row, differs: &[String]) -> String {
    let device = if row.serial.is_empty() { &row.product } else { &row.serial };
    let who = row.name.as_ref().map_or_else(|| device.clone(), |name| format!("{device} for {name}"));
    let reason = row.reason.as_deref().unwrap_or_default();
    match (row.state, &row.usage) {
        (State::Done, Some(_)) if differs.is_empty() => format!("{who} is in use"),
        (State::Done, Some(_)) => format!("{who} is not as ordered: {}", differs.join(". ")),
        (State::Done, None) => format!("{who} is done: ship it"),
        (State::Failed, _) => format!("{who} failed: {reason}"),
        (State::Waiting, _) => format!("{who} is waiting: {reason}"),
        (State::Working, _) => format!("{who} is at work"),
    }
}
