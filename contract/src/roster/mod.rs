//! The roster: one employee a row. IT writes it (CSV, or TOML with `[[employee]]` tables); `livery personalise` makes one
//! personal image a row, `livery-station import` one order a row.
//!
//! All bad rows are named at once, by row and column.

mod check;
mod error;
mod format;
mod row;

use std::{
    collections::HashMap,
    io::{self, Read},
    path::Path,
};

use crate::fault::Fault;

pub use check::{is_hostname, is_keyboard, is_locale, is_timezone};
pub use error::{RowError, fault};
pub use format::{Format, MAX_ROWS};
pub use row::{COLUMNS, Employee};

use error::whole;
use format::{parse_csv, parse_toml};

/// The most bytes that a roster may have.
pub const MAX_BYTES: usize = 32 << 20;

/// Reads, parses and checks a whole roster from its opened file: its text, and the employees in it. `path` says the format, and is
/// named by faults.
///
/// # Errors
/// Exit 3 where it can't be read, is over [`MAX_BYTES`], is not UTF-8 or has bad rows, all of them named at once.
pub fn read(path: &Path, file: io::Result<impl Read>) -> Result<(String, Vec<Employee>), Fault> {
    let failed =
        |error| Fault::refused("the roster can't be read").at(path.display()).cause(error).fix("name a readable CSV or TOML file");
    let mut bytes = Vec::new();
    file.and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(Fault::refused(format!("the roster is over the limit of {MAX_BYTES} bytes"))
            .at(path.display())
            .fix("split it into several files"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Fault::refused(format!("the roster is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
            .at(path.display())
            .fix("save it as UTF-8; spreadsheets call that \"CSV UTF-8\"")
    })?;
    let employees = parse(&text, Format::of_path(path)).map_err(|errors| fault(&errors, &path.display().to_string()))?;
    Ok((text, employees))
}

/// Parses and checks a whole roster.
///
/// # Errors
/// Every bad field of every row.
pub fn parse(text: &str, format: Format) -> Result<Vec<Employee>, Vec<RowError>> {
    if text.len() > MAX_BYTES {
        return Err(vec![whole(None, format!("the file has {} bytes, the limit is {MAX_BYTES}", text.len()))]);
    }
    let (rows, mut errors) = match format {
        Format::Csv => parse_csv(text),
        Format::Toml => parse_toml(text),
    };
    if rows.len() + errors.len() == 0 {
        errors.push(whole(None, "the roster has no rows".into()));
    }
    for (column, key) in [
        ("order", (|employee: &Employee| Some(employee.order.to_string())) as fn(&Employee) -> Option<String>),
        ("hostname", |employee| Some(employee.hostname.clone())),
        ("serial", |employee| employee.serial.clone()),
        ("tunnel-address", |employee| employee.tunnel_address.clone()),
    ] {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (row, line, employee) in &rows {
            let Some(value) = key(employee) else { continue };
            if let Some(first) = seen.insert(value.clone(), *row) {
                errors.push(RowError {
                    row: *row,
                    line: *line,
                    column: column.into(),
                    message: format!("{value:?} is already used in row {first}; each device needs a different one"),
                });
            }
        }
    }
    if errors.is_empty() {
        Ok(rows.into_iter().map(|(_, _, employee)| employee).collect())
    } else {
        errors.sort_by_key(|error| error.row);
        Err(errors)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "order,serial,user,name,hostname,locale,keyboard\n";

    #[test]
    fn what_is_no_text_of_bounded_size_is_refused_and_the_file_named() {
        let path = Path::new("r.csv");
        let refused = |file: io::Result<&[u8]>| {
            let fault = read(path, file).unwrap_err();
            assert_eq!(fault.exit(), crate::Exit::Refused);
            fault.render()
        };
        let absent = refused(Err(io::ErrorKind::NotFound.into()));
        assert!(absent.contains("the roster can't be read") && absent.contains("r.csv"), "{absent}");
        let broken = refused(Ok(b"order\xff"));
        assert!(broken.contains("not UTF-8 at byte 5") && broken.contains("r.csv"), "{broken}");
        let large = refused(Ok(&vec![b' '; MAX_BYTES + 1]));
        assert!(large.contains("over the limit"), "{large}");
        let row = format!("{HEADER}ORD-1,WT-0001,marie.durand,Marie Durand,wt-0001,fr_FR.UTF-8,fr\n");
        let (text, employees) = read(path, Ok(row.as_bytes())).unwrap();
        assert_eq!((text, employees), (row.clone(), parse(&row, Format::Csv).unwrap()));
    }

    #[test]
    fn comma_semicolon_and_toml_read_the_same() {
        let comma = format!("{HEADER}ORD-1,WT-0001,marie.durand,Marie Durand,wt-0001,fr_FR.UTF-8,fr\n");
        let employees = parse(&comma, Format::Csv).unwrap();
        assert_eq!(employees[0].hostname, "wt-0001");
        assert_eq!(parse(&format!("\u{feff}{}", comma.replace(',', ";")), Format::Csv).unwrap(), employees);
        let toml = "[[employee]]\norder='ORD-1'\nserial='WT-0001'\nuser='marie.durand'\nname='Marie Durand'\n\
                    hostname='wt-0001'\nlocale='fr_FR.UTF-8'\nkeyboard='fr'\n";
        assert_eq!(parse(toml, Format::Toml).unwrap(), employees);
        assert_eq!(parse(&toml.replace("='", "=' ").replace("'\n", " '\n"), Format::Toml).unwrap(), employees);
    }

    #[test]
    fn every_bad_field_is_named_by_row_and_column() {
        let text = format!(
            "{HEADER}ORD-1,WT-1,m,M,wt-1,fr_FR.UTF-8,fr\nORD 2,Default string,m,M,WT_2,french,F!\nORD-1,WT-1,m,M,wt-1,fr_FR.UTF-8,fr\nshort\n"
        );
        let errors = parse(&text, Format::Csv).unwrap_err();
        let places: Vec<_> = errors.iter().map(|error| (error.row, error.column.as_str())).collect();
        for place in [
            (2, "order"),
            (2, "serial"),
            (2, "hostname"),
            (2, "locale"),
            (2, "keyboard"),
            (3, "order"),
            (3, "hostname"),
            (3, "serial"),
            (4, ""),
        ] {
            assert!(places.contains(&place), "{place:?} in {places:?}");
        }
        assert_eq!(errors.iter().find(|error| error.row == 2).unwrap().line, Some(3));
    }

    #[test]
    fn a_wrong_header_is_said() {
        let errors = parse("order,usr\n", Format::Csv).unwrap_err();
        assert!(errors.iter().any(|error| error.message.contains("\"usr\" is unknown")), "{errors:?}");
        assert!(parse("", Format::Csv).is_err());
        assert!(parse(HEADER, Format::Csv).unwrap_err()[0].message.contains("no rows"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,200}") {
            let _ = parse(&text, Format::Csv);
            let _ = parse(&format!("{HEADER}{text}"), Format::Csv);
            let _ = parse(&text, Format::Toml);
        }
    }
}
