//! The first process of a virtual device with many disks: see livery_tests::right_disk. Never for a real machine.

use livery_tests::right_disk::{
    cases::Told,
    inside::{tell, work},
};
use nix::sys::reboot::{RebootMode, reboot};

fn main() {
    if std::process::id() != 1 {
        eprintln!("this is the init of a test's virtual device, and nothing else");
        std::process::exit(2);
    }
    let ended = tokio::runtime::Builder::new_multi_thread().enable_all().build().map(|runtime| runtime.block_on(work()));
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tell(&Told::Broken(fault.render())),
        Err(error) => tell(&Told::Broken(error.to_string())),
    }
    tell(&Told::End);
    // What was printed is on its way through the serial port. Where there is no port, nothing is left to send.
    let _ = nix::sys::termios::tcdrain(std::io::stdout());
    nix::unistd::sync();
    let _ = reboot(RebootMode::RB_POWER_OFF);
}
