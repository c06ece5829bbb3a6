//! A laptop's real root in a [container](crate::container), with a headless display: for an employee's whole day, which in an emulated
//! machine would be half an hour. Sign-in page, PAM, systemd-homed, desktop, lock, browser and office are the image's own. What is not:
//! firmware, TPM, kernel, udev, virtual terminals, Wi-Fi; the X server's driver is the dummy one, and it is told its keyboard's layout.
//!
//! | module | what it is |
//! |---|---|
//! | [`ground`] | a test with an employee's laptop, in namespaces of its own |
//! | [`desk`] | the laptop: what is otherwise than on a device, what it says of itself |
//! | [`display`] | an X client of the test's: keys, pictures, the window in front |
//! | [`person`] | signs in, types, runs programs, looks |

pub mod desk;
pub mod display;
pub mod ground;
pub mod person;
