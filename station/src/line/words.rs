//! Figures and words of the page: the only place where they are formatted.

use jiff::{Timestamp, tz::TimeZone};
use livery_contract::wire::Phase;

use super::snapshot::State;

const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];

/// A number of bytes in a unit that suits it, as a factor and the unit's place.
#[allow(clippy::cast_precision_loss)] // three digits are shown
fn scaled(count: u64) -> (f64, usize) {
    let (mut count, mut unit) = (count as f64, 0);
    while count >= 1000. && unit < UNITS.len() - 1 {
        count /= 1000.;
        unit += 1;
    }
    (count, unit)
}

/// Below 100 GB one digit after the point tells something.
fn digits(count: f64, unit: usize) -> usize {
    usize::from(unit > 2 && count < 100.)
}

/// `310 MB`.
pub(super) fn bytes(count: u64) -> String {
    let (count, unit) = scaled(count);
    format!("{count:.*} {}", digits(count, unit), UNITS[unit])
}

/// `1.2 of 2.7 GB`: both in the unit of the whole.
#[allow(clippy::cast_precision_loss)]
pub(super) fn amount(done: u64, total: u64) -> String {
    let (whole, unit) = scaled(total);
    let part = done as f64 / [1., 1e3, 1e6, 1e9, 1e12][unit];
    let digits = digits(whole, unit);
    format!("{part:.digits$} of {whole:.digits$} {}", UNITS[unit])
}

/// `40 s`, `12 min`, `1.5 h`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{} s", seconds.max(1)),
        60..5940 => format!("{} min", (seconds + 30) / 60),
        _ => {
            let tenths = (seconds + 180) / 360;
            format!("{}.{} h", tenths / 10, tenths % 10)
        }
    }
}

/// `14:05`, in the station's time zone.
pub(super) fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M").to_string()
}

/// What a device is doing.
pub(super) const fn step(phase: Phase) -> &'static str {
    match phase {
        Phase::Inventory => "Reading hardware",
        Phase::Enrol => "Job given",
        Phase::Waiting => "Waiting",
        Phase::Trust => "Checking image",
        Phase::Target => "Choosing disk",
        Phase::Survey => "Reading disk",
        Phase::Write => "Writing",
        Phase::Flush => "Emptying disk cache",
        Phase::Verify => "Reading back",
        Phase::Finish => "Finishing",
        Phase::Report => "Sending record",
        Phase::Done => "Done",
        Phase::Failed => "Failed",
    }
}

/// The steps that are drawn as a row of marks. Survey counts as choosing the disk, a flush as writing.
pub(super) const STEPS: usize = 6;

/// Which of the marks a phase is at; `None` before the first.
pub(super) const fn mark(phase: Phase) -> Option<usize> {
    match phase {
        Phase::Inventory | Phase::Enrol | Phase::Waiting | Phase::Failed => None,
        Phase::Trust => Some(0),
        Phase::Target | Phase::Survey => Some(1),
        Phase::Write | Phase::Flush => Some(2),
        Phase::Verify => Some(3),
        Phase::Finish => Some(4),
        Phase::Report => Some(5),
        Phase::Done => Some(STEPS),
    }
}

/// A device's state, as a word to be read from afar.
pub(super) const fn badge(state: State) -> &'static str {
    match state {
        State::Failed => "FAILED",
        State::Waiting => "WAITING",
        State::Working => "AT WORK",
        State::Done => "SHIP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (310_000_000, "310 MB"),
            (2_700_000_000, "2.7 GB"),
            (120_000_000_000, "120 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert!(bytes(u64::MAX).ends_with(" TB"));
        assert_eq!(amount(1_200_000_000, 2_700_000_000), "1.2 of 2.7 GB");
        assert_eq!(amount(2 << 20, 4 << 20), "2 of 4 MB");
        assert_eq!(amount(0, 0), "0 of 0 B");
        for (seconds, text) in [
            (0, "1 s"),
            (59, "59 s"),
            (60, "1 min"),
            (89, "1 min"),
            (90, "2 min"),
            (5939, "99 min"),
            (5940, "1.7 h"),
            (36_000, "10.0 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
