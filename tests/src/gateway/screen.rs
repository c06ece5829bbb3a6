//! What the published desktop looks like: pixels made by the server, and nothing that a page could draw by itself. Each key
//! that arrives leaves a block of its own colour, so that a look at the screen tells what was typed.

use sha2::{Digest as _, Sha256};

/// Its width in pixels.
pub const WIDTH: u16 = 640;
/// Its height in pixels.
pub const HEIGHT: u16 = 400;
/// The colours of its three marks: they occur on no page of the Gateway.
pub const MARKS: [[u8; 3]; 3] = [[0x8e, 0x44, 0xad], [0x7c, 0xc6, 0x2a], [0xf0, 0x7c, 0xb0]];

const WALLPAPER: [u8; 3] = [0x1b, 0x3a, 0x5f];
const PAPER: [u8; 3] = [0xfd, 0xfd, 0xf8];
/// A key's block, and how many stand in a row.
const BLOCK: u16 = 16;
const IN_A_ROW: usize = 32;
const FIRST: (u16, u16) = (64, 64);

/// An area of one colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// From the left.
    pub x: u16,
    /// From the top.
    pub y: u16,
    /// Width.
    pub width: u16,
    /// Height.
    pub height: u16,
    /// Red, green and blue.
    pub colour: [u8; 3],
}

impl Area {
    /// As it crosses the line: place and size as 16-bit numbers, most significant byte first; then RGBA, row by row.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = [self.x, self.y, self.width, self.height].iter().flat_map(|number| number.to_be_bytes()).collect();
        let [red, green, blue] = self.colour;
        bytes.extend([red, green, blue, 0xff].repeat(usize::from(self.width) * usize::from(self.height)));
        bytes
    }
}

/// The screen before any key: wallpaper, a sheet of paper, the marks along the lower edge.
pub fn first() -> Vec<Area> {
    let mut areas = vec![
        Area { x: 0, y: 0, width: WIDTH, height: HEIGHT, colour: WALLPAPER },
        Area { x: 48, y: 48, width: WIDTH - 96, height: HEIGHT - 128, colour: PAPER },
    ];
    areas.extend((0..).zip(MARKS).map(|(place, colour)| Area { x: place * 96, y: HEIGHT - 32, width: 96, height: 32, colour }));
    areas
}

/// The block that the key number `place` leaves.
pub fn block(place: usize, key: &str) -> Area {
    let hash = Sha256::digest(key);
    let at = |place: usize| u16::try_from(place).unwrap_or(0) * BLOCK;
    let (x, y) = (FIRST.0 + at(place % IN_A_ROW), FIRST.1 + at(place / IN_A_ROW % 15));
    // Dark, so that it stands out from the paper.
    Area { x, y, width: BLOCK, height: BLOCK, colour: [hash[0] / 2, hash[1] / 2, hash[2] / 2] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_on_the_screen() {
        let blocks = (0..2000).map(|place| block(place, "x"));
        for area in first().into_iter().chain(blocks) {
            assert!(area.x + area.width <= WIDTH && area.y + area.height <= HEIGHT, "{area:?}");
        }
        assert_eq!(block(0, "a").bytes().len(), 8 + 16 * 16 * 4);
    }

    #[test]
    fn keys_differ_in_place_and_colour() {
        assert_ne!(block(0, "a").colour, block(0, "b").colour);
        assert_ne!((block(0, "a").x, block(0, "a").y), (block(1, "a").x, block(1, "a").y));
    }
}
