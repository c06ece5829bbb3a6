//! A roster's rows, from CSV or TOML.

use std::path::Path;

use serde::Deserialize;

use super::{
    check::check,
    error::{RowError, whole},
    row::{COLUMNS, Employee, RawRow},
};

/// The most rows that a roster may have.
pub const MAX_ROWS: usize = 100_000;

const REQUIRED: [&str; 6] = ["order", "user", "name", "hostname", "locale", "keyboard"];

/// How a roster is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma- or semicolon-separated, with a header line.
    Csv,
    /// `[[employee]]` tables.
    Toml,
}

impl Format {
    /// By the file name's ending; CSV unless it is `.toml`.
    pub fn of_path(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            _ => Self::Csv,
        }
    }
}

/// Number, line where known, and employee of each good row.
pub(super) type Rows = Vec<(usize, Option<u64>, Employee)>;

pub(super) fn parse_csv(text: &str) -> (Rows, Vec<RowError>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text); // Excel's byte order mark
    let header = text.lines().next().unwrap_or_default();
    // Spreadsheets write semicolons where the comma is the decimal sign, as in France.
    let delimiter = if header.contains(';') && !header.contains(',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let (mut rows, mut errors) = (Rows::new(), Vec::new());
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(str::to_ascii_lowercase).collect(),
        Err(error) => return (rows, vec![whole(Some(1), format!("the header does not parse: {error}"))]),
    };
    for column in REQUIRED {
        if !header.iter().any(|name| name == column) {
            errors.push(whole(Some(1), format!("the header has no column {column:?}; it needs {}", REQUIRED.join(", "))));
        }
    }
    for (index, name) in header.iter().enumerate() {
        if !COLUMNS.contains(&name.as_str()) {
            errors.push(whole(Some(1), format!("the column {name:?} is unknown; a roster may have {}", COLUMNS.join(", "))));
        } else if header[..index].contains(name) {
            errors.push(whole(Some(1), format!("the column {name:?} appears twice")));
        }
    }
    if !errors.is_empty() {
        return (rows, errors);
    }
    for (index, record) in reader.records().enumerate() {
        let row = index + 1;
        if row > MAX_ROWS {
            errors.push(whole(None, format!("more than {MAX_ROWS} rows")));
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                errors.push(RowError {
                    row,
                    line: error.position().map(csv::Position::line),
                    column: String::new(),
                    message: error.to_string(),
                });
                continue;
            }
        };
        let line = record.position().map(csv::Position::line);
        if record.len() != header.len() {
            errors.push(RowError {
                row,
                line,
                column: String::new(),
                message: format!("it has {} fields, but the header has {}", record.len(), header.len()),
            });
            continue;
        }
        let field = |column: &str| header.iter().position(|name| name == column).and_then(|at| record.get(at)).map(str::to_owned);
        let needed = |column: &str| field(column).unwrap_or_default();
        let raw = RawRow {
            order: needed("order"),
            serial: field("serial"),
            user: needed("user"),
            name: needed("name"),
            hostname: needed("hostname"),
            locale: needed("locale"),
            keyboard: needed("keyboard"),
            timezone: field("timezone"),
            tunnel_address: field("tunnel-address"),
            first_password: field("first-password"),
        };
        keep(row, line, raw, &mut rows, &mut errors);
    }
    (rows, errors)
}

pub(super) fn parse_toml(text: &str) -> (Rows, Vec<RowError>) {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        employee: Vec<toml::Table>,
    }
    let (mut rows, mut errors) = (Rows::new(), Vec::new());
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() as u64 + 1);
            return (rows, vec![whole(line, error.message().to_owned())]);
        }
    };
    for (index, table) in file.employee.into_iter().enumerate() {
        let row = index + 1;
        if row > MAX_ROWS {
            errors.push(whole(None, format!("more than {MAX_ROWS} rows")));
            break;
        }
        match RawRow::deserialize(table) {
            Ok(raw) => keep(row, None, raw, &mut rows, &mut errors),
            Err(error) => errors.push(RowError { row, line: None, column: String::new(), message: error.message().to_owned() }),
        }
    }
    (rows, errors)
}

fn keep(row: usize, line: Option<u64>, raw: RawRow, rows: &mut Rows, errors: &mut Vec<RowError>) {
    match check(raw) {
        Ok(employee) => rows.push((row, line, employee)),
        Err(problems) => {
            errors.extend(problems.into_iter().map(|(column, message)| RowError { row, line, column: column.into(), message }));
        }
    }
}
