//! A test in namespaces of its own: network, mounts, processes. All that it mounts and starts is gone with it, however it ends.
//! Only root can have them, since the image's file system is mounted.

use std::{env, path::PathBuf, time::Duration};

use livery_contract::{Fault, Result};
use tokio::process::Command;

use crate::programs;

/// Says that it is inside, and where the disk with the image is.
const MARK: &str = "LIVERY_TESTS_CONTAINER";

/// The disk with the image, where this process is inside already. If not, has the disk made (which asks the network), runs the test
/// of this name again inside, at most so long, and demands that it passes.
///
/// # Errors
/// Where the disk can't be made, a namespace can't be made, or the test fails inside.
pub async fn inside(test: &str, most: Duration, disk: impl AsyncFnOnce() -> Result<PathBuf>) -> Result<Option<PathBuf>> {
    if let Some(disk) = env::var_os(MARK) {
        return Ok(Some(disk.into()));
    }
    let disk = disk().await?;
    let own = env::current_exe().map_err(|error| Fault::internal("the test program is gone").cause(error))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    command.arg(own).args(["--exact", test, "--nocapture"]).env(MARK, disk).kill_on_drop(true);
    let done = programs::run(command, "the test in namespaces of its own", most).await?;
    // What was measured, for who reads along.
    eprint!("{}", done.stderr);
    if done.code == Some(0) && done.stdout.contains("1 passed") {
        return Ok(None);
    }
    let fault = Fault::internal(format!("{test} in namespaces of its own: {:?}\n{}", done.code, done.stdout));
    Err(fault.fix("run it as root, after scripts/setup"))
}
