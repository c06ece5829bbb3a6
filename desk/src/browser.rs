//! A session of the browser. In: an empty `$RUNTIME_DIRECTORY`, which systemd makes for each session and removes after it, with all
//! that the browser kept. Out: Firefox, in this process's place. Fails where the profile can't be written or Firefox does not start.

use std::{env, fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use livery_contract::{Fault, Result};

use crate::{
    renderer::{self, Renderer},
    settings::Settings,
    watchdog,
};

/// Prepares Citrix's client for the session, where the image has it.
const CITRIX: &str = "/usr/lib/livery/citrix-client";

/// Becomes Firefox; what it returns is why that failed.
///
/// # Errors
/// Exit 1 where the profile can't be made.
pub(crate) fn become_it(settings: &Settings, name: &str, page: &str) -> Result<Fault> {
    let folder = env::var_os("RUNTIME_DIRECTORY")
        .ok_or_else(|| Fault::usage("$RUNTIME_DIRECTORY is not set").fix("start it as livery-browser.service"))?;
    let profile = Path::new(&folder).join("profile");
    let broken = |error| Fault::internal("the profile can't be made").at(profile.display()).cause(error);
    fs::create_dir(&profile).map_err(broken)?;
    let emulated = renderer::emulated();
    if emulated {
        watchdog::patience();
    }
    fs::write(profile.join("user.js"), preferences(Renderer::here(), emulated)).map_err(broken)?;
    if settings.client && Path::new(CITRIX).exists() {
        // Beside the browser: a store that cannot be reached now must not keep the sign-in page away.
        Command::new(CITRIX).spawn().map_err(|error| Fault::internal("Citrix's client can't be prepared").cause(error))?;
    }
    let error =
        Command::new("firefox-esr").arg("--no-remote").args(["--name", name]).arg("--profile").arg(&profile).arg(page).exec();
    Ok(Fault::internal("the browser does not start").cause(error).fix("add firefox-esr to `packages.install`"))
}

/// What hangs on this device, as `user.js`.
fn preferences(renderer: Renderer, emulated: bool) -> String {
    let mut text = String::new();
    if renderer == Renderer::Software {
        text.push_str("user_pref(\"gfx.webrender.software\", true);\nuser_pref(\"layers.acceleration.disabled\", true);\n");
    }
    if emulated {
        // A frame takes longer than its turn, and frames go before loading.
        text.push_str("user_pref(\"layout.frame_rate\", 10);\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_draws_needs_no_preferences() {
        assert_eq!(preferences(Renderer::Hardware, false), "");
        let all = preferences(Renderer::Software, true);
        assert!(
            all.lines().count() == 3 && all.lines().all(|line| line.starts_with("user_pref(") && line.ends_with(");")),
            "{all}"
        );
    }
}
