//! A TPM 2.0 for a virtual device, by swtpm. It lives in a process of its own, which ends with the device.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use tokio::{
    process::{Child, Command},
    time::sleep,
};

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running one.
#[derive(Debug)]
pub struct Tpm {
    _child: Child,
}

impl Tpm {
    /// Starts it on the state in `folder`, made where it is not there, to listen at `socket`.
    ///
    /// # Errors
    /// Where swtpm is absent or does not listen.
    pub async fn start(folder: &Path, socket: &Path) -> Result<Self> {
        let broken = |what: &str| Fault::refused(what.to_owned()).at(folder.display()).fix("run scripts/setup");
        fs::create_dir_all(folder).map_err(|error| broken("the TPM's folder can't be made").cause(error))?;
        let log = folder.join("swtpm.log");
        let stderr = File::create(&log).map_err(|error| broken("the TPM's log can't be made").cause(error))?;
        let mut child = Command::new("swtpm")
            .args(["socket", "--tpm2", "--terminate", "--tpmstate"])
            .arg(format!("dir={}", folder.display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| broken("swtpm does not start").cause(error))?;
        let begun = Instant::now();
        while !socket.exists() {
            if !matches!(child.try_wait(), Ok(None)) || begun.elapsed() > PATIENCE {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(broken(&format!("swtpm does not listen: {}", said.trim())));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { _child: child })
    }
}
