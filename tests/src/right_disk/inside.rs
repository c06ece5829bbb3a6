//! Goes through the table, inside the device, as its first process.

use std::{
    fs,
    os::fd::AsRawFd as _,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result, job::DiskHints, record::Record, wire::Phase};
use nix::{
    errno::Errno,
    libc,
    mount::{MsFlags, mount},
};
use tokio::process::{Child, Command};

use super::{
    cases::{ABSENT, Ask, Case, FOLDER, Hold, Outcome, Plan, SLOTS, TABLE, TELLS, TOLD, Told, Wanted},
    hold::{Ends, hold},
    replug::{self, Gate},
    station::{Heard, Station},
    sysfs::{self, node, settle},
    tools::run,
};

/// The most that one start of the agent may take.
const LIMIT: Duration = Duration::from_secs(150);

/// Prints a line that the host reads.
pub fn tell(told: &Told) {
    // A line of its own, whatever stands on the console.
    println!("\n{TELLS}{}{TOLD}", serde_json::to_string(told).unwrap_or_default());
}

/// Starts the system, then the agent for each row.
///
/// # Errors
/// Where the system does not come up. A case that can't be made is told, and the next one follows.
pub async fn work() -> Result<()> {
    start()?;
    let plan = fs::read(format!("{FOLDER}/plan.json")).map_err(|error| Fault::internal("no plan").cause(error))?;
    let plan: Plan = serde_json::from_slice(&plan).map_err(|error| Fault::internal("no plan").cause(error))?;
    for slot in SLOTS {
        sysfs::find(slot.serial)?;
    }
    let absent = tokio::spawn({
        let plan = plan.clone();
        async move { start_agent(&plan, &ABSENT, Ask::Job, "").await?.end().await }
    });
    for case in TABLE {
        if let Err(fault) = go(&plan, &case).await {
            tell(&Told::Broken(format!("{}: {}", case.name, fault.render())));
        }
    }
    match absent.await.map_err(|error| Fault::internal("a task stopped").cause(error))? {
        Ok(ended) => tell(&Told::Outcome(Box::new(ended.outcome(&ABSENT, Ask::Job)))),
        Err(fault) => tell(&Told::Broken(format!("{}: {}", ABSENT.name, fault.render()))),
    }
    Ok(())
}

/// What systemd does on the medium: file systems, drivers, udev; and the loopback interface.
fn start() -> Result<()> {
    let mounts =
        [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run"), ("efivarfs", "/sys/firmware/efi/efivars")];
    for (kind, place) in mounts {
        let fail = |error| Fault::internal(format!("{kind} can't be mounted")).cause(error);
        if kind == "efivarfs" {
            run("modprobe", &["efivarfs"])?;
        }
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>).map_err(fail)?;
    }
    for folder in ["/run/lock/lvm", "/run/lvm", "/etc/lvm", "/mnt"] {
        fs::create_dir_all(folder).map_err(|error| Fault::internal("no folder").at(folder).cause(error))?;
    }
    for driver in ["dm-mod", "vfat", "nls_ascii", "nls_cp437"] {
        run("modprobe", &[driver])?;
    }
    for driver in super::guest::DRIVERS {
        run("insmod", &[&format!("{FOLDER}/{driver}.ko")])?;
    }
    loopback().map_err(|error| Fault::internal("no loopback interface").cause(error))?;
    run("/usr/lib/systemd/systemd-udevd", &["--daemon"])?;
    for kind in ["subsystems", "devices"] {
        run("udevadm", &["trigger", "--action=add", &format!("--type={kind}")])?;
    }
    settle()
}

/// Brings `lo` up (netdevice(7)).
fn loopback() -> nix::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: zeros are a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(*b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
    // SAFETY: an open socket, and a structure that outlives the call.
    Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }).map(drop)
}

async fn go(plan: &Plan, case: &Case) -> Result<()> {
    let disk = sysfs::find(case.disk)?;
    let kept = match case.hold.overwrites() {
        true => Some(Ends::of(&disk)?),
        false => None,
    };
    let undo = hold(case.hold, &disk)?;
    let mut content = match case.hold {
        _ if matches!(case.wanted, Wanted::Written(_)) => Vec::new(),
        Hold::None => sysfs::content(&disk)?,
        _ => sysfs::content_at_rest(&disk)?,
    };
    for ask in case.asks {
        let outcome = once(plan, case, *ask, &disk, &mut content).await?;
        tell(&Told::Outcome(Box::new(outcome)));
    }
    undo()?;
    if let Some(ends) = kept {
        ends.put_back()?;
    }
    if let Some(serial) = case.out {
        replug::unplug(&sysfs::find(serial)?)?;
        settle()?;
    }
    Ok(())
}

