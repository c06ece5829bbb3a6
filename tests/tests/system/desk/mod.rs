//! What employees have: the terminal's screen, the laptop's desktop, and what is bound to their device.

mod binding;
mod kiosk;
mod laptop;
mod laptop_session;
mod sign_in;
