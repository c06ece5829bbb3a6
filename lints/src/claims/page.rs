//! The tables of a Markdown page, with the heading that each stands below.

use std::path::Path;

use crate::Finding;

/// A table, without its head.
#[derive(Debug, Default)]
pub struct Table {
    /// The text of the heading above.
    pub section: String,
    /// The line of its head, from 1.
    pub line: usize,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Debug)]
pub struct Row {
    /// Its line, from 1.
    pub line: usize,
    /// Its cells, without the space around them.
    pub cells: Vec<String>,
}

impl Row {
    /// The first cell, which is what it is known by.
    pub fn first(&self) -> &str {
        self.cells.first().map_or("", String::as_str)
    }
}

/// The tables of a page; what looks like a row and is in none goes to `findings`, since nobody would look at it.
///
/// # Errors
/// Where the page cannot be read.
pub fn read(root: &Path, page: &str, findings: &mut Vec<Finding>) -> Result<Vec<Table>, Finding> {
    let (tables, strays) = tables(&super::text(root, page)?);
    let fix = "a table has a head, a line of dashes, and then rows without an empty line or anything else between them; each begins with |";
    findings.extend(strays.into_iter().map(|line| Finding::new(page, line, "a row that belongs to no table", fix)));
    Ok(tables)
}

/// The tables, and the lines of rows that are in none.
fn tables(text: &str) -> (Vec<Table>, Vec<usize>) {
    let mut tables: Vec<Table> = Vec::new();
    let (mut section, mut strays) = (String::new(), Vec::new());
    let (mut inside, mut fenced) = (false, false);
    let mut lines = (1..).zip(text.lines()).peekable();
    while let Some((line, text)) = lines.next() {
        if text.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            inside = false;
            continue;
        }
        if let Some(heading) = text.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim().to_owned();
        }
        let Some(row) = text.trim().strip_prefix('|') else {
            strays.extend((inside && !text.trim().is_empty() || is_unframed(text)).then_some(line));
            inside = false;
            continue;
        };
        if inside {
            if let Some(table) = tables.last_mut() {
                table.rows.push(Row { line, cells: cells(row) });
            }
        } else if lines.next_if(|(_, next)| next.trim().strip_prefix('|').is_some_and(|next| is_rule(&cells(next)))).is_some() {
            inside = true;
            tables.push(Table { section: section.clone(), line, rows: Vec::new() });
        } else {
            strays.push(line);
        }
    }
    (tables, strays)
}

fn cells(row: &str) -> Vec<String> {
    row.strip_suffix('|').unwrap_or(row).split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The line of dashes between head and rows.
fn is_rule(cells: &[String]) -> bool {
    cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')))
}

/// A row without its first `|`, outside of code.
fn is_unframed(text: &str) -> bool {
    text.split('`').step_by(2).any(|text| text.contains(" | "))
}

/// What stands between backquotes.
pub fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
