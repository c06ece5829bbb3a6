//! The stages: from packages to a disk image. None mounts anything; every tool runs in a sandbox without a network, from
//! a root of its own, so that the host's versions and settings do not reach the image.
//!
//! ```text
//! tools ----------------------------------------------+------+-----+----.
//! boot root --- modules --- initrd --------------------------- UKI  |    |
//!         `---- modules --.                                   /    ESP  |
//! root ------- tree ----- settings --- erofs --- verity -----'       `- disk -> store
//!                                          `---- scan, list (SBOM) ---------------'
//! ```
//!
//! | module | stage |
//! |---|---|
//! | [`roots`] | Debian roots by mmdebstrap: tools, boot, the device's |
//! | [`modules`] | the kernel modules that hardware needs, with all that they need |
//! | [`firmware`] | the firmware that those modules load |
//! | [`microcode`] | the processors' microcode, in front of the initrd |
//! | [`trim`] | what a device never uses |
//! | [`settings`] | the profile's settings as files |
//! | [`furnish`] | how files get into a root |
//! | [`answers`] | answers to questions of packages' installers |
//! | [`data`] | the device's encrypted data partition |
//! | [`kiosk`] | a terminal's browser and screen |
//! | [`laptop`] | a laptop's desktop, browser, routes |
//! | [`persist`] | what a laptop keeps from one start to the next |
//! | [`policies`] | what closes the browser |
//! | [`confirm`] | what tells the station what took effect |
//! | [`updates`] | how a device in use gets a newer image |
//! | [`programs`] | our own programs that go into images |
//! | [`citrix`] | Citrix's client, where IT supplies it |
//! | [`ini`] | one value in an INI file |
//! | [`system`] | the tree (root without what no device uses, with drivers and locales), then settings: the root file system and its verity tree |
//! | [`initrd`] | the device's initrd by dracut |
//! | [`anchors`] | one image's trust anchors, in its initrd |
//! | [`medium`] | the agent's system, whole in an initrd |
//! | [`inspect`] | what is in it: the scan for what no image may have, and the list for the SBOM |
//! | [`uki`] | kernel, initrd and command line as one EFI program, signed |
//! | [`esp`] | the EFI System Partition |
//! | [`slots`] | where roots lie on a device: one place, or two |
//! | [`disk`] | partitions to a disk image |
//! | [`workshop`] | where all of them work: cache, tools, progress |

pub mod anchors;
pub mod answers;
pub mod citrix;
pub mod confirm;
pub mod data;
pub mod disk;
pub mod esp;
pub mod firmware;
pub mod furnish;
pub mod ini;
pub mod initrd;
pub mod inspect;
pub mod kiosk;
pub mod laptop;
pub mod medium;
pub mod microcode;
pub mod modules;
pub mod persist;
pub mod policies;
pub mod programs;
pub mod roots;
pub mod settings;
pub mod slots;
pub mod system;
pub mod trim;
pub mod uki;
pub mod updates;
pub mod workshop;
