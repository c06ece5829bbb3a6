//! What judges in the other tests, judged itself.

mod driven;
mod gateway;
mod gateway_browser;
mod qemu;
