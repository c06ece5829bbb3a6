//! Which accelerator to use. That `/dev/kvm` opens says little: in a nested or restricted host a guest may then hang or
//! abort (`failed to set MSR`). Nor does a boot sector that runs: there are hosts that emulate enough for that, and fail
//! on the first floating-point instruction. So UEFI firmware is started; only if it comes to its boot manager, KVM is used.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{process::Command, sync::OnceCell, time::sleep};

use super::{PROGRAM, firmware};

/// The emulated processor: all that QEMU can do, but for `rep stosb` and `rep movsb` being the fast way to clear and copy, which in
/// emulation is a byte at a time. A terminal's start to its system takes 18 % less so. Nor has it page tables of five levels, of which
/// each miss of the emulated TLB would walk one more.
const EMULATED: &str = "max,-erms,-fsrm,-la57";

/// How guests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// By the processor.
    Kvm,
    /// Emulated, about ten times slower.
    Tcg,
}

/// Decides it without a probe.
pub const VARIABLE: &str = "LIVERY_QEMU_ACCEL";

impl Accel {
    /// What works here. Probed once for each process, at most [`PROBE`]; `LIVERY_QEMU_ACCEL=kvm` or `tcg` decides it
    /// without a probe.
    pub async fn probe() -> Self {
        static FOUND: OnceCell<Accel> = OnceCell::const_new();
        *FOUND
            .get_or_init(|| async {
                match std::env::var(VARIABLE).as_deref() {
                    Ok("kvm") => Self::Kvm,
                    Ok("tcg") => Self::Tcg,
                    _ if boots(Self::Kvm, PROBE).await => Self::Kvm,
                    _ => Self::Tcg,
                }
            })
            .await
    }

    /// As `LIVERY_QEMU_ACCEL` and QEMU call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// QEMU's flags: who runs the guest's processors, what they can do, and how many they are. An emulated one is alone: two in turns cost
    /// a sixth more for the same start, and two at once a fifth; and with a thread for each, guests lost interrupts (QEMU 10.0.2: a timer
    /// of the kernel's that never came).
    pub const fn flags(self) -> [&'static str; 6] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host", "-smp", "2"],
            Self::Tcg => ["-accel", "tcg,thread=single", "-cpu", EMULATED, "-smp", "1"],
        }
    }

    /// How much longer than on KVM a guest may take.
    pub const fn patience(self) -> u32 {
        match self {
            Self::Kvm => 1,
            Self::Tcg => 5,
        }
    }
}

/// The most that the probe waits. With KVM, OVMF needs about 3 s to its boot manager.
pub const PROBE: Duration = Duration::from_secs(15);

/// Whether UEFI firmware comes as far as its boot manager, with no disk to boot from.
async fn boots(accel: Accel, most: Duration) -> bool {
    let Ok(firmware) = firmware::find() else { return false };
    let Ok(folder) = tempfile::tempdir() else { return false };
    let (console, errors, vars) = (folder.path().join("console"), folder.path().join("errors"), folder.path().join("vars"));
    let (Ok(_), Ok(stderr)) = (fs::copy(&firmware.vars, &vars), fs::File::create(&errors)) else { return false };
    let child = Command::new(PROGRAM)
        .args(accel.flags())
        .args(["-M", "q35", "-m", "256", "-nodefaults", "-display", "none", "-no-reboot"])
        .arg("-drive")
        .arg(format!("if=pflash,unit=0,format=raw,readonly=on,file={}", firmware.code.display()))
        .arg("-drive")
        .arg(format!("if=pflash,unit=1,format=raw,file={}", vars.display()))
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = child else { return false };
    let begun = Instant::now();
    while begun.elapsed() < most {
        let said = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        if said(&console).contains("BdsDxe") {
            return true;
        }
        if said(&errors).contains("KVM internal error") || !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        sleep(Duration::from_millis(100)).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn qemu_probe_tells_a_running_guest_from_none() {
        // Emulation always runs; if the probe does not see it there, it would never find KVM either.
        assert!(boots(Accel::Tcg, Duration::from_secs(120)).await);
        assert!(!boots(Accel::Tcg, Duration::from_millis(1)).await);
    }
}
