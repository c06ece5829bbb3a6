//! A command, run to its end: seconds by the clock, processor seconds, peak memory.
//!
//! The last two are the kernel's own account of the child and of all its descendants that it waited for (wait4(2)); peak
//! memory is that of the largest one of them, as in getrusage(2).

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use nix::{
    errno::Errno,
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use super::interrupt;
use crate::programs::Done;

/// How often a running command is looked at: fine beside the tenths of a second that are told.
const GLANCE: Duration = Duration::from_millis(2);

/// What a command took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// By the clock.
    pub seconds: f64,
    /// Processor time, user and kernel.
    pub processor_seconds: f64,
    /// Peak resident memory of the largest process, in bytes.
    pub peak_bytes: u64,
}

/// A running command with all its descendants in a process group of its own, which is killed when this is dropped.
pub struct Running {
    name: String,
    group: Pid,
    begun: Instant,
    stdout: File,
    stderr: File,
    ended: Option<(ExitStatus, Spent)>,
}

impl Running {
    /// Starts it, with nothing on its standard input.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let broken = |error| Fault::refused(format!("{name} does not start")).cause(error);
        // Files, not pipes: nobody has to read them while it runs.
        let (stdout, stderr) = (tempfile::tempfile().map_err(broken)?, tempfile::tempfile().map_err(broken)?);
        command.stdin(Stdio::null());
        command.stdout(stdout.try_clone().map_err(broken)?).stderr(stderr.try_clone().map_err(broken)?);
        let begun = Instant::now();
        let child = command.process_group(0).spawn().map_err(broken)?;
        let group = Pid::from_raw(i32::try_from(child.id()).map_err(|_| Fault::internal("a process number"))?);
        // The child is reaped below, by its number: `Child` itself knows no rusage.
        Ok(Self { name, group, begun, stdout, stderr, ended: None })
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// Where the kernel won't tell.
    pub fn ended(&mut self) -> Result<bool> {
        if self.ended.is_none() {
            self.ended = reap(self.group, false)?.map(|(status, mut spent)| {
                spent.seconds = self.begun.elapsed().as_secs_f64();
                (status, spent)
            });
        }
        Ok(self.ended.is_some())
    }

    /// Ends it as a power cut would.
    ///
    /// # Errors
    /// Where it can't be killed.
    pub fn kill(mut self) -> Result<()> {
        self.end()
    }

    /// Waits for its end, at most `most` since its start.
    ///
    /// # Errors
    /// Where it takes longer, or someone wants the whole to end.
    pub fn wait(mut self, most: Duration) -> Result<(Done, Spent)> {
        while !self.ended()? {
            interrupt::check()?;
            if self.begun.elapsed() > most {
                return Err(Fault::internal(format!("{} did not end within {} s", self.name, most.as_secs())));
            }
            sleep(GLANCE);
        }
        let (stdout, stderr) = (text(&mut self.stdout)?, text(&mut self.stderr)?);
        let Some((status, spent)) = self.ended else { return Err(Fault::internal("it ended and did not")) };
        Ok((Done { code: status.code(), stdout, stderr }, spent))
    }

    fn end(&mut self) -> Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        // The leader has not been reaped, so the number is still its own.
        let _ = killpg(self.group, Signal::SIGKILL);
        self.ended = reap(self.group, true)?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Runs it to its end; it must end with 0.
///
/// # Errors
/// As [`Running::wait`], and where it ends otherwise, with all that it said.
pub fn run(command: &mut Command, most: Duration) -> Result<(Done, Spent)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (done, spent) = Running::start(command)?.wait(most)?;
    let done = done.good().map_err(|fault| fault.at(name))?;
    Ok((done, spent))
}

/// Runs a tool that prepares something, at most an hour.
///
/// # Errors
/// As [`run`].
pub fn tool<'a>(name: &str, arguments: impl IntoIterator<Item = &'a str>) -> Result<Done> {
    run(Command::new(name).args(arguments), Duration::from_secs(3600)).map(|(done, _)| done)
}

/// Takes down what was set up; also when someone wants the whole to end, so it does not look for that. What goes wrong is said.
pub fn take_down(name: &str, arguments: &[&str]) {
    match Command::new(name).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => eprintln!("{name} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => eprintln!("{name}: {error}"),
    }
}

/// Runs a line of shell in which every command must succeed.
///
/// # Errors
/// As [`run`].
pub fn shell(line: &str, arguments: &[&str], most: Duration) -> Result<Spent> {
    let mut command = Command::new("bash");
    command.args(["-o", "errexit", "-o", "pipefail", "-c", line, "bash"]).args(arguments);
    run(&mut command, most).map(|(_, spent)| spent)
}

fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    // What a tool says is short; a megabyte of it is enough.
    file.rewind()
        .and_then(|()| file.take(1 << 20).read_to_end(&mut bytes))
        .map_err(|error| Fault::internal("what a command said can't be read").cause(error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// wait4(2) for one child; none where it still runs and nobody wants to wait.
fn reap(child: Pid, wait: bool) -> Result<Option<(ExitStatus, Spent)>> {
    let mut status = 0;
    // SAFETY: `rusage` is a C struct of integers; all zeros is one of its values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let flags = if wait { 0 } else { libc::WNOHANG };
    let reaped = loop {
        // SAFETY: both pointers are to values of the right type that outlive the call, which keeps neither.
        match Errno::result(unsafe { libc::wait4(child.as_raw(), &raw mut status, flags, &raw mut usage) }) {
            Err(Errno::EINTR) => {}
            other => break other.map_err(|error| Fault::internal("a command can't be waited for").cause(error))?,
        }
    };
    if reaped == 0 {
        return Ok(None);
    }
    let seconds = |time: libc::timeval| Duration::from_micros(time.tv_usec.unsigned_abs()).as_secs_f64() + time.tv_sec as f64;
    let spent = Spent {
        seconds: 0.0,
        processor_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        // Linux counts kilobytes.
        peak_bytes: usage.ru_maxrss.unsigned_abs() * 1024,
    };
    Ok(Some((ExitStatus::from_raw(status), spent)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn a_command_is_measured_with_its_children() {
        let line = "head -c 200M /dev/zero | sha256sum; sleep 0.2";
        let (done, spent) = run(Command::new("sh").args(["-c", line]), SOON).unwrap();
        assert!(done.stdout.ends_with("-\n"), "{}", done.stdout);
        assert!(spent.seconds >= 0.2 && spent.processor_seconds > 0.0 && spent.peak_bytes > 100_000, "{spent:?}");
    }

    #[test]
    fn a_failure_anywhere_in_a_line_of_shell_is_one() {
        assert!(shell("false | cat", &[], SOON).is_err());
        assert!(shell("false; true", &[], SOON).is_err());
        assert!(shell("test \"$1\" = word", &["word"], SOON).is_ok());
    }

    #[test]
    fn what_takes_too_long_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let line = format!("(sleep 1; touch {}) & wait", mark.display());
        assert!(run(Command::new("sh").args(["-c", &line]), Duration::from_millis(200)).is_err());
        // A child that lived would have made its mark by then.
        sleep(Duration::from_millis(1500));
        assert!(!mark.exists());
    }
}
