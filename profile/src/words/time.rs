//! Moments: a date, or a time with its offset.

use jiff::{Timestamp, civil};

use crate::report::{problem::Problem, text::quoted};

/// A date (midnight UTC) or a date and time with its offset (RFC 3339).
pub(crate) fn time(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let example = "write a date such as 2026-11-01, or 2026-11-01T06:00:00Z";
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => {
            // A local time would mean another moment on another build host: jiff would read one as a date.
            let date = Some(text).filter(|text| text.len() == 10).and_then(|text| text.parse::<civil::Date>().ok());
            let date = date.ok_or_else(|| {
                Problem::new(format!("{} is neither a date nor a time with its offset (RFC 3339)", quoted(text))).help(example)
            })?;
            date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| Problem::new(error.to_string()).help(example))?.timestamp()
        }
    };
    // FAT, which the ESP is, counts its time stamps from 1980 (Microsoft FAT specification, section 6.2).
    if at.as_second() < 315_532_800 {
        return Err(Problem::new(format!("{at} lies before 1980, the earliest time of FAT"))
            .what("value out of range")
            .help(example));
    }
    if at > now {
        return Err(Problem::new(format!("{at} lies in the future (it is {now:.0} here)"))
            .what("value out of range")
            .help("files would be newer than the device's clock; use a past day, or set this machine's clock"));
    }
    if at.subsec_nanosecond() != 0 {
        return Err(Problem::new(format!("{at} has fractions of a second, but SOURCE_DATE_EPOCH has none")).help(example));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn times() {
        assert_eq!(time("2026-11-01", now()).unwrap(), time("2026-11-01T01:00:00+01:00", now()).unwrap());
        for bad in ["2026-11-01T00:00:00", "1979-12-31", "2026-12-01", "2026-11-01T00:00:00.5Z", "yesterday", "", "2026-13-01"] {
            assert!(time(bad, now()).is_err(), "{bad}");
        }
    }
}
