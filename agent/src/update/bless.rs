//! A newer image that was started and is up is committed; one that does not come up makes the device start again, with the one before.
//!
//! Up is: the units that the image names are active, and stay so for a while. What starts next time was decided before: the firmware
//! started the newer one once, so a device that hangs or is switched off comes back with the one before by itself.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use livery_contract::{Fault, Reference, Result};
use serde::Serialize;

use super::{
    esp::{Esp, Trial},
    settings::Settings,
};
use crate::{power::After, work::stop::Stop};

/// How long the units have to become active, once the rest of the system has started.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long they must stay so.
const STEADY: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum Blessed {
    /// Nothing was on trial.
    Nothing { image: Reference },
    /// What runs is committed: it starts from now on.
    #[serde(rename = "kept")]
    Committed { image: Reference },
    /// Another image was on trial, and this one runs: that one did not come up, or was not started yet.
    Before { image: Reference, newer: Reference },
}

impl Blessed {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Nothing { image } => format!("{image} runs, and no image is on trial"),
            Self::Committed { image } => format!("{image} came up healthy; the device now starts it by default"),
            Self::Before { image, newer } => {
                format!("{newer} should have started, but {image} runs: it will be tried a few more times")
            }
        }
    }
}

/// Commits what is up.
///
/// # Errors
/// Exit 6 where what is on trial does not come up: the device is then starting again.
pub(crate) fn run(place: &Path, stop: &Stop) -> Result<Blessed> {
    let Settings { image, units, .. } = Settings::read(place)?;
    let esp = Esp::mounted();
    match esp.trial()? {
        None => Ok(Blessed::Nothing { image }),
        Some(Trial { image: newer, .. }) if newer != image => Ok(Blessed::Before { image, newer }),
        Some(_) => {
            let mut pause = |time| {
                std::thread::sleep(time);
                stop.check()
            };
            if let Err(fault) = steady(|| active(&units), &mut pause) {
                if stop.asked() {
                    // Somebody switches the device off: it was one of its tries.
                    return Err(fault);
                }
                // Said before, as this program may not live to say it after.
                tracing::error!("{}", fault.render());
                After::Reboot.carry_out()?;
                return Err(fault);
            }
            esp.commit()?;
            Ok(Blessed::Committed { image })
        }
    }
}

/// Waits until nothing is missing, and nothing has been for a while.
fn steady(mut missing: impl FnMut() -> Result<Vec<String>>, pause: &mut dyn FnMut(Duration) -> Result<()>) -> Result<()> {
    let (mut waited, mut since) = (Duration::ZERO, None);
    loop {
        let missing = missing()?;
        since = if missing.is_empty() { since.or(Some(waited)) } else { None };
        if since.is_some_and(|since| waited - since >= STEADY) {
            return Ok(());
        }
        if waited >= PATIENCE + STEADY {
            let list = if missing.is_empty() { "nothing for long enough".to_owned() } else { missing.join(", ") };
            return Err(Fault::device(format!("the newer image did not come up within {} s: {list}", waited.as_secs())).fix(
                "the device restarts with the previous image; check what these units log (journalctl), and publish a newer version",
            ));
        }
        let began = Instant::now();
        pause(LOOK)?;
        waited += LOOK.max(began.elapsed());
    }
}

/// Which units are not active, and in which state.
fn active(units: &[String]) -> Result<Vec<String>> {
    let names: Vec<&str> = units.iter().map(String::as_str).collect();
    // One block for each unit, in this order, with an empty line between.
    let said = systemctl(&[&["show", "--property=ActiveState", "--value"], names.as_slice()].concat())?;
    let states: Vec<&str> = said.split_whitespace().collect();
    if states.len() != units.len() {
        return Err(Fault::device("systemd does not report the state of its units").cause(said));
    }
    Ok(units.iter().zip(states).filter(|(_, state)| *state != "active").map(|(unit, state)| format!("{unit} {state}")).collect())
}

fn systemctl(arguments: &[&str]) -> Result<String> {
    let failed = |what: String| Fault::device(format!("systemctl {} failed", arguments.first().unwrap_or(&""))).cause(what);
    let output = Command::new("systemctl").args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().chars().take(600).collect()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// How long it waits, where the units are missing in these spans of seconds.
    fn waits(missing: &[(u64, u64)]) -> (bool, u64) {
        let now = std::cell::Cell::new(Duration::ZERO);
        let up = steady(
            || {
                let out = missing.iter().any(|(from, to)| (*from..*to).contains(&now.get().as_secs()));
                Ok(if out { vec!["a.service failed".into()] } else { Vec::new() })
            },
            &mut |time| {
                now.set(now.get() + time);
                Ok(())
            },
        );
        (up.is_ok(), now.get().as_secs())
    }

    #[test]
    fn up_is_up_for_a_while() {
        assert_eq!(waits(&[]), (true, 30));
        assert_eq!(waits(&[(0, 10)]), (true, 40));
        assert_eq!(waits(&[(0, 10), (20, 22)]), (true, 52), "fell over once");
        assert_eq!(waits(&[(0, 1000)]), (false, 150));
        assert!(!waits(&(0..40).map(|span| (span * 20, span * 20 + 2)).collect::<Vec<_>>()).0, "falls over again and again");
    }
}
