//! The states of orders and jobs, and the events that lead from one to the next. This table is the only one:
//! whatever is not in it is refused, and the SQL that changes a state takes its conditions from here.
//!
//! ```text
//! order   open ──recorded──> done ──retired──> retired
//!         done, retired ──reopened──> open
//!
//! job     issued ──progressed──> working ──recorded──> done
//!           │                       │
//!           └───────gave up─────────┴──> failed      (a record or another job may still follow)
//!         issued, working, failed ──superseded──> replaced
//!         issued, working, failed, replaced ──issued──> issued     (the same boot asked again)
//! ```

use std::fmt;

use livery_contract::Fault;
use serde::{Deserialize, Serialize};

/// What an order is at. In SQL and JSON: the name in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub(crate) enum OrderState {
    /// Its device is not written yet, or shall be written once more.
    Open,
    /// A record is there, and nobody has reopened the order since.
    Done,
    /// Its device is lost, or has been given away: nothing of it is believed any more.
    Retired,
}

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderEvent {
    /// A record of its job was accepted.
    Recorded,
    /// An operator wants its device written once more.
    Reopened,
    /// An operator says that its device is lost.
    Retired,
}

/// What a job is at. In SQL and JSON: the name in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub(crate) enum JobState {
    /// A device has it; nothing was heard since.
    Issued,
    /// The device has reported progress.
    Working,
    /// The device gave up.
    Failed,
    /// Its record is in the log.
    Done,
    /// Void: another job of the same order took its place.
    Replaced,
}

/// What happens to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobEvent {
    /// Its device asks again, and gets the job anew.
    Issued,
    /// Its device reports progress.
    Progressed,
    /// Its device reports a failure.
    GaveUp,
    /// Its record was accepted.
    Recorded,
    /// Another job of the same order is issued.
    Superseded,
}

/// A state, with the events that lead to other states of its kind.
pub(crate) trait State: Copy + Eq + fmt::Debug + 'static {
    /// What happens.
    type Event: Copy + Eq + fmt::Debug;
    /// What it is a state of.
    const OF: &'static str;
    /// Where each begins.
    const FIRST: Self;
    /// All of them.
    const ALL: &'static [Self];

    /// As in SQL and JSON.
    fn as_str(self) -> &'static str;

    /// What the thing cannot do where the event is refused, in words.
    fn words(event: Self::Event) -> &'static str;

    /// Where the event leads, whatever it may find.
    fn target(event: Self::Event) -> Self;

    /// Whether the event may happen in this state: the table of transitions.
    fn allows(self, event: Self::Event) -> bool;

    /// The state after an event.
    ///
    /// # Errors
    /// [`Refused`], where the event may not happen in this state.
    fn after(self, event: Self::Event) -> Result<Self, Refused<Self>> {
        if self.allows(event) { Ok(Self::target(event)) } else { Err(Refused { state: self, event }) }
    }
}

/// An event that may not happen in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused<S: State> {
    /// The state that it found.
    pub(crate) state: S,
    /// What was to happen.
    pub(crate) event: S::Event,
}

impl State for OrderState {
    type Event = OrderEvent;
    const OF: &'static str = "order";
    const FIRST: Self = Self::Open;
    const ALL: &'static [Self] = &[Self::Open, Self::Done, Self::Retired];

    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Retired => "retired",
        }
    }

    fn words(event: OrderEvent) -> &'static str {
        match event {
            OrderEvent::Recorded => "takes no record",
            OrderEvent::Reopened => "cannot be reopened",
            OrderEvent::Retired => "cannot be retired",
        }
    }

    fn target(event: OrderEvent) -> Self {
        match event {
            OrderEvent::Recorded => Self::Done,
            OrderEvent::Reopened => Self::Open,
            OrderEvent::Retired => Self::Retired,
        }
    }

    fn allows(self, event: OrderEvent) -> bool {
        match event {
            OrderEvent::Recorded => self == Self::Open,
            OrderEvent::Reopened => matches!(self, Self::Done | Self::Retired),
            OrderEvent::Retired => self == Self::Done,
        }
    }
}

impl State for JobState {
    type Event = JobEvent;
    const OF: &'static str = "job";
    const FIRST: Self = Self::Issued;
    const ALL: &'static [Self] = &[Self::Issued, Self::Working, Self::Failed, Self::Done, Self::Replaced];

    fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Working => "working",
            Self::Failed => "failed",
            Self::Done => "done",
            Self::Replaced => "replaced",
        }
    }

    fn words(event: JobEvent) -> &'static str {
        match event {
            JobEvent::Issued => "cannot be issued again",
            JobEvent::Progressed => "takes no progress",
            JobEvent::GaveUp => "takes no failure",
            JobEvent::Recorded => "takes no record",
            JobEvent::Superseded => "cannot be replaced",
        }
    }

    fn target(event: JobEvent) -> Self {
        match event {
            JobEvent::Issued => Self::Issued,
            JobEvent::Progressed => Self::Working,
            JobEvent::GaveUp => Self::Failed,
            JobEvent::Recorded => Self::Done,
            JobEvent::Superseded => Self::Replaced,
        }
    }

    fn allows(self, event: JobEvent) -> bool {
        match event {
            // A job that was replaced comes back when its boot is the one that asks last.
            JobEvent::Issued => self != Self::Done,
            // After a failure only another job brings the device back to work.
            JobEvent::Progressed => matches!(self, Self::Issued | Self::Working),
            // A device may report a failure twice, where it missed our answer; and its record after a failure, where that was of
            // sending the record.
            JobEvent::GaveUp | JobEvent::Recorded | JobEvent::Superseded => {
                matches!(self, Self::Issued | Self::Working | Self::Failed)
            }
        }
    }
}

