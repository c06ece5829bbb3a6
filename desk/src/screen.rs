//! Becomes the compositor, once the GPU is there. In: the personal layer's keyboard (`XKB_DEFAULT_*` of the unit's environment), the GPU.
//! Out: sway, with a configuration that binds no key. Fails where sway does not start.
//!
//! The keyboard is given to sway as libxkbcommon's defaults: the employee's layout first, `us` second, to switch to. The option
//! `srvrkeys:none` takes Ctrl-Alt-F1 and its like out of the keymap: no key means another console, and a remote desktop gets them.

use std::{env, os::unix::process::CommandExt as _, path::Path, process::Command};

use livery_contract::Fault;

use crate::renderer::Renderer;

/// What a second layout is for: passwords that were chosen on another keyboard, and programs that expect it.
const OTHER: &str = "us";

/// Layouts, variants and options for libxkbcommon: the employee's, perhaps another to switch to.
#[derive(Debug, PartialEq, Eq)]
struct Keyboard {
    layouts: String,
    variants: String,
}

impl Keyboard {
    fn of(layout: &str, variant: &str) -> Self {
        match (layout, variant) {
            ("" | OTHER, "") => Self { layouts: OTHER.into(), variants: String::new() },
            _ => Self { layouts: format!("{layout},{OTHER}"), variants: format!("{variant},") },
        }
    }
}

/// Becomes sway; returns only where that fails.
pub(crate) fn become_it(configuration: &Path) -> Fault {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let keyboard = Keyboard::of(&variable("XKB_DEFAULT_LAYOUT"), &variable("XKB_DEFAULT_VARIANT"));
    let mut sway = Command::new("sway");
    sway.arg("--config").arg(configuration);
    sway.env("XKB_DEFAULT_LAYOUT", keyboard.layouts).env("XKB_DEFAULT_VARIANT", keyboard.variants);
    sway.env("XKB_DEFAULT_OPTIONS", "srvrkeys:none");
    // Told where to draw, it needs no GPU: nothing is waited for.
    let renderer = if env::var_os("WLR_BACKENDS").is_some() { Renderer::here() } else { Renderer::awaited() };
    if renderer == Renderer::Software {
        sway.env("WLR_RENDERER", "pixman").env("WLR_NO_HARDWARE_CURSORS", "1");
    }
    Fault::internal("the compositor does not start").cause(sway.exec()).fix("add sway to `packages.install`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_layout_comes_first_and_none_twice() {
        let of = |layout: &str, variant: &str| {
            let keyboard = Keyboard::of(layout, variant);
            (keyboard.layouts, keyboard.variants)
        };
        assert_eq!(of("fr", "oss"), ("fr,us".into(), "oss,".into()));
        assert_eq!(of("us", ""), ("us".into(), String::new()));
        assert_eq!(of("us", "intl"), ("us,us".into(), "intl,".into()));
        assert_eq!(of("", ""), ("us".into(), String::new()));
    }
}
