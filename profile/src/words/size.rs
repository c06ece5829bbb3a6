//! Sizes: a number and a unit.

use crate::report::{problem::Problem, text::quoted};

/// The units of sizes, in bytes.
pub(crate) const SIZE_UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A number and a unit: binary (`KiB`, `MiB`, `GiB`, `TiB`) or decimal as disks are sold (`kB`, `MB`, `GB`, `TB`).
pub(crate) fn size(text: &str, least: u64, most: u64, multiple: u64) -> Result<u64, Problem> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let bad = |cause: String| Problem::new(cause).help("write a whole number and a unit, such as \"8 GiB\" or \"512 MiB\"");
    if number.is_empty() {
        return Err(bad(format!("{} is not a size", quoted(text))));
    }
    let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => return Err(bad(format!("{} has no unit", quoted(text)))),
        None => return Err(bad(format!("{} has an unknown unit", quoted(text)))),
    };
    let out =
        || Problem::new(format!("{} is not within {} to {}", quoted(text), human(least), human(most))).what("value out of range");
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(out)?;
    if !(least..=most).contains(&bytes) {
        return Err(out());
    }
    if !bytes.is_multiple_of(multiple) {
        return Err(Problem::new(format!("{} is not a multiple of {}", quoted(text), human(multiple)))
            .help(format!("write \"{}\"", human(bytes.next_multiple_of(multiple)))));
    }
    Ok(bytes)
}

/// Bytes with the largest binary unit that divides them.
pub(crate) fn human(bytes: u64) -> String {
    let unit = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        .into_iter()
        .find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    match unit {
        Some((name, shift)) => format!("{} {name}", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes() {
        let size = |text: &str| size(text, 4096, 1 << 44, 4096);
        assert_eq!(size("8 GiB").unwrap(), 8 << 30);
        assert_eq!(size("8GiB").unwrap(), 8 << 30);
        assert_eq!(size("16 TiB").unwrap(), 1 << 44);
        for bad in [
            "",
            "8",
            "GiB",
            "8 gib",
            "1.5 GiB",
            "-1 GiB",
            "17 TiB",
            "1 KiB",
            "99999999999999999999 B",
            "5000 B",
            "8  GiB",
            "8 GiB ",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(size("5000 B").unwrap_err().help.unwrap(), "write \"8 KiB\"");
        assert_eq!((human(3 << 30), human(4097), human(0)), ("3 GiB".into(), "4097 B".into(), "0 B".into()));
    }
}
