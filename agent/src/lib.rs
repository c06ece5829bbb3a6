//! The program on the device: it learns which order it is, writes that employee's image to its own disk, reads all of it
//! back, proves it, and says so.
//!
//! The modules are the steps, in this order:
//!
//! | step | module | out |
//! |---|---|---|
//! | what this device is | [`inventory`] | `Inventory` |
//! | the organisation's keys into its firmware | [`secure_boot`] | whether it must start again |
//! | asking the station for work | [`enrol`] (over [`station`]) | an envelope |
//! | the work, checked | [`job`] | `Job` |
//! | the image, trusted | [`trust`] | [`trust::Trusted`] |
//! | the right disk, or none | [`target`] (opened by [`device`]) | [`target::Target`] |
//! | what the disk holds of it already | [`survey`] | [`survey::Found`] |
//! | all but the partition table | [`write`](mod@write), by [`plan`], [`moves`], [`fetch`], [`decode`] | [`write::Written`] |
//! | read back from the medium | [`verify`], by [`readback`], `readahead` | [`verify::Verified`] |
//! | backup GPT, boot entry | [`finish`] | [`finish::Finished`] |
//! | what ties it to this machine | [`bind`] | the same, bound |
//! | the evidence | [`record`](mod@record) | `Record` |
//! | the station has it | [`report`] | `Receipt` |
//!
//! On a device in use, [`update`] puts a newer image beside the one that runs, with the same steps, and keeps it when it is up.
//!
//! [`flash`] chains write to record; [`run`] is the unattended flow, [`hand`] the same steps by hand. Around them:
//! [`console`] (what the operator sees), [`progress`], [`threads`], [`zeros`], [`stop`] (Ctrl-C), [`power`], [`config`], [`cli`].

pub mod bind;
pub mod cli;
pub mod config;
pub mod console;
pub mod content;
pub mod decode;
pub mod device;
pub mod enrol;
pub mod fetch;
pub mod finish;
pub mod flash;
pub mod hand;
pub mod inventory;
pub mod job;
pub mod moves;
pub mod plan;
pub mod power;
pub mod progress;
mod readahead;
pub mod readback;
pub mod record;
pub mod report;
pub mod run;
pub mod secure_boot;
pub mod station;
pub mod stop;
pub mod survey;
pub mod target;
pub mod threads;
pub mod trust;
pub mod update;
pub mod verify;
pub mod write;
pub mod zeros;

/// Version of the agent, as in records.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
