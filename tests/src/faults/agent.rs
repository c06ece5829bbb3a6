//! The agent under test, started as people start it; what it says is kept, and how long it says nothing is measured.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result, fault::FaultReport};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::programs::Program;

/// The most that a run may take before it counts as hanging.
pub const LIMIT: Duration = Duration::from_secs(400);
/// The most of an output that is kept.
const KEPT: usize = 1 << 20;

/// Which run.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// `write` or `verify`.
    pub verb: &'static str,
    /// The image.
    pub reference: &'a str,
    /// Folder or URL.
    pub from: &'a str,
    /// The store's trusted root.
    pub trust: &'a Path,
    /// The disk.
    pub disk: &'a Path,
    /// Programs that start the agent with a limit: `prlimit --fsize=…`.
    pub under: Vec<String>,
}

/// A running agent; killed where it is dropped.
pub struct Running {
    child: Child,
    pid: Pid,
    started: Instant,
    heard: Arc<Mutex<Heard>>,
    readers: [JoinHandle<Vec<u8>>; 2],
}

struct Heard {
    last: Instant,
    longest: Duration,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code; 128 and the signal's number where one ended it.
    pub code: i32,
    /// What it said is wrong, where it said so.
    pub report: Option<FaultReport>,
    /// Standard error.
    pub stderr: String,
    /// Standard output.
    pub stdout: String,
    /// The longest time without a word.
    pub silence: Duration,
    /// Whether it did not end by itself.
    pub hung: bool,
}

impl Ended {
    /// One whose output came over a console, both kinds in one.
    pub fn of(code: i32, said: String) -> Self {
        let report = said.lines().rev().find_map(|line| Some(serde_json::from_str::<Said>(line.trim()).ok()?.error));
        Self { code, report, stderr: said.clone(), stdout: said, silence: Duration::ZERO, hung: false }
    }
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// Where it is not built or does not start.
    pub fn start(order: &Order<'_>) -> Result<Self> {
        let agent = Program::Agent.path()?.display().to_string();
        let mut words = order.under.clone();
        words.push(agent);
        words.extend([order.verb, order.reference, "--from", order.from, "--trust"].map(str::to_owned));
        words.push(order.trust.display().to_string());
        words.extend(["--disk".to_owned(), order.disk.display().to_string(), "--json".to_owned()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let broken = |what: &str| Fault::internal(format!("{}: {what}", words[0]));
        let mut child = command.spawn().map_err(|error| broken("it does not start").cause(error))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).ok_or_else(|| broken("no process"))?;
        let heard = Arc::new(Mutex::new(Heard { last: Instant::now(), longest: Duration::ZERO }));
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else { return Err(broken("no pipes")) };
        let readers = [tokio::spawn(listen(stdout, heard.clone())), tokio::spawn(listen(stderr, heard.clone()))];
        Ok(Self { child, pid: Pid::from_raw(pid), started: Instant::now(), heard, readers })
    }

    /// Sends a signal; to one that has ended it does nothing.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// Waits for its end, and kills it after [`LIMIT`].
    ///
    /// # Errors
    /// Where the kernel won't tell how it ended.
    pub async fn end(mut self) -> Result<Ended> {
        let left = LIMIT.saturating_sub(self.started.elapsed());
        let broken = |error| Fault::internal("the agent can't be waited for").cause(error);
        let (status, hung) = match timeout(left, self.child.wait()).await {
            Ok(status) => (status.map_err(broken)?, false),
            Err(_) => {
                self.child.start_kill().map_err(broken)?;
                (self.child.wait().await.map_err(broken)?, true)
            }
        };
        let [stdout, stderr] = self.readers;
        let text = async |reader: JoinHandle<Vec<u8>>| String::from_utf8_lossy(&reader.await.unwrap_or_default()).into_owned();
        let (stdout, stderr) = (text(stdout).await, text(stderr).await);
        hear(&self.heard);
        let silence = lock(&self.heard).longest;
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        let report = stdout.lines().rev().find_map(|line| Some(serde_json::from_str::<Said>(line).ok()?.error));
        Ok(Ended { code, report, stderr, stdout, silence, hung })
    }
}

/// Starts it and waits for its end.
///
/// # Errors
/// As [`Running::start`] and [`Running::end`].
pub async fn run(order: &Order<'_>) -> Result<Ended> {
    Running::start(order)?.end().await
}

#[derive(serde::Deserialize)]
struct Said {
    error: FaultReport,
}

async fn listen(mut from: impl AsyncRead + Unpin, heard: Arc<Mutex<Heard>>) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        hear(&heard);
        if all.len() < KEPT {
            all.extend_from_slice(&buffer[..count]);
        }
    }
    all
}

fn hear(heard: &Mutex<Heard>) {
    let mut heard = lock(heard);
    heard.longest = heard.longest.max(heard.last.elapsed());
    heard.last = Instant::now();
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
