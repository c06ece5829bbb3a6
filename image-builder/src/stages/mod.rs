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

pub(crate) mod anchors;
pub(crate) mod answers;
pub(crate) mod citrix;
pub(crate) mod confirm;
pub(crate) mod data;
pub(crate) mod disk;
pub(crate) mod esp;
pub(crate) mod firmware;
pub(crate) mod furnish;
pub(crate) mod ini;
pub(crate) mod initrd;
pub(crate) mod inspect;
pub(crate) mod kiosk;
pub(crate) mod laptop;
pub(crate) mod medium;
pub(crate) mod microcode;
pub(crate) mod modules;
pub(crate) mod persist;
pub(crate) mod policies;
pub(crate) mod programs;
pub(crate) mod roots;
pub(crate) mod settings;
pub(crate) mod slots;
pub(crate) mod system;
pub(crate) mod trim;
pub(crate) mod uki;
pub(crate) mod updates;
pub(crate) mod workshop;
