//! Tells the station, once, what took effect on this device. In: the running system, the device's own key. Out: a confirmation that the
//! station has; a mark, where the device has a place that outlives its switching off.
//!
//! ```text
//! settled ── findings ──> signed ──> sent ──> mark
//!   │         (kernel, systemd, screen's process, mounts)
//!   └─ systemd's start has ended; until then what is not up yet is no finding
//! ```
//!
//! One try. What comes of it, systemd decides: the unit starts it again, less and less often, until it ends with 0; and at once when a
//! network comes. Nothing waits for it. Fails with exit 3 where the device has no key, 5 where the station does not answer, or with
//! what the station says.

mod bus;
mod findings;
mod key;
mod mark;
mod mounts;
mod send;
mod settings;
mod verity;

use std::path::Path;

use jiff::Timestamp;
use livery_contract::{
    Fault, Result,
    confirmation::{Confirmation, SCHEMA},
    envelope::Envelope,
};
use tracing::info;

pub(crate) use self::settings::{PLACE, Settings};

/// Reads back, signs, sends.
///
/// # Errors
/// See the module.
pub(crate) async fn run(place: &Path) -> Result<()> {
    let settings = Settings::read(place)?;
    let key = key::read()?;
    let bus = bus::Bus::connect().await?;
    bus.settled().await?;
    let mounts = mounts::Mounts::read()?;
    let findings = findings::read(&settings, &bus, &mounts).await;
    let confirmation = Confirmation {
        schema: SCHEMA,
        serial: serial()?,
        booted: booted()?,
        at: Timestamp::now(),
        secure_boot: secure_boot(),
        findings,
        desk: env!("CARGO_PKG_VERSION").into(),
    };
    confirmation.check()?;
    let mark = mark::Mark::new(&settings, &mounts, &confirmation, &key);
    if mark.is_there() {
        info!("the station already knows this state");
        return Ok(());
    }
    let known = send::send(&settings, &Envelope::sign(&confirmation, &key)).await?;
    info!("the station {}", if known { "already knew this state" } else { "has it" });
    mark.set()
}

/// SMBIOS type 1, as the agent reads it.
fn serial() -> Result<String> {
    const PLACE: &str = "/sys/class/dmi/id/product_serial";
    let text = std::fs::read_to_string(PLACE)
        .map_err(|error| Fault::device("the device's serial number can't be read").at(PLACE).cause(error))?;
    Ok(text.trim().to_owned())
}

/// When the system was started, by the clock as it is now (proc_stat(5), `btime`).
fn booted() -> Result<Timestamp> {
    const PLACE: &str = "/proc/stat";
    let unknown = || Fault::device("the kernel does not report when it was started").at(PLACE);
    let text = std::fs::read_to_string(PLACE).map_err(|error| unknown().cause(error))?;
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).ok_or_else(unknown)?;
    Timestamp::from_second(seconds).map_err(|error| unknown().cause(error))
}

/// The firmware's variable (UEFI 2.10, section 3.3): four bytes of attributes, then one byte.
fn secure_boot() -> Option<bool> {
    let bytes = std::fs::read("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c").ok()?;
    bytes.get(4).map(|byte| *byte == 1)
}
