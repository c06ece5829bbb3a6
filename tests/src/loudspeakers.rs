//! A device's loudspeakers: what was heard from them, and what the device itself says of its sound.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Result};
use tokio::time::sleep;

use crate::qemu::Guest;

/// What a line about them begins with, behind the probe's own beginning.
const KEY: &str = "sound=";
/// A sample that one hears: a tenth of the loudest.
const AUDIBLE: u16 = 3276;
/// From one look at what was heard to the next.
const GLANCE: Duration = Duration::from_secs(1);

/// Waits until something is heard from a device's loudspeakers, which QEMU records in the file `heard`; the loudest sample so far.
///
/// # Errors
/// Where nothing is audible in time; with what the device says of its sound.
pub async fn hear(guest: &mut Guest, heard: &Path) -> Result<u16> {
    let most = Duration::from_secs(30) * guest.accel().patience();
    let begun = Instant::now();
    loop {
        let loudest = loudest(heard)?;
        if loudest >= AUDIBLE {
            return Ok(loudest);
        }
        if guest.ended()?.is_some() || begun.elapsed() > most {
            let said = said(guest.console()?.lines());
            let missed = format!("its desktop rings, but nothing was louder than {loudest}; it said:{said}");
            return Err(guest.failed(&missed).at(heard.display()));
        }
        sleep(GLANCE).await;
    }
}

/// The loudest sample of a WAV file as QEMU writes it: 16 bits, behind 44 bytes of header.
fn loudest(heard: &Path) -> Result<u16> {
    let bytes = match fs::read(heard) {
        // QEMU makes it as the device first opens its loudspeakers.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        read => read.map_err(|error| Fault::device("what was heard can't be read").cause(error).at(heard.display()))?,
    };
    let samples = bytes.get(44..).unwrap_or_default().chunks_exact(2);
    Ok(samples.map(|sample| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs()).max().unwrap_or(0))
}

/// A part of a shell script, as root, in which `say KEY VALUE` tells: `sound` is where PipeWire plays to, each time that it is another
/// place; and after half a minute without any, what its parts have said.
pub fn script() -> String {
    r#"(
journal() { journalctl -b -q -o short-monotonic -u 'livery-sound@*' | tail -n 30; }
for i in $(seq 100); do
    now=$(runuser -u kiosk -- env XDG_RUNTIME_DIR=/run/kiosk wpctl status 2>&1 | grep -F '[vol: ' | tr -s ' \n' ' ')
    [ "$now" = "$last" ] || say sound "$(cut -d . -f 1 /proc/uptime) s: ${now:-nowhere}"
    last=$now
    [ $i = 3 ] && [ -z "$now" ] && journal | while read -r line; do say sound "$line"; done
    sleep 10
done
) &
"#
    .to_owned()
}

/// What it said, of the console's lines.
fn said<'a>(console: impl Iterator<Item = &'a str>) -> String {
    console.filter_map(|line| line.split_once(KEY)).map(|(_, what)| format!("\n  {}", what.trim())).collect()
}
