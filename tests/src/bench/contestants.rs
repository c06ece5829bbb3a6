//! Who writes the image to the disk. Each reads a form of the same image, warm in the page cache; each is done when the disk
//! has everything.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;
use livery_contract::{Result, record::Record};
use serde::{Deserialize, Serialize};

use super::{
    images::Image,
    limit::Limit,
    measured::{Spent, run, shell},
    target::Target,
};

/// The slowest of them with the largest image, on a slow machine.
const LONG: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    /// fio at its best, data bytes only: what the disk can do
    Limit,
    /// livery-agent write: writes and verifies
    Livery,
    /// zstd -dc | dd oflag=direct, then all of it read back through sha256sum
    Dd,
    /// bmaptool copy from zstd, unverified
    Bmaptool,
    /// bmaptool copy from gzip, unverified
    BmaptoolGzip,
    /// casync extract from a blob index, unverified
    Casync,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// What it took.
    pub spent: Spent,
    /// Seconds of its writing and its reading back, where it tells them apart.
    pub write_seconds: Option<f64>,
    /// See there.
    pub verify_seconds: Option<f64>,
}

impl Contestant {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit (fio)",
            Self::Livery => "livery-agent",
            Self::Dd => "zstd | dd, sha256sum",
            Self::Bmaptool => "bmaptool (zstd)",
            Self::BmaptoolGzip => "bmaptool (gzip)",
            Self::Casync => "casync extract",
        }
    }

    /// Whether it reads the disk back.
    pub const fn verifies(self) -> bool {
        matches!(self, Self::Limit | Self::Livery | Self::Dd)
    }

    /// What it reads: files and folders, to be warmed.
    ///
    /// # Errors
    /// Where a form of the image can't be made.
    pub fn sources(self, image: &Image) -> Result<Vec<PathBuf>> {
        Ok(match self {
            Self::Limit => Vec::new(),
            Self::Livery => vec![image.shelf.store()],
            Self::Dd => vec![image.zst()],
            Self::Bmaptool => vec![image.zst(), image.bmap()],
            Self::BmaptoolGzip => vec![image.gz()?, image.bmap()],
            Self::Casync => vec![image.index(), image.chunks()],
        })
    }

    /// Writes the image to the target, and measures that.
    ///
    /// # Errors
    /// Where it fails.
    pub fn run(self, image: &Image, target: &Target, limit: Option<&Limit>) -> Result<Run> {
        let device = target.name();
        let plain = |spent| Run { spent, write_seconds: None, verify_seconds: None };
        match self {
            Self::Limit => {
                let Some(limit) = limit else { return Err(livery_contract::Fault::internal("the limit was not looked for")) };
                let (spent, write, read) = limit.run(target, image.data())?;
                Ok(Run { spent, write_seconds: Some(write), verify_seconds: Some(read) })
            }
            Self::Livery => {
                let (done, spent) = run(&mut image.shelf.write(&image.reference, target.path())?, LONG)?;
                let record: Record = done.json()?;
                let between = |a: jiff::Timestamp, b: jiff::Timestamp| Some(b.duration_since(a).as_secs_f64());
                let times = record.times;
                Ok(Run {
                    spent,
                    write_seconds: between(times.started, times.written),
                    verify_seconds: between(times.written, times.verified),
                })
            }
            Self::Dd => {
                let line = "zstd -dcq \"$1\" | dd of=\"$2\" bs=4M iflag=fullblock oflag=direct conv=fsync,notrunc status=none";
                let write = shell(line, &[&image.zst().display().to_string(), &device], LONG)?;
                let line = "dd if=\"$1\" bs=4M iflag=direct,count_bytes count=\"$2\" status=none | sha256sum | grep -q \"^$3 \"";
                let size = image.size().to_string();
                let read = shell(line, &[&device, &size, &image.found().whole.to_string()], LONG)?;
                let spent = Spent {
                    seconds: write.seconds + read.seconds,
                    processor_seconds: write.processor_seconds + read.processor_seconds,
                    peak_bytes: write.peak_bytes.max(read.peak_bytes),
                };
                Ok(Run { spent, write_seconds: Some(write.seconds), verify_seconds: Some(read.seconds) })
            }
            Self::Bmaptool | Self::BmaptoolGzip => {
                let source = if self == Self::Bmaptool { image.zst() } else { image.gz()? };
                let line = "bmaptool --quiet copy --bmap \"$1\" \"$2\" \"$3\"; sync \"$3\"";
                let arguments = [&image.bmap().display().to_string(), &source.display().to_string(), &device];
                shell(line, &arguments.map(String::as_str), LONG).map(plain)
            }
            Self::Casync => {
                // Without it casync reads the whole disk first, to find what it could keep: here nothing.
                let line = "casync extract --seed-output=no --store=\"$1\" \"$2\" \"$3\"; sync \"$3\"";
                let arguments = [&image.chunks().display().to_string(), &image.index().display().to_string(), &device];
                shell(line, &arguments.map(String::as_str), LONG).map(plain)
            }
        }
    }
}

/// Reads files and folders once, so that they are in the page cache.
///
/// # Errors
/// Where they can't be read.
pub fn warm(sources: &[PathBuf]) -> Result<()> {
    for source in sources {
        shell("find \"$1\" -type f -exec cat {} + > /dev/null", &[&source.display().to_string()], LONG)?;
    }
    Ok(())
}
