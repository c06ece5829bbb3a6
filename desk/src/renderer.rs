//! Whether this device's GPU draws by itself. A virtual or unknown one gets the software renderers of wlroots and Firefox.

use std::{fs, path::Path};

/// Drivers of GPUs that draw.
const DRAWING: [&str; 5] = ["i915", "xe", "amdgpu", "radeon", "nouveau"];

/// What draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renderer {
    /// The GPU.
    Hardware,
    /// The processor.
    Software,
}

impl Renderer {
    /// This device's.
    pub fn here() -> Self {
        Self::of(Path::new("/sys/class/drm"))
    }

    fn of(cards: &Path) -> Self {
        let drivers = fs::read_dir(cards).into_iter().flatten().flatten();
        let mut drivers = drivers.filter_map(|card| fs::read_link(card.path().join("device/driver")).ok());
        let drawing = drivers.any(|driver| driver.file_name().is_some_and(|name| DRAWING.iter().any(|known| name == *known)));
        if drawing { Self::Hardware } else { Self::Software }
    }
}

/// Whether the processor itself is emulated, as in a test without KVM: everything then takes tens of times longer.
pub fn emulated() -> bool {
    let detect = std::process::Command::new("systemd-detect-virt").arg("--vm").output();
    detect.is_ok_and(|output| output.stdout.trim_ascii() == b"qemu")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_a_known_driver_draws() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Renderer::of(&folder.path().join("none")), Renderer::Software);
        for (card, driver, renderer) in [("card0", "bus/virtio_gpu", Renderer::Software), ("card1", "bus/i915", Renderer::Hardware)]
        {
            let device = folder.path().join(card).join("device");
            fs::create_dir_all(&device).unwrap();
            symlink(driver, device.join("driver")).unwrap();
            assert_eq!(Renderer::of(folder.path()), renderer, "{card}");
        }
    }
}
