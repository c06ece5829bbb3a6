//! The access log: one JSON line for each request, and the beacons by which a page says that it has been drawn.
//!
//! No password, code or cookie ever gets in: only method and path, never a body.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use livery_contract::{Fault, Result};
use serde::Serialize;

use super::guard::Outcome;

const MOST_BEACONS: usize = 10_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// When it was answered.
    pub at: Timestamp,
    /// From where.
    pub remote: Option<SocketAddr>,
    /// Method.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// Status of the answer.
    pub status: u16,
    /// The browser, as it calls itself.
    pub user_agent: Option<String>,
    /// The languages that it asks for.
    pub accept_language: Option<String>,
    /// What the guard decided, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What a page reported, for a beacon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Rendered>,
}

/// A page has been drawn in a window of this size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rendered {
    /// The page's path.
    pub page: String,
    /// Window's width in CSS pixels.
    pub width: u32,
    /// Window's height in CSS pixels.
    pub height: u32,
}

/// See the module.
pub struct Journal {
    file: Option<Mutex<fs::File>>,
    beacons: Mutex<Vec<Line>>,
}

impl Journal {
    /// Appends to `path`, or keeps beacons only.
    ///
    /// # Errors
    /// Where the file can't be opened.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map(Mutex::new)
                .map_err(|error| Fault::refused("the access log can't be opened").cause(error).at(path.display()))
        };
        Ok(Self { file: path.map(open).transpose()?, beacons: Mutex::default() })
    }

    /// Takes in one request.
    pub fn add(&self, line: Line) {
        if let Some(file) = &self.file
            && let Ok(mut text) = serde_json::to_vec(&line)
        {
            text.push(b'\n');
            let written = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
            if let Err(error) = written {
                eprintln!("gateway: the access log can't be written: {error}");
            }
        }
        if line.rendered.is_some() {
            let mut beacons = self.beacons.lock().unwrap_or_else(PoisonError::into_inner);
            if beacons.len() < MOST_BEACONS {
                beacons.push(line);
            }
        }
    }

    /// All beacons so far, in order.
    pub fn beacons(&self) -> Vec<Line> {
        self.beacons.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
