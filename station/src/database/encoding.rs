//! What columns hold as text: failures and phases.

use livery_contract::{Exit, Fault, Result, fault::FaultReport, wire::Phase};

use crate::text::lines;

/// The most characters of each part of a failure that are stored.
const MOST: usize = 2_000;

/// A failure as text for a column, each part cut to [`MOST`] characters.
///
/// # Errors
/// Never: plain data.
pub(crate) fn fault(report: &FaultReport) -> Result<String> {
    let cut = |text: &str| lines(text, MOST);
    let report = FaultReport {
        exit: report.exit,
        what: cut(&report.what),
        at: report.at.as_deref().map(cut),
        fix: report.fix.as_deref().map(cut),
    };
    serde_json::to_string(&report).map_err(|error| Fault::internal("a failure does not encode").cause(error))
}

/// A failure back from its column.
pub(crate) fn read_fault(text: &str) -> FaultReport {
    serde_json::from_str(text).unwrap_or_else(|_| FaultReport {
        exit: Exit::Internal,
        what: "this failure report can no longer be read".into(),
        at: None,
        fix: Some("run `livery-station audit` to see whether the database was changed".into()),
    })
}

/// A phase back from its column, where it has its name on the wire.
pub(crate) fn read_phase(text: &str) -> Option<Phase> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).ok()
}
