//! What the whole-system tests and `scripts/demo` are made of: stand-ins for what Livery meets outside, and drivers for
//! what it runs on. The programs under test are started as people start them; nothing here imports their libraries.
//!
//! | module | what it is |
//! |---|---|
//! | [`programs`] | `livery`, `livery-agent`, `livery-station`: found, run, their exit codes and words kept |
//! | [`raw_disk`] | disk images to import and disks to write, and how to judge one afterwards |
//! | [`evidence`] | judges a record by the bytes that the disk holds |
//! | [`site`], [`line`], [`device`] | one organisation, its station, one of its devices |
//! | [`at_the_desk`], [`at_the_laptop`] | a person at that device: keys, pictures |
//! | [`fixtures`] | what many tests need, made once before the first |
//! | [`facts`] | what a device says of itself, asked by the probe |
//! | [`layer`] | the personal layer on a device's disk: read, changed, put back |
//! | [`loop_device`] | a file as a block device of this host |
//! | [`traces`] | what a test leaves behind |
//! | [`turn`] | one at a time, of what tests share |
//! | [`netns`], [`dnsmasq`] | a network of a test's own, and a factory's DHCP server in it |
//! | [`tunnel`] | a home, the Internet and an organisation's network behind WireGuard, with packets counted in each |
//! | [`time_server`] | what a device without a battery asks for the time |
//! | [`stick`] | a USB stick, and what a device makes of it |
//! | [`loudspeakers`] | a device's loudspeakers: what was heard, and what it says of its sound |
//! | [`wifi`] | a home's Wi-Fi inside a device |
//! | [`elsewhere`] | a program run as another user on another machine would |
//! | [`whole_way`] | all of it in one go: what `scripts/demo` prints and a test demands |
//! | [`bad_server`] | a store behind HTTP(S) with one thing wrong with it |
//! | [`serving`] | an HTTP server on the loopback interface, with TLS or without |
//! | [`faults`] | a thousand faults in one command, each with a verdict |
//! | [`right_disk`] | a device with many disks, and a table of what may be wrong with each |
//! | [`false_station`] | a station that hands out wrong jobs |
//! | [`gateway`] | a stand-in for the organisation's Citrix Gateway and StoreFront, as a user's browser sees them |
//! | [`citrix_client`] | a stand-in for the package of Citrix's client |
//! | [`pac`] | one PAC and its judges: Firefox, Chromium, pacparser |
//! | [`container`] | a device's real root under its own systemd, in a container |
//! | [`laptop`] | a laptop's real root with a headless display: an employee's day at it |
//! | [`screen`] | a terminal's real root with a headless screen: keys, pictures, network |
//! | [`security_key`] | a FIDO2 key for a device's USB port |
//! | [`qemu`] | a virtual device: firmware, disks, serial console, screen, power |
//! | [`bench`] | what `scripts/bench` is made of |
//! | [`browser`], [`picture`] | pictures of pages and screens: taken, read back, searched for colours |

pub mod at_the_desk;
pub mod at_the_laptop;
pub mod bad_server;
pub mod bench;
pub mod browser;
pub mod citrix_client;
pub mod container;
pub mod device;
pub mod dnsmasq;
pub mod elsewhere;
pub mod evidence;
pub mod facts;
pub mod false_station;
pub mod faults;
pub mod fixtures;
pub mod gateway;
pub mod laptop;
pub mod layer;
pub mod line;
pub mod loop_device;
pub mod loudspeakers;
pub mod netns;
pub mod pac;
pub mod picture;
pub mod programs;
pub mod qemu;
pub mod raw_disk;
pub mod right_disk;
pub mod screen;
pub mod security_key;
pub mod serving;
pub mod site;
pub mod stick;
pub mod time_server;
pub mod traces;
pub mod tunnel;
pub mod turn;
pub mod whole_way;
pub mod wifi;