impl JobState {
    /// Whether its device is at work: an order has at most one such job.
    pub(crate) fn is_at_work(self) -> bool {
        self.allows(JobEvent::Progressed)
    }
}

impl<S: State> fmt::Display for Refused<S> {
    /// `the job is done: it takes no record`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} is {}: it {}", S::OF, self.state.as_str(), S::words(self.event))
    }
}

impl<S: State> From<Refused<S>> for Fault {
    fn from(refused: Refused<S>) -> Self {
        Self::refused(refused.to_string())
    }
}

/// The states in which an event may happen, as a list for SQL: `'issued', 'working'`.
pub(crate) fn sources<S: State>(event: S::Event) -> String {
    let names: Vec<String> =
        S::ALL.iter().filter(|state| state.allows(event)).map(|state| format!("'{}'", state.as_str())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{
        JobEvent::{GaveUp, Progressed, Superseded},
        JobState::{Failed, Issued, Replaced, Working},
        *,
    };

    /// Every state with every event, spelt out once more: a change of the table must be meant.
    #[test]
    fn the_whole_table_of_jobs() {
        use JobState::Done;
        let table = [
            //        Issued        Progressed     GaveUp        Recorded    Superseded
            (Issued, [Some(Issued), Some(Working), Some(Failed), Some(Done), Some(Replaced)]),
            (Working, [Some(Issued), Some(Working), Some(Failed), Some(Done), Some(Replaced)]),
            (Failed, [Some(Issued), None, Some(Failed), Some(Done), Some(Replaced)]),
            (Done, [None, None, None, None, None]),
            (Replaced, [Some(Issued), None, None, None, None]),
        ];
        assert_eq!(table.map(|(state, _)| state), JobState::ALL);
        for (state, targets) in table {
            let events = [JobEvent::Issued, Progressed, GaveUp, JobEvent::Recorded, Superseded];
            for (event, target) in events.into_iter().zip(targets) {
                assert_eq!(state.after(event).ok(), target, "{state:?}, {event:?}");
            }
        }
    }

    #[test]
    fn the_whole_table_of_orders() {
        use OrderState::{Done, Open, Retired};
        for (state, event, target) in [
            (Open, OrderEvent::Recorded, Some(Done)),
            (Open, OrderEvent::Reopened, None),
            (Open, OrderEvent::Retired, None),
            (Done, OrderEvent::Recorded, None),
            (Done, OrderEvent::Reopened, Some(Open)),
            (Done, OrderEvent::Retired, Some(Retired)),
            (Retired, OrderEvent::Recorded, None),
            (Retired, OrderEvent::Reopened, Some(Open)),
            (Retired, OrderEvent::Retired, None),
        ] {
            assert_eq!(state.after(event).ok(), target, "{state:?}, {event:?}");
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        let refused = Replaced.after(Progressed).unwrap_err();
        assert_eq!(refused.to_string(), "the job is replaced: it takes no progress");
        let fault = Fault::from(OrderState::Done.after(OrderEvent::Recorded).unwrap_err());
        assert_eq!((fault.exit().code(), fault.to_string().as_str()), (3, "the order is done: it takes no record"));
    }

    /// SQL, JSON, the columns' CHECK and the lists in the conditions: the same words.
    #[test]
    fn states_have_one_spelling() {
        fn same<S: State + Serialize>() -> String {
            let names: Vec<String> = S::ALL.iter().map(|state| format!("'{}'", state.as_str())).collect();
            for state in S::ALL {
                assert_eq!(serde_json::to_string(state).unwrap(), format!("\"{}\"", state.as_str()));
            }
            format!("CHECK (state IN ({}))", names.join(", "))
        }
        assert!(include_str!("../migrations/0005_evidence.sql").contains(&same::<OrderState>()));
        assert!(include_str!("../migrations/0001_line.sql").contains(&same::<JobState>()));
        assert_eq!(sources::<JobState>(Progressed), "'issued', 'working'");
        assert_eq!(sources::<OrderState>(OrderEvent::Reopened), "'done', 'retired'");
    }

    /// No SQL but that of `database/changes.rs` writes a state.
    #[test]
    fn only_one_file_changes_states() {
        /// What a file's statements do to a state.
        fn writes(text: &str) -> Vec<String> {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut found: Vec<String> = text
                .split("UPDATE ")
                .skip(1)
                .map(|statement| statement.split(" WHERE ").next().unwrap_or_default())
                .filter(|set| set.split(" SET ").nth(1).is_some_and(|set| set.split([' ', ',']).any(|word| word == "state")))
                .map(str::to_owned)
                .collect();
            found.extend(
                ["INSERT INTO jobs", "state = excluded"].iter().filter(|what| text.contains(**what)).map(|what| (*what).to_owned()),
            );
            found
        }
        fn look(folder: &std::path::Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    look(&path, found);
                } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("database/changes.rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    // Not this test's own examples.
                    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
                    found.extend(writes(text).into_iter().map(|what| format!("{}: {what}", path.display())));
                }
            }
        }
        assert_eq!(writes("UPDATE orders SET serial = $1,\n state = 'done' WHERE x").len(), 1);
        assert_eq!(writes("UPDATE orders SET serial = $1 WHERE state = 'open'"), Vec::<String>::new());
        let mut found = Vec::new();
        look(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert_eq!(found, Vec::<String>::new());
        assert!(!writes(include_str!("database/changes.rs")).is_empty(), "the search finds what there is");
    }
}
