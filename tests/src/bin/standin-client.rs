//! A stand-in for Citrix's client as a browser starts it, `wfica FILE`: reads the `.ica` file, removes it where the file says so, and
//! opens a window on the X server that bears the ticket. In place of a desktop it shows one colour, until somebody closes it.
//!
//! It is put into the stand-in package ([`citrix_client`](livery_tests::citrix_client)) and runs on a device: nothing but an X server
//! is asked for there.

use std::{error::Error, fs, process::ExitCode};

use x11rb::{
    COPY_DEPTH_FROM_PARENT,
    connection::Connection as _,
    protocol::{
        Event,
        xproto::{AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, PropMode, WindowClass},
    },
    wrapper::ConnectionExt as _,
};

/// The colour of its window.
const COLOUR: u32 = 0x6a_3d_9a;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: wfica FILE.ica")?;
    let file = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let value =
        |key: &str| file.lines().filter_map(|line| line.split_once('=')).find(|(known, _)| *known == key).map(|(_, value)| value);
    let ticket = value("LogonTicket").filter(|ticket| !ticket.is_empty()).ok_or("the file has no ticket")?;
    if value("RemoveICAFile") == Some("yes") {
        fs::remove_file(&path)?;
    }
    let (display, number) = x11rb::connect(None)?;
    let screen = &display.setup().roots[number];
    let window = display.generate_id()?;
    let looks = CreateWindowAux::new().background_pixel(COLOUR).event_mask(EventMask::EXPOSURE);
    let (width, height) = (screen.width_in_pixels.max(2) / 2, screen.height_in_pixels.max(2) / 2);
    display.create_window(
        COPY_DEPTH_FROM_PARENT,
        window,
        screen.root,
        0,
        0,
        width,
        height,
        0,
        WindowClass::INPUT_OUTPUT,
        0,
        &looks,
    )?;
    let title = format!("{} {ticket}", value("Title").unwrap_or_default());
    let atom = |name: &str| Ok::<_, Box<dyn Error>>(display.intern_atom(false, name.as_bytes())?.reply()?.atom);
    let (name, text, protocols, delete) =
        (atom("_NET_WM_NAME")?, atom("UTF8_STRING")?, atom("WM_PROTOCOLS")?, atom("WM_DELETE_WINDOW")?);
    display.change_property8(PropMode::REPLACE, window, name, text, title.as_bytes())?;
    display.change_property8(PropMode::REPLACE, window, AtomEnum::WM_NAME, AtomEnum::STRING, title.as_bytes())?;
    display.change_property8(PropMode::REPLACE, window, AtomEnum::WM_CLASS, AtomEnum::STRING, b"Wfica\0Wfica\0")?;
    display.change_property32(PropMode::REPLACE, window, protocols, AtomEnum::ATOM, &[delete])?;
    display.map_window(window)?;
    display.flush()?;
    loop {
        if let Event::ClientMessage(message) = display.wait_for_event()?
            && message.data.as_data32()[0] == delete
        {
            return Ok(());
        }
    }
}
