//! Answers on standard output: one JSON object, or text.

use std::io::Write as _;

use livery_contract::{Fault, Result};
use serde_json::Value;

/// One line on standard output.
pub(super) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // A reader that has had enough (`| head`) is no fault.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Fault::source("writing to standard output failed").cause(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn report(json: bool, value: &Value, text: &str) -> Result<()> {
    if json { say(&value.to_string()) } else { say(text) }
}

/// Columns as wide as their longest cell.
pub(super) fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain([head[column].len()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let joined = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![joined(head.to_vec())];
    lines.extend(rows.iter().map(|row| joined(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}