/// One start of the agent, and what it did. `content` is what the disk held before, and then what it holds.
async fn once(plan: &Plan, case: &Case, ask: Ask, disk: &str, content: &mut Vec<u8>) -> Result<Outcome> {
    let writes = sysfs::writes();
    let mut agent = match case.hold {
        Hold::Renamed(other) => {
            // The disks are looked at in the order of their names: when it comes to a later one, it has seen this one.
            let gate = Gate::before(&sysfs::find("LATE")?)?;
            let agent = start_agent(plan, case, ask, disk).await?;
            let process = agent.child.id().ok_or_else(|| Fault::internal("the agent is gone"))?;
            let (one, other, heard) = (disk.to_owned(), other.to_owned(), agent.heard());
            let swapped = tokio::task::spawn_blocking(move || {
                let mut addresses = None;
                // The first look, before it has a job, is only for the station.
                gate.hold(
                    process,
                    || heard().enrolled,
                    || {
                        addresses = Some(replug::swap(&one, &other)?);
                        Ok(())
                    },
                )?;
                Ok::<_, Fault>((addresses, other))
            });
            let (addresses, other) = swapped.await.map_err(|error| Fault::internal("a task stopped").cause(error))??;
            let ended = agent.end().await?;
            let touched = sysfs::written_since(&writes);
            settle()?;
            replug::unplug(&sysfs::find(&other)?)?;
            for address in addresses.iter().flatten() {
                replug::plug(address)?;
            }
            settle()?;
            Ended { touched: Some(touched), ..ended }
        }
        Hold::Late => {
            let agent = start_agent(plan, case, ask, disk).await?;
            agent.until(Phase::Target).await?;
            // It looks, and finds nothing, at least once more.
            tokio::time::sleep(Duration::from_secs(2)).await;
            replug::rescan()?;
            agent.end().await?
        }
        _ => start_agent(plan, case, ask, disk).await?.end().await?,
    };
    let disk = sysfs::find(case.disk)?;
    agent.touched.get_or_insert_with(|| sysfs::written_since(&writes));
    let mut outcome = agent.outcome(case, ask);
    if matches!(case.wanted, Wanted::Refused(_)) {
        let now = sysfs::content(&disk)?;
        outcome.same = now == *content;
        *content = now;
    }
    outcome.node = node(&disk, None);
    // udev has the kernel read the table once more when a disk that was written is closed: then there are none for a moment.
    settle()?;
    outcome.partitions = sysfs::partitions(&disk);
    Ok(outcome)
}

fn agent_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/livery-agent");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A running agent.
struct Agent {
    child: Child,
    station: Option<Station>,
    begun: Instant,
}

/// One that has ended.
struct Ended {
    code: Option<i32>,
    words: String,
    took: Duration,
    heard: Heard,
    touched: Option<Vec<String>>,
}

async fn start_agent(plan: &Plan, case: &Case, ask: Ask, disk: &str) -> Result<Agent> {
    let (store, trust, config) = (format!("{FOLDER}/store"), format!("{FOLDER}/root.json"), format!("{FOLDER}/agent.toml"));
    let hints = match ask {
        Ask::Job => DiskHints { serial: Some(case.disk.into()), ..DiskHints::default() },
        Ask::JobByTransport(transport) => DiskHints { transport: Some(transport), ..DiskHints::default() },
        Ask::Hand | Ask::HandRemovable | Ask::HandPartition => {
            let path = node(disk, (ask == Ask::HandPartition).then_some(1));
            let image = plan.image.to_string();
            let mut command = agent_command(&["write", &image, "--from", &store, "--trust", &trust, "--disk", &path, "--json"]);
            if ask == Ask::HandRemovable {
                command.arg("--removable");
            }
            let child = command.spawn().map_err(|error| Fault::internal("the agent does not start").cause(error))?;
            return Ok(Agent { child, station: None, begun: Instant::now() });
        }
    };
    let station = Station::start(Path::new(&store), plan, hints)?;
    fs::write(&config, "").map_err(|error| Fault::internal("no room").cause(error))?;
    let (url, key) = (station.url(), station.job_key().to_string());
    let arguments = ["run", "--config", &config, "--station", &url, "--job-key", &key, "--trust", &trust];
    let mut command = agent_command(&arguments);
    command.args(["--fail-hold", "0", "--done-hold", "0", "--give-up-after", "60", "--json"]);
    let child = command.spawn().map_err(|error| Fault::internal("the agent does not start").cause(error))?;
    Ok(Agent { child, station: Some(station), begun: Instant::now() })
}

impl Agent {
    /// What its station has heard, at any time.
    fn heard(&self) -> impl Fn() -> Heard + Send + use<> {
        let hearing = self.station.as_ref().map(Station::hearing);
        move || hearing.as_ref().map(|hearing| hearing()).unwrap_or_default()
    }

    /// Waits until it has told the station that it is in this step.
    async fn until(&self, phase: Phase) -> Result<()> {
        while self.station.as_ref().and_then(|station| station.heard().phase) != Some(phase) {
            if self.begun.elapsed() > LIMIT {
                return Err(Fault::internal(format!("the agent did not come to {}", phase.as_str())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn end(self) -> Result<Ended> {
        let Self { child, station, begun } = self;
        let mut ended = end(Ok(child), Path::new("agent")).await?;
        ended.took = begun.elapsed();
        if let Some(station) = station {
            ended.heard = station.heard();
        }
        Ok(ended)
    }
}

async fn end(child: std::io::Result<Child>, what: &Path) -> Result<Ended> {
    let fail = |error: std::io::Error| Fault::internal("a program can't be run").at(what.display()).cause(error);
    let waited = tokio::time::timeout(LIMIT, child.map_err(fail)?.wait_with_output()).await;
    let output = waited.map_err(|_| Fault::internal("it does not end").at(what.display()))?.map_err(fail)?;
    let record = serde_json::from_slice::<Record>(&output.stdout).ok();
    Ok(Ended {
        code: output.status.code(),
        words: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: Duration::ZERO,
        heard: Heard { record, ..Heard::default() },
        touched: None,
    })
}

impl Ended {
    fn outcome(self, case: &Case, ask: Ask) -> Outcome {
        Outcome {
            case: case.name.into(),
            ask: format!("{ask:?}"),
            code: self.code,
            words: self.words,
            took: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            node: String::new(),
            same: true,
            touched: self.touched.unwrap_or_default(),
            failed_in: self.heard.failure.map(|failure| failure.phase.as_str().to_owned()),
            record: self.heard.record,
            partitions: Vec::new(),
        }
    }
}
