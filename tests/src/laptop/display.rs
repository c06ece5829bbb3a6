//! The laptop's X display from outside: an X client of the test's own, which presses keys (XTEST) and takes pictures. In: the server's
//! socket and its cookie. Fails where the server is gone.

use std::{fs, os::unix::net::UnixStream, path::Path, time::Duration};

use livery_contract::{Fault, Result};
use tokio::time::sleep;
use x11rb::{
    connection::Connection as _,
    protocol::{
        xproto::{AtomEnum, ConnectionExt as _, ImageFormat, KEY_PRESS_EVENT, KEY_RELEASE_EVENT, Window},
        xtest::ConnectionExt as _,
    },
    rust_connection::{DefaultStream, RustConnection},
    wrapper::ConnectionExt as _,
};

use crate::{picture::Picture, qemu::keyboard};

/// From one key to the next: the pace of a fast typist would be eight times that.
const PACE: Duration = Duration::from_millis(15);
/// X's keycodes are evdev's and eight (xkeyboard-config, `keycodes/evdev`).
const OFFSET: u8 = 8;
/// Keys by QEMU's names, which are those of places on a US keyboard, with evdev's codes (linux/input-event-codes.h).
const ROWS: [(u8, &[&str]); 6] = [
    (1, &["esc", "1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "minus", "equal", "backspace", "tab"]),
    (16, &["q", "w", "e", "r", "t", "y", "u", "i", "o", "p", "bracket_left", "bracket_right", "ret", "ctrl"]),
    (30, &["a", "s", "d", "f", "g", "h", "j", "k", "l", "semicolon", "apostrophe", "grave_accent", "shift", "backslash"]),
    (44, &["z", "x", "c", "v", "b", "n", "m", "comma", "dot", "slash"]),
    (56, &["alt", "spc"]),
    (59, &["f1", "f2", "f3", "f4"]),
];

/// See the module.
pub struct Display {
    connection: RustConnection,
    root: Window,
    width: u16,
    height: u16,
}

impl Display {
    /// Connects to a server by its socket and a file of its cookies.
    ///
    /// # Errors
    /// Where it does not answer, or does not know the cookie.
    pub fn connect(socket: &Path, cookies: &Path) -> Result<Self> {
        let file = fs::read(cookies).map_err(|error| failed("its cookie can't be read", error))?;
        let cookie = cookie(&file).ok_or_else(|| Fault::internal("there is no cookie of an X server").at(cookies.display()))?;
        let stream = UnixStream::connect(socket).map_err(|error| failed("it does not listen", error))?;
        let (stream, _) = DefaultStream::from_unix_stream(stream).map_err(|error| failed("it does not listen", error))?;
        let connection =
            RustConnection::connect_to_stream_with_auth_info(stream, 0, b"MIT-MAGIC-COOKIE-1".to_vec(), cookie.to_vec())
                .map_err(|error| failed("it lets nobody in", error))?;
        let screen = &connection.setup().roots[0];
        let (root, width, height) = (screen.root, screen.width_in_pixels, screen.height_in_pixels);
        Ok(Self { connection, root, width, height })
    }

    /// Presses keys together, by QEMU's names.
    ///
    /// # Errors
    /// Where there is no such key, or the server is gone.
    pub async fn press(&self, keys: &[&str]) -> Result<()> {
        let codes = keys.iter().map(|key| code(key)).collect::<Result<Vec<u8>>>()?;
        let down = codes.iter().map(|code| (KEY_PRESS_EVENT, *code));
        for (kind, code) in down.chain(codes.iter().rev().map(|code| (KEY_RELEASE_EVENT, *code))) {
            let sent = self.connection.xtest_fake_input(kind, code, x11rb::CURRENT_TIME, self.root, 0, 0, 0);
            sent.map_err(|error| failed("it takes no key", error))?;
        }
        self.connection.sync().map_err(|error| failed("it takes no key", error))?;
        // A person's pace: a window that has just opened loses keys that come at once.
        sleep(PACE).await;
        Ok(())
    }

    /// Types a text on a keyboard of this layout; `\n` is the Enter key.
    ///
    /// # Errors
    /// Where a character has no key, or the server is gone.
    pub async fn write(&self, layout: &str, text: &str) -> Result<()> {
        for keys in keyboard::strokes(layout, text)? {
            self.press(&keys).await?;
        }
        Ok(())
    }

    /// What is on the screen now.
    ///
    /// # Errors
    /// Where the server is gone.
    pub fn picture(&self) -> Result<Picture> {
        let (width, height) = (self.width, self.height);
        let asked = self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, width, height, u32::MAX);
        let image = asked.map_err(|error| failed("it shows nothing", error))?.reply();
        let image = image.map_err(|error| failed("it shows nothing", error))?;
        // Depth 24 in four bytes: blue, green, red, nothing.
        let pixels = image.data.chunks_exact(4).map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        Picture::of(u32::from(width), u32::from(height), pixels)
    }

    /// The class of the window in front (ICCCM, `WM_CLASS`) and its title; empty where there is none.
    pub fn front(&self) -> (String, String) {
        let window = self.property(self.root, "_NET_ACTIVE_WINDOW");
        let window = window.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes);
        if window == 0 {
            return <_>::default();
        }
        let text = |name| String::from_utf8_lossy(&self.property(window, name)).replace('\0', " ").trim().to_owned();
        (text("WM_CLASS"), text("_NET_WM_NAME"))
    }

    /// A window's property; empty where it has none, and where the window is gone meanwhile.
    fn property(&self, window: Window, name: &str) -> Vec<u8> {
        let read = || {
            let atom = self.connection.intern_atom(false, name.as_bytes()).ok()?.reply().ok()?.atom;
            Some(self.connection.get_property(false, window, atom, AtomEnum::ANY, 0, 1024).ok()?.reply().ok()?.value)
        };
        read().unwrap_or_default()
    }
}

fn code(key: &str) -> Result<u8> {
    let found = ROWS.iter().find_map(|(first, names)| {
        let place = names.iter().position(|name| *name == key)?;
        u8::try_from(place).ok().map(|place| first + place + OFFSET)
    });
    found.ok_or_else(|| Fault::refused(format!("no key {key:?} is known here")))
}

/// The first cookie of a file as Xau writes it (Xsecurity(7)): a family, then address, display's number, name and data, each with its
/// length before it.
fn cookie(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.get(2..)?;
    let mut field = <&[u8]>::default();
    for _ in 0..4 {
        let (length, after) = rest.split_first_chunk::<2>()?;
        (field, rest) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    }
    Some(field)
}

fn failed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    Fault::internal(format!("the laptop's X server: {what}")).cause(error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_have_evdevs_codes() {
        for (key, wanted) in
            [("esc", 1), ("ret", 28), ("ctrl", 29), ("l", 38), ("shift", 42), ("slash", 53), ("spc", 57), ("f2", 60)]
        {
            assert_eq!(code(key).unwrap(), wanted + OFFSET, "{key}");
        }
        assert!(code("hyper").is_err());
    }

    #[test]
    fn a_cookie_is_the_fourth_field() {
        let file = [&[1, 0][..], &[0, 2], b"lt", &[0, 1], b"0", &[0, 3], b"MIT", &[0, 4], &[9, 8, 7, 6]].concat();
        assert_eq!(cookie(&file), Some(&[9, 8, 7, 6][..]));
        assert_eq!(cookie(&file[..file.len() - 1]), None);
        assert_eq!(cookie(&[]), None);
    }
}
