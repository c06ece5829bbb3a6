//! A test in a network of its own, with a cable that a virtual device can be plugged into: what a DHCP server needs, which
//! must never answer on a network of somebody else's.
//!
//! A network namespace belongs to a process, so the test program starts itself again inside. Any user may do that who may
//! make user namespaces and open `/dev/net/tun`.

use std::{env, time::Duration};

use livery_contract::{Fault, Result};
use tokio::process::Command;

use crate::programs;

/// The network's end of the cable: an interface of the namespace.
pub const CABLE: &str = "tap0";
/// Says that it is inside.
pub const MARK: &str = "LIVERY_TESTS_NETNS";

/// Whether this process is inside already. If not, runs the test of this name again inside, at most so long, and demands that
/// it passes. There, [`CABLE`] has this address and prefix length, and there is nothing else but the loopback interface.
///
/// # Errors
/// Where a namespace or the interface can't be made, or the test fails inside.
pub async fn inside(test: &str, address: &str, most: Duration) -> Result<bool> {
    if env::var_os(MARK).is_some() {
        return Ok(true);
    }
    let own = env::current_exe().map_err(|error| Fault::internal("the test program is gone").cause(error))?;
    let script = format!(
        "ip link set lo up && ip tuntap add {CABLE} mode tap && ip address add {address} dev {CABLE} && \
         ip link set {CABLE} up && exec \"$@\""
    );
    let mut command = Command::new("unshare");
    // A namespace of processes too: all of them end with the first.
    command.args(["--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", &script, "sh"]);
    command.arg(own).args(["--exact", test, "--nocapture"]).env(MARK, "yes").kill_on_drop(true);
    let done = programs::run(command, "the test in a network of its own", most).await?;
    if done.code == Some(0) && done.stdout.contains("1 passed") {
        // What it measured.
        print!("{}", done.stdout);
        return Ok(false);
    }
    let fault = Fault::internal(format!("{test} in a network of its own: {:?}\n{}\n{}", done.code, done.stdout, done.stderr));
    Err(fault.fix("user namespaces must be allowed, /dev/net/tun be there (modprobe tun), and scripts/setup have run"))
}
