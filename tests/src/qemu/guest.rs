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

use crate::{
    facts::{self, Facts},
    programs::{Done, built},
};

use super::{
    PROGRAM,
    accel::Accel,
    machine::{Machine, probe_socket, tpm_socket},
    monitor::Monitor,
    probe::{self, Probe},
    tpm::Tpm,
};

/// How often the serial log is looked at.
const GLANCE: Duration = Duration::from_millis(200);
/// How often a waiting person is told so.
const WORD: Duration = Duration::from_secs(30);
/// How long a pressed power button is given.
const PRESS: Duration = Duration::from_secs(90);
/// The most that a serial log may have: a guest that prints in a loop must not fill the disk.
const MOST: u64 = 64 << 20;
/// What Linux says where its timer is dead (kernel/rcu/tree_stall.h): QEMU's emulation loses the end of a timer's interrupt once in some
/// hundred starts, and that processor has no interrupts any more.
const DEAD_TIMER: &str = "kthread timer wakeup didn't happen";
/// How often a device is reset for that. It is QEMU's fault and nothing that a device could do; it is said each time.
const RESETS: usize = 2;
/// What Linux says last (kernel/panic.c), and what it says where no reset helped.
const ENDED: [&str; 2] = ["Kernel panic - not syncing", DEAD_TIMER];
/// How long after it a device that starts again may take to do what is waited for.
const AFTER_END: Duration = Duration::from_secs(120);
/// Lines of the log that an error shows.
const SHOWN: usize = 30;
/// What a kernel's first complaint has (kernel/panic.c, lib/bug.c). What follows it in the log may be thousands of its kind.
const COMPLAINTS: [&str; 4] = ["WARNING: CPU", "BUG:", "Oops:", "Kernel panic"];
/// Lines of that one that an error shows.
const OF_COMPLAINT: usize = 20;

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
    /// Lines of the log up to here are of a start that a reset has ended.
    past: usize,
    /// How often it was reset.
    resets: usize,
    started: Instant,
    accel: Accel,
    /// Where it is asked, and the connection once it has been.
    probe: (PathBuf, Option<Probe>),
    _tpm: Option<Tpm>,
    // Holds the monitor's socket: a path in the device's own folder may be longer than a socket's name can be (108 bytes).
    _sockets: tempfile::TempDir,
}

