//! An image's real root, as the agent wrote it to a disk, started by its own systemd in a container: for what would take hours in an
//! emulated machine. Units, users, NetworkManager, browser and desktop are the image's own. What is not: firmware, kernel, udev, TPM.
//!
//! | module | what it is |
//! |---|---|
//! | [`ground`] | namespaces of the test's own: network, mounts, processes, which all end with it |
//! | [`root`] | the image's root file system and its employee's layer, mounted as on the device |
//! | [`machine`] | the container: started, its cable pulled, its units asked |

pub mod ground;
pub mod machine;
pub mod root;
