//! The kernel's command line: its arguments, and its consoles.

use crate::report::{problem::Problem, text::quoted};

/// A console: `tty0`, `ttyS0,115200`, `ttyS0,115200n8`, `hvc0` (kernel's serial-console documentation).
pub(crate) fn is_console(text: &str) -> bool {
    let (device, options) = match text.split_once(',') {
        Some((device, options)) => (device, Some(options)),
        None => (text, None),
    };
    let numbered = |stem: &str| {
        device
            .strip_prefix(stem)
            .is_some_and(|number| number.len() <= 2 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let serial = |options: &str| {
        let speed = options.bytes().take_while(u8::is_ascii_digit).count();
        (3..=7).contains(&speed)
            && matches!(&options[speed..], "" | "n" | "e" | "o" | "n8" | "e8" | "o8" | "n7" | "e7" | "o7" | "n8r")
    };
    match options {
        None => numbered("ttyS") || numbered("tty") || numbered("hvc"),
        Some(options) => numbered("ttyS") && serial(options),
    }
}

/// One argument, and none of the builder's own.
pub(crate) fn kernel_argument(text: &str) -> Result<(), Problem> {
    if text.is_empty() || text.len() > 256 || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\'') {
        return Err(Problem::new(format!("{} is not one kernel argument", quoted(text)))
            .help("write each argument as an item of its own, without spaces and quotes: [\"quiet\", \"loglevel=3\"]"));
    }
    let name = text.split('=').next().unwrap_or_default();
    if name == "console" {
        return Err(Problem::new(format!("{} belongs in another setting", quoted(text)))
            .help("write it in boot.consoles, without \"console=\""));
    }
    // Whoever sets these decides which system starts: the signed command line is the builder's.
    const OWNED: [&str; 12] = [
        "root",
        "rootfstype",
        "rootflags",
        "roothash",
        "usrhash",
        "init",
        "rdinit",
        "initrd",
        "ro",
        "rw",
        "systemd.volatile",
        "systemd.unit",
    ];
    if OWNED.contains(&name) || name.starts_with("systemd.verity") || name.starts_with("livery.") || name.starts_with("mount.usr") {
        return Err(Problem::new(format!("{} is set by Livery", quoted(name)))
            .help("remove it: the image decides which root is mounted, and how"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn consoles_and_arguments() {
        assert!(["tty0", "ttyS0", "ttyS1,115200", "ttyS0,115200n8", "hvc0"].into_iter().all(is_console));
        assert!(!["", "tty", "ttyS0,", "tty0,115200", "console=tty0", "ttyS0,fast", "ttyS0 "].into_iter().any(is_console));
        assert!(["quiet", "loglevel=3", "i915.enable_psr=0"].into_iter().all(|text| kernel_argument(text).is_ok()));
        for bad in ["", "a b", "console=ttyS0", "root=/dev/sda", "init=/bin/sh", "systemd.verity=0", "a=\"b\""] {
            assert!(kernel_argument(bad).is_err(), "{bad}");
        }
    }
}
