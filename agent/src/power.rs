//! What happens to the device afterwards.

use std::{path::Path, process::Command};

use livery_contract::{Fault, Result};
use nix::sys::reboot::{RebootMode, reboot};
use serde::{Deserialize, Serialize};

/// What to do at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum After {
    /// Leave it on; the program ends.
    #[default]
    Stay,
    /// Switch it off.
    PowerOff,
    /// Restart it.
    Reboot,
}

impl After {
    /// Does it. Returns where the device stays on, or where systemd will switch it off in a moment.
    ///
    /// # Errors
    /// Exit 1 where it cannot be done.
    pub(crate) fn carry_out(self) -> Result<()> {
        let (verb, mode) = match self {
            Self::Stay => return Ok(()),
            Self::PowerOff => ("poweroff", RebootMode::RB_POWER_OFF),
            Self::Reboot => ("reboot", RebootMode::RB_AUTOBOOT),
        };
        // systemd unmounts and syncs in order; without it (an initrd of our own) the kernel does it at once.
        if Path::new("/run/systemd/system").is_dir() {
            match Command::new("systemctl").arg(verb).status() {
                Ok(status) if status.success() => return Ok(()),
                other => tracing::warn!(?other, "systemctl {verb} failed; asking the kernel"),
            }
        }
        nix::unistd::sync();
        match reboot(mode) {
            Err(error) => Err(Fault::internal(format!("the device cannot {verb}")).cause(error).fix("switch it off manually")),
            Ok(never) => match never {},
        }
    }
}
