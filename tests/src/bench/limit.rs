//! The limit: fio writes, then reads, as many bytes as the image has data, as fast as this disk takes and gives them.
//!
//! Block size, queue depth, number of jobs and engine come from a small grid, tried once before the first run; writing and
//! reading each keep their own best. Its seconds are fio's own, without the start of its processes.

use std::{fmt, time::Duration};

use livery_contract::{Fault, Result};
use serde::{Deserialize, Serialize};

use super::{
    measured::{Spent, run},
    target::Target,
};

/// Bytes of each try: enough for a steady rate.
const TRY: u64 = 512 << 20;
/// Every block size divides it, and so does every share of a job.
const GRAIN: u64 = 8 << 20;
/// A run over the largest image on a slow disk.
const LONG: Duration = Duration::from_secs(3600);

/// How fio goes about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    engine: String,
    block_kib: u32,
    depth: u32,
    jobs: u32,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bs={}k iodepth={} numjobs={}", self.engine, self.block_kib, self.depth, self.jobs)
    }
}

/// The best ways on a target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Limit {
    /// To write.
    pub write: Way,
    /// To read.
    pub read: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Write,
    Read,
}

impl Limit {
    /// Tries the grid.
    ///
    /// # Errors
    /// Where no way of it works.
    pub fn find(target: &mut Target) -> Result<Self> {
        target.refill()?;
        let bytes = TRY.min(target.size() / GRAIN * GRAIN);
        Ok(Self { write: best(target, Act::Write, bytes)?, read: best(target, Act::Read, bytes)? })
    }

    /// Writes, then reads back, this many bytes.
    ///
    /// # Errors
    /// Where fio fails.
    pub fn run(&self, target: &Target, bytes: u64) -> Result<(Spent, f64, f64)> {
        let bytes = bytes.next_multiple_of(GRAIN).min(target.size() / GRAIN * GRAIN);
        let (write, write_seconds) = fio(target, &self.write, Act::Write, bytes)?;
        let (read, read_seconds) = fio(target, &self.read, Act::Read, bytes)?;
        let spent = Spent {
            seconds: write_seconds + read_seconds,
            processor_seconds: write.processor_seconds + read.processor_seconds,
            peak_bytes: write.peak_bytes.max(read.peak_bytes),
        };
        Ok((spent, write_seconds, read_seconds))
    }
}

fn best(target: &Target, act: Act, bytes: u64) -> Result<Way> {
    let mut best: Option<(f64, Way)> = None;
    let mut refused = None;
    for engine in ["io_uring", "libaio"] {
        for (block_kib, depth, jobs) in [(256, 16, 1), (256, 16, 2), (1024, 4, 1), (1024, 8, 2), (4096, 2, 1), (4096, 4, 2)] {
            let way = Way { engine: engine.into(), block_kib, depth, jobs };
            // A kernel without io_uring, or one that forbids it.
            match fio(target, &way, act, bytes) {
                Ok((_, seconds)) if best.as_ref().is_none_or(|(old, _)| seconds < *old) => best = Some((seconds, way)),
                Ok(_) => {}
                Err(fault) => refused = Some(fault),
            }
            super::interrupt::check()?;
        }
    }
    match (best, refused) {
        (Some((_, way)), _) => Ok(way),
        (None, Some(fault)) => Err(fault),
        (None, None) => Err(Fault::internal("fio was not tried")),
    }
}

fn fio(target: &Target, way: &Way, act: Act, bytes: u64) -> Result<(Spent, f64)> {
    let share = bytes / u64::from(way.jobs);
    let mut command = std::process::Command::new("fio");
    command.args([
        "--name=limit",
        &format!("--filename={}", target.name()),
        &format!("--rw={}", if act == Act::Write { "write" } else { "read" }),
        &format!("--ioengine={}", way.engine),
        &format!("--bs={}k", way.block_kib),
        &format!("--iodepth={}", way.depth),
        &format!("--numjobs={}", way.jobs),
        &format!("--size={share}"),
        &format!("--offset_increment={share}"),
        "--direct=1",
        "--group_reporting",
        "--output-format=json",
    ]);
    if act == Act::Write {
        command.arg("--end_fsync=1");
    }
    let (done, spent) = run(&mut command, LONG)?;
    let odd = || Fault::internal(format!("fio's answer has no run time: {:.300}", done.stdout));
    // Warnings may stand before the object.
    let start = done.stdout.find('{').ok_or_else(odd)?;
    let answer: serde_json::Value = serde_json::from_str(&done.stdout[start..]).map_err(|error| odd().cause(error))?;
    let side = &answer["jobs"][0][if act == Act::Write { "write" } else { "read" }];
    match (side["runtime"].as_f64(), side["io_bytes"].as_u64()) {
        (Some(milliseconds), Some(moved)) if milliseconds > 0.0 && moved == bytes => Ok((spent, milliseconds / 1000.0)),
        _ => Err(odd()),
    }
}