impl Machine {
    /// Switches it on.
    ///
    /// # Errors
    /// Where QEMU is absent or refuses the command line.
    pub async fn start(&self) -> Result<Guest> {
        Guest::start(self, Accel::probe().await).await
    }
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
            past: 0,
            resets: 0,
            started: Instant::now(),
            accel,
            probe: (probe_socket(&socket), None),
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
        let (mut over, mut before) = (None, 0);
        loop {
            // Asked before the console is read: what a dying device still printed must not be missed.
            let ended = self.ended()?;
            let console = self.console()?;
            let said = if ended.is_some() { &console } else { whole(&console, before) };
            before = console.len();
            for (number, line) in said.lines().enumerate().skip(self.seen) {
                if let Some(which) = texts.iter().position(|text| line.contains(text)) {
                    self.seen = number + 1;
                    return Ok((which, line.to_owned()));
                }
            }
            if let Some(status) = ended {
                return Err(self.failed(&format!("the device went off ({status}) before {what}")));
            }
            match console.lines().skip(self.seen).find(|line| ENDED.iter().any(|end| line.contains(end))) {
                Some(line) if self.resets < RESETS && line.contains(DEAD_TIMER) => {
                    self.reset().await?;
                    self.resets += 1;
                    // What it said before is of the start that is over.
                    self.past = console.lines().count();
                    (self.seen, self.probe.1) = (self.past, None);
                }
                // One that starts again by itself is given the time for that.
                Some(line) if over.get_or_insert_with(Instant::now).elapsed() > AFTER_END => {
                    return Err(self.failed(&format!("its kernel ended before {what}: {}", plain(line).trim())));
                }
                _ => {}
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

    /// Runs a shell script in it, as root, at most so long; how it ended, and what it printed. The device must have been given a
    /// [`probe`]; the first question waits until that is up.
    ///
    /// # Errors
    /// Where the probe does not come up, or the answer does not come in time.
    pub async fn ask(&mut self, script: &str, most: Duration) -> Result<Done> {
        if self.probe.1.is_none() {
            // Not before: a serial port that nobody has opened loses what it gets. It may have said so while something else was waited
            // for.
            if !self.console()?.lines().skip(self.past).any(|line| line.contains(probe::READY)) {
                self.wait_for("its probe", probe::READY, most).await?;
            }
            self.probe.1 = Some(Probe::connect(&self.probe.0).await?);
        }
        let begun = Instant::now();
        let Some(mut probe) = self.probe.1.take() else { return Err(self.failed("it has no probe")) };
        probe.send(script).await?;
        loop {
            if let Some(done) = probe.receive(GLANCE).await? {
                self.probe.1 = Some(probe);
                return Ok(done);
            }
            let ended = self.ended()?.is_some();
            if ended || begun.elapsed() > most {
                let why = if ended { "the device went off".into() } else { format!("no answer within {} s", most.as_secs()) };
                return Err(self.failed(&format!("{why}; asked was:\n{script}")));
            }
        }
    }

    /// Has a shell script run in it beside what is asked; what it tells by `say KEY VALUE` comes on the console, for
    /// [`wait_for`](Self::wait_for).
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn tells(&mut self, script: &str) -> Result<()> {
        let most = Duration::from_secs(60) * self.accel.patience();
        let say = "say() { printf '\\nLIVERY-PROBE %s=%s\\n' \"$1\" \"$2\"; }";
        self.ask(&format!("(\n{say}\n{script}\n) > /dev/ttyS0 2> /dev/null &"), most).await.map(drop)
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), and where it does not say all of it.
    pub async fn facts(&mut self, most: Duration) -> Result<Facts> {
        Facts::parse(&self.ask(facts::QUESTION, most).await?.stdout)
    }

    /// Waits in the device until a command succeeds, looking once a second.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), and where it does not within this time.
    pub async fn until(&mut self, command: &str, most: Duration) -> Result<()> {
        let script = format!("i=0; until {command}; do i=$((i + 1)); [ $i -lt {} ] || exit 1; sleep 1; done", most.as_secs());
        // The device's own seconds may be longer.
        match self.ask(&script, most * 2).await?.code {
            Some(0) => Ok(()),
            _ => Err(self.failed(&format!("within {} s it is not so: {command}", most.as_secs()))),
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

    /// Presses the power button until it is off, as a person would: one that has just come up may not listen yet.
    ///
    /// # Errors
    /// Where QEMU can't be reached, or the time is over before.
    pub async fn switch_off(&mut self, most: Duration) -> Result<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() + PRESS < most {
            self.monitor.power_button().await?;
            if let Ok(Ok(status)) = tokio::time::timeout(PRESS, self.child.wait()).await {
                return Ok(status);
            }
        }
        self.wait_exit(PRESS).await
    }

    /// Cuts the power, and waits until it is off.
    ///
    /// # Errors
    /// Where it could not be killed.
    pub async fn cut_power(mut self) -> Result<()> {
        self.child.kill().await.map_err(|error| self.failed("QEMU can't be killed").cause(error))
    }

    /// Switches it off and on at once. A restart of its own still ends QEMU.
    async fn reset(&self) -> Result<()> {
        eprintln!("  {}: QEMU's emulation has lost a processor's timer, and the device is reset", self.name);
        self.monitor.command("set-action", json!({ "reboot": "reset" })).await?;
        self.monitor.command("system_reset", json!({})).await?;
        self.monitor.command("set-action", json!({ "reboot": "shutdown" })).await.map(drop)
    }

    /// A fault of this device, with the last lines of its console.
    pub fn failed(&self, what: &str) -> Fault {
        let console = self.console().unwrap_or_default();
        let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
        let (earlier, last) = lines.split_at(lines.len().saturating_sub(SHOWN));
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let mut text = format!("{}: {what}", self.name);
        if !errors.trim().is_empty() {
            text.push_str(&format!("\n  QEMU says: {}", errors.trim()));
        }
        let complaint = complaint(earlier);
        if !complaint.is_empty() {
            text.push_str(&format!("\n  its kernel's first complaint:\n    {}", complaint.join("\n    ")));
        }
        let last: Vec<String> = last.iter().copied().map(plain).collect();
        text.push_str(&format!("\n  the last lines of its console:\n    {}", last.join("\n    ")));
        Fault::device(text).at(self.log.display())
    }
}

/// A kernel's first complaint in these lines of a console, with what follows it.
fn complaint(lines: &[&str]) -> Vec<String> {
    let complains = |line: &str| COMPLAINTS.iter().any(|what| line.contains(what));
    lines.iter().copied().skip_while(|line| !complains(line)).take(OF_COMPLAINT).map(plain).collect()
}

/// What of a console is whole lines; and the last one too, a prompt perhaps, where nothing came since there were `before` bytes.
fn whole(console: &str, before: usize) -> &str {
    match console.rfind('\n') {
        _ if console.len() == before => console,
        Some(end) => &console[..=end],
        None => "",
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

    #[test]
    fn the_first_complaint_is_shown_however_much_follows() {
        let first = "[ 9.1] WARNING: CPU: 0 PID: 1 at kernel/x.c:1";
        let console = format!("[ 1.0] all is well\r\n{first}\r\n{}", "[ 9.2] ------------[ cut here ]------------\r\n".repeat(99));
        let shown = complaint(&console.lines().collect::<Vec<_>>());
        assert_eq!((shown.len(), shown[0].as_str()), (OF_COMPLAINT, first));
        assert!(complaint(&["[ 1.0] all is well"]).is_empty());
    }

    #[test]
    fn half_a_line_is_waited_for_and_a_prompt_is_not() {
        assert_eq!(whole("up\r\nscreen=155", 4), "up\r\n");
        assert_eq!(whole("up\r\nlogin: ", 11), "up\r\nlogin: ");
        assert_eq!((whole("up\n", 1), whole("u", 0), whole("", 0)), ("up\n", "", ""));
    }
}
