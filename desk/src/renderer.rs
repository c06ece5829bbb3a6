//! Whether this device's GPU draws by itself. A virtual or unknown one gets the software renderers of wlroots and Firefox.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Drivers of GPUs that draw.
const DRAWING: [&str; 5] = ["i915", "xe", "amdgpu", "radeon", "nouveau"];

/// Where the kernel lists GPUs, and where their nodes are.
const CARDS: &str = "/sys/class/drm";
const NODES: &str = "/dev/dri";
/// The longest that a GPU is waited for. Some devices have none that has a driver here.
const MOST: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(20);

/// What draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renderer {
    Hardware,
    Software,
}

impl Renderer {
    /// This device's; software where there is no GPU (yet).
    pub(crate) fn here() -> Self {
        Self::of(Path::new(CARDS)).unwrap_or(Self::Software)
    }

    /// This device's, once there is a GPU, ready to be used: its driver may take longer than all else, and what is decided before it is
    /// there would be decided wrongly. Where none comes in time, software.
    pub(crate) fn awaited() -> Self {
        let begun = Instant::now();
        loop {
            let found = Self::of(Path::new(CARDS));
            let ready = match found {
                // The compositor opens its node by itself, which udev has to allow first.
                Some(Self::Hardware) => accessible(Path::new(NODES)),
                Some(Self::Software) => true,
                None => false,
            };
            if ready || begun.elapsed() >= MOST {
                return found.unwrap_or(Self::Software);
            }
            thread::sleep(GLANCE);
        }
    }

    /// None where there is no card.
    fn of(cards: &Path) -> Option<Self> {
        let drivers = fs::read_dir(cards).into_iter().flatten().flatten();
        let mut drivers = drivers.filter_map(|card| fs::read_link(card.path().join("device/driver")).ok()).peekable();
        drivers.peek()?;
        let drawing = drivers.any(|driver| driver.file_name().is_some_and(|name| DRAWING.iter().any(|known| name == *known)));
        Some(if drawing { Self::Hardware } else { Self::Software })
    }
}

/// The nodes of GPUs that draw (Linux: Documentation/gpu/drm-uapi.rst, "Render nodes"), as far as we may open them.
fn accessible(nodes: &Path) -> bool {
    let nodes = fs::read_dir(nodes).into_iter().flatten().flatten();
    let mut nodes = nodes.filter(|node| node.file_name().as_encoded_bytes().starts_with(b"renderD"));
    nodes.any(|node| fs::File::options().read(true).write(true).open(node.path()).is_ok())
}

/// Whether the processor itself is emulated, as in a test without KVM: everything then takes tens of times longer.
pub(crate) fn emulated() -> bool {
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
        assert_eq!(Renderer::of(&folder.path().join("none")), None);
        fs::write(folder.path().join("version"), "drm 1.1.0 20060810").unwrap();
        assert_eq!(Renderer::of(folder.path()), None);
        for (card, driver, renderer) in [("card0", "bus/virtio_gpu", Renderer::Software), ("card1", "bus/i915", Renderer::Hardware)]
        {
            let device = folder.path().join(card).join("device");
            fs::create_dir_all(&device).unwrap();
            symlink(driver, device.join("driver")).unwrap();
            assert_eq!(Renderer::of(folder.path()), Some(renderer), "{card}");
        }
    }

    #[test]
    fn a_node_that_may_be_opened_counts() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("card0"), "").unwrap();
        assert!(!accessible(folder.path()));
        assert!(!accessible(&folder.path().join("none")));
        fs::write(folder.path().join("renderD128"), "").unwrap();
        assert!(accessible(folder.path()));
    }
}
