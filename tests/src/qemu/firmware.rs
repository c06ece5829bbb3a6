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
    /// Whether it enforces Secure Boot once it has keys; then it keeps its variables in system management mode.
    pub secure: bool,
}

/// Finds it: Debian 12 and 13 first, then Fedora's and Arch's places.
///
/// # Errors
/// Where none is installed.
pub fn find() -> Result<Firmware> {
    const PLACES: [[&str; 3]; 3] = [
        ["/usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"],
        ["/usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"],
        ["/usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"],
    ];
    first(&PLACES, false)
}

/// Finds one that can enforce Secure Boot, with variables that hold no keys: in setup mode.
///
/// # Errors
/// Where none is installed.
pub fn find_secure() -> Result<Firmware> {
    const PLACES: [[&str; 3]; 2] = [
        ["/usr/share/OVMF", "OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.fd"],
        ["/usr/share/edk2/x64", "OVMF_CODE.secboot.4m.fd", "OVMF_VARS.4m.fd"],
    ];
    first(&PLACES, true)
}

fn first(places: &[[&str; 3]], secure: bool) -> Result<Firmware> {
    places
        .iter()
        .map(|[folder, code, vars]| Firmware { code: Path::new(folder).join(code), vars: Path::new(folder).join(vars), secure })
        .find(|firmware| firmware.code.is_file() && firmware.vars.is_file())
        .ok_or_else(|| Fault::refused("no UEFI firmware for virtual machines (OVMF) is installed").fix("run scripts/setup"))
}
