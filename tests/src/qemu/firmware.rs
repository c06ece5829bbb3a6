//! Where the distribution puts UEFI firmware for virtual machines (OVMF).

use std::path::{Path, PathBuf};

use livery_contract::{Fault, Result};

/// Code and the template of its variable store; they must come from the same build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// Read-only code.
    pub code: PathBuf,
    /// Variables as from the factory; each device gets a copy of its own.
    pub vars: PathBuf,
}

/// Finds it: Debian 12 and 13 first, then Fedora's and Arch's places.
///
/// # Errors
/// Where none is installed.
pub fn find() -> Result<Firmware> {
    let places = [
        ("/usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"),
        ("/usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"),
    ];
    places
        .iter()
        .map(|(folder, code, vars)| Firmware { code: Path::new(folder).join(code), vars: Path::new(folder).join(vars) })
        .find(|firmware| firmware.code.is_file() && firmware.vars.is_file())
        .ok_or_else(|| Fault::refused("no UEFI firmware for virtual machines (OVMF) is installed").fix("run scripts/setup"))
}
