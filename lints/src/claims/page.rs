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

/// The tables of a page.
///
/// # Errors
/// Where the page cannot be read.
pub fn read(root: &Path, page: &str) -> Result<Vec<Table>, Finding> {
    Ok(tables(&super::text(root, page)?))
}

fn tables(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut section = String::new();
    let mut inside = false;
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(heading) = text.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim().to_owned();
        }
        let Some(row) = text.trim().strip_prefix('|') else {
            inside = false;
            continue;
        };
        if !inside {
            inside = true;
            tables.push(Table { section: section.clone(), line, rows: Vec::new() });
            continue;
        }
        let cells: Vec<String> = row.strip_suffix('|').unwrap_or(row).split('|').map(|cell| cell.trim().to_owned()).collect();
        let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')));
        if let (false, Some(table)) = (is_rule, tables.last_mut()) {
            table.rows.push(Row { line, cells });
        }
    }
    tables
}

/// What stands between backquotes.
pub fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
