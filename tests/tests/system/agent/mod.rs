//! The agent: on files, on loop devices, and on virtual devices.

mod disks;
mod faults;
mod netboot;
mod sectors;
mod secure_boot;
mod update;
mod write;
