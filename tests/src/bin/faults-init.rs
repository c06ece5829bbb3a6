//! The `init` of the small system in which a virtual device runs the agent (livery_tests::faults::initramfs). Loads the
//! drivers, waits for the disk, runs the agent, says how it ended, switches off. Never for a real machine.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::process::ExitStatusExt as _},
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    libc,
    mount::{MsFlags, mount},
    sys::reboot::{RebootMode, reboot},
};

fn main() {
    if std::process::id() != 1 {
        eprintln!("this is the init of a test's virtual device, and nothing else");
        std::process::exit(2);
    }
    match work() {
        Ok(code) => println!("\nFAULTS end {code}"),
        Err(error) => println!("\nFAULTS broken: {error}"),
    }
    // What was printed is on its way through the serial port. Where there is no port, nothing is left to send.
    let _ = nix::sys::termios::tcdrain(std::io::stdout());
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

fn work() -> std::io::Result<i32> {
    for (kind, place) in [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys")] {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    let mut drivers: Vec<_> = fs::read_dir("/modules")?.flatten().map(|entry| entry.path()).collect();
    drivers.sort();
    for driver in drivers {
        load(&File::open(&driver)?)?;
    }
    let line = fs::read_to_string("/proc/cmdline")?;
    let value = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)).unwrap_or_default().to_owned();
    let (disk, image) = (value("faults.disk="), value("faults.image="));
    let begun = Instant::now();
    while !Path::new(&disk).exists() {
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(std::io::Error::other(format!("no disk {disk}")));
        }
        sleep(Duration::from_millis(20));
    }
    println!("FAULTS begin");
    let status = Command::new("/livery-agent")
        .args(["write", &image, "--from", "/store", "--trust", "/root.json", "--disk", &disk, "--json"])
        .status()?;
    Ok(status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1))
}

fn load(driver: &File) -> std::io::Result<()> {
    // SAFETY: finit_module(2) takes a descriptor, which is open for the call, a string that ends in NUL, and flags.
    let result = unsafe { libc::syscall(libc::SYS_finit_module, driver.as_raw_fd(), c"".as_ptr(), 0) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
