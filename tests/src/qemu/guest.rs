//! A running virtual device. Dropping it cuts its power, also after a panic: no test leaves a QEMU behind.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use serde_json::json;
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::programs::built;

use super::{
    PROGRAM,
    accel::Accel,
    machine::{Machine, tpm_socket},
    monitor::Monitor,
    tpm::Tpm,
};

/// How often the serial log is looked at.
const GLANCE: Duration = Duration::from_millis(200);
/// How often a waiting person is told so.
const WORD: Duration = Duration::from_secs(30);
/// The most that a serial log may have: a guest that prints in a loop must not fill the disk.
const MOST: u64 = 64 << 20;
/// Lines of the log that an error shows.
const SHOWN: usize = 30;

/// See the module.
#[derive(Debug)]
pub struct Guest {
    name: String,
    child: Child,
    monitor: Monitor,
    log: PathBuf,
    errors: PathBuf,
    /// Lines of the log up to here have been looked at by a [`wait_for`](Self::wait_for) that ended.
    seen: usize,
    started: Instant,
    accel: Accel,
    _tpm: Option<Tpm>,
    // Holds the monitor's socket: a path in the device's own folder may be longer than a socket's name can be (108 bytes).
    _sockets: tempfile::TempDir,
}

impl Guest {
    pub(super) async fn start(machine: &Machine, accel: Accel) -> Result<Self> {
        machine.prepare()?;
        // Only services need it: a device without any starts without it, too.
        let carrier = match machine.services.is_empty() {
            true => PathBuf::new(),
            false => built("carry")?,
        };
        let broken = |what: &str, error: std::io::Error| Fault::refused(what).cause(error).at(machine.folder.display());
        let sockets = tempfile::tempdir().map_err(|error| broken("no temporary folder", error))?;
        let socket = sockets.path().join("qmp");
        let tpm = match machine.tpm {
            true => Some(Tpm::start(&machine.folder.join("tpm"), &tpm_socket(&socket)).await?),
            false => None,
        };
        let log = machine.serial_log();
        File::create(&log).map_err(|error| broken("the serial log can't be made", error))?;
        let errors = machine.folder.join(format!("{}.qemu.log", machine.name));
        let stderr = File::create(&errors).map_err(|error| broken("QEMU's log can't be made", error))?;
        let child = Command::new(PROGRAM)
            .args(machine.arguments(accel, &socket, &carrier))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken("QEMU does not start", error).fix("run scripts/setup"))?;
        let mut guest = Self {
            name: machine.name.clone(),
            child,
            monitor: Monitor::new(socket.clone()),
            log,
            errors,
            seen: 0,
            started: Instant::now(),
            accel,
            _tpm: tpm,
            _sockets: sockets,
        };
        // QEMU makes the socket before it opens the disks, and answers after: so it is asked, not only looked for.
        loop {
            if socket.exists() && guest.monitor.command("query-status", json!({})).await.is_ok() {
                return Ok(guest);
            }
            if guest.ended()?.is_some() || guest.started.elapsed() > WORD {
                return Err(guest.failed("QEMU did not start the device"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// How it runs.
    pub fn accel(&self) -> Accel {
        self.accel
    }

    /// Its monitor, for what has no word here.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Time since it was switched on.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What came over the serial console so far, as text.
    ///
    /// # Errors
    /// Where the log can't be read, or has grown beyond any sense.
    pub fn console(&self) -> Result<String> {
        let broken = |error| Fault::device("the serial log can't be read").cause(error).at(self.log.display());
        let mut file = File::open(&self.log).map_err(broken)?;
        if file.seek(SeekFrom::End(0)).map_err(broken)? > MOST {
            return Err(Fault::device("the device prints without end").at(self.log.display()));
        }
        file.rewind().map_err(broken)?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes).map_err(broken)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits for a line of the console that contains `text`, after the line that was last waited for; returns it.
    /// `what` is for the person who waits.
    ///
    /// # Errors
    /// Where the time is over or the device goes off before; with the last lines of its console.
    pub async fn wait_for(&mut self, what: &str, text: &str, most: Duration) -> Result<String> {
        self.wait_for_any(what, &[text], most).await.map(|(_, line)| line)
    }

    /// The same for the first of several texts; also returns which.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for).
    pub async fn wait_for_any(&mut self, what: &str, texts: &[&str], most: Duration) -> Result<(usize, String)> {
        let (begun, mut told) = (Instant::now(), Instant::now());
        loop {
            // Asked before the console is read: what a dying device still printed must not be missed.
            let ended = self.ended()?;
            let console = self.console()?;
            for (number, line) in console.lines().enumerate().skip(self.seen) {
                if let Some(which) = texts.iter().position(|text| line.contains(text)) {
                    self.seen = number + 1;
                    return Ok((which, line.to_owned()));
                }
            }
            if let Some(status) = ended {
                return Err(self.failed(&format!("the device went off ({status}) before {what}")));
            }
            if begun.elapsed() > most {
                return Err(self.failed(&format!("no {what} within {} s", most.as_secs())));
            }
            if told.elapsed() > WORD {
                told = Instant::now();
                let last = console.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                eprintln!("  {}: {} s, waiting for {what}; last: {:.100}", self.name, begun.elapsed().as_secs(), plain(last));
            }
            sleep(GLANCE).await;
        }
    }

    /// Waits until it is off.
    ///
    /// # Errors
    /// Where the time is over before.
    pub async fn wait_exit(&mut self, most: Duration) -> Result<ExitStatus> {
        match tokio::time::timeout(most, self.child.wait()).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(self.failed("QEMU can't be waited for").cause(error)),
            Err(_) => Err(self.failed(&format!("the device is still on after {} s", most.as_secs()))),
        }
    }

    /// Whether it is off already, and how QEMU ended.
    ///
    /// # Errors
    /// Where the kernel won't tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|error| self.failed("QEMU can't be waited for").cause(error))
    }

    /// A PNG of what the screen shows.
    ///
    /// # Errors
    /// Where QEMU can't write it.
    pub async fn screenshot(&self, to: &Path) -> Result<()> {
        self.monitor.screendump(to).await
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// Where QEMU can't be reached.
    pub async fn power_button(&self) -> Result<()> {
        self.monitor.power_button().await
    }

    /// Cuts the power, and waits until it is off.
    ///
    /// # Errors
    /// Where it could not be killed.
    pub async fn cut_power(mut self) -> Result<()> {
        self.child.kill().await.map_err(|error| self.failed("QEMU can't be killed").cause(error))
    }

    /// A fault of this device, with the last lines of its console.
    pub fn failed(&self, what: &str) -> Fault {
        let console = self.console().unwrap_or_default();
        let mut lines: Vec<String> = console.lines().rev().filter(|line| !line.trim().is_empty()).take(SHOWN).map(plain).collect();
        lines.reverse();
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let mut text = format!("{}: {what}", self.name);
        if !errors.trim().is_empty() {
            text.push_str(&format!("\n  QEMU says: {}", errors.trim()));
        }
        text.push_str(&format!("\n  the last lines of its console:\n    {}", lines.join("\n    ")));
        Fault::device(text).at(self.log.display())
    }
}

/// A console line without control sequences.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // CSI sequences end with a letter; others are two characters long.
            if characters.next() == Some('[') {
                characters.by_ref().find(char::is_ascii_alphabetic);
            }
        } else if !character.is_control() {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_left_out() {
        assert_eq!(plain("\u{1b}[0;32m  OK  \u{1b}[0m] Started\r"), "  OK  ] Started");
    }
}
