//! Reads a PNG, and counts colours in it: how a test looks at a screen.

use std::{fs::File, io::BufReader, path::Path};

use livery_contract::{Fault, Result};

/// The most pixels that a picture may have: four 4K screens.
const MOST: u64 = 4 * 3840 * 2160;

/// Pixels, row by row.
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Reads an 8-bit RGB or RGBA PNG, as QEMU and Chromium write them.
    ///
    /// # Errors
    /// Where it can't be read or is another kind of picture.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |what: &str| Fault::refused(what).at(path.display());
        let file = File::open(path).map_err(|error| wrong("the picture can't be read").cause(error))?;
        let mut reader = png::Decoder::new(BufReader::new(file)).read_info().map_err(|error| wrong("not a PNG").cause(error))?;
        let (width, height) = (reader.info().width, reader.info().height);
        if u64::from(width) * u64::from(height) > MOST {
            return Err(wrong(&format!("a picture of {width} by {height} is over the limit")));
        }
        let mut bytes = vec![0; reader.output_buffer_size().ok_or_else(|| wrong("the picture is too large"))?];
        let frame = reader.next_frame(&mut bytes).map_err(|error| wrong("the PNG is damaged").cause(error))?;
        let samples = match (frame.color_type, frame.bit_depth) {
            (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
            (png::ColorType::Rgba, png::BitDepth::Eight) => 4,
            other => return Err(wrong(&format!("pixels of kind {other:?}; 8-bit RGB or RGBA is expected"))),
        };
        let pixels = bytes[..frame.buffer_size()].chunks_exact(samples).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Ok(Self { width, height, pixels })
    }

    /// How many pixels have this colour, each channel within `slack`.
    pub fn count(&self, colour: [u8; 3], slack: u8) -> usize {
        self.pixels.iter().filter(|pixel| pixel.iter().zip(colour).all(|(is, want)| is.abs_diff(want) <= slack)).count()
    }

    /// Whether each of these colours covers at least a thousandth of the picture.
    pub fn shows(&self, colours: &[[u8; 3]]) -> bool {
        colours.iter().all(|colour| self.count(*colour, 3) * 1000 >= self.pixels.len())
    }

    /// What is written in the lowest `rows`, as columns from and to: where one of these rows is much brighter or darker than at its
    /// beginning. What lies closer together than `gap` columns is one.
    pub fn written_in_the_lowest(&self, rows: u32, gap: u32) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for column in 0..self.width {
            let (rows, at) = (rows.min(self.height), |row: u32, column: u32| self.pixels[(row * self.width + column) as usize]);
            let mut below = self.height - rows..self.height;
            if !below.any(|row| at(row, column).iter().zip(at(row, 0)).any(|(is, ground)| is.abs_diff(ground) > 0x50)) {
                continue;
            }
            match runs.last_mut().filter(|(_, to)| column - *to < gap) {
                Some((_, to)) => *to = column,
                None => runs.push((column, column)),
            }
        }
        runs
    }

    /// Whether a text console shows the agent's final block: its two edges are lines of 74 `=`. The kernel's font (8 by 16)
    /// draws each of them as two rows of pixels, three quarters of them lit: far more than any line of text has.
    pub fn shows_block(&self) -> bool {
        const COLUMNS: usize = 74 * 8;
        let lit = |pixel: &[u8; 3]| pixel.iter().any(|channel| *channel > 0x60);
        let bright = |row: &[[u8; 3]]| row.iter().take(COLUMNS + 16).filter(|pixel| lit(pixel)).count() * 5 >= COLUMNS * 3;
        let width = usize::try_from(self.width).unwrap_or(1).max(1);
        self.pixels.chunks_exact(width).filter(|row| bright(row)).count() >= 4
    }

    /// How much of the picture is another than in `other`, from 0 to 1.
    pub fn differs(&self, other: &Self) -> f64 {
        if (self.width, self.height) != (other.width, other.height) {
            return 1.0;
        }
        let others = self.pixels.iter().zip(&other.pixels).filter(|(now, before)| now != before).count();
        others as f64 / self.pixels.len().max(1) as f64
    }

    /// How many different colours there are, up to 256: one means a blank screen.
    pub fn colours(&self) -> usize {
        let mut seen = std::collections::HashSet::new();
        for pixel in &self.pixels {
            seen.insert(*pixel);
            if seen.len() == 256 {
                break;
            }
        }
        seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_told_from_text() {
        let mut picture = Picture { width: 800, height: 160, pixels: vec![[0; 3]; 800 * 160] };
        // Text: every second pixel of a glyph's rows, at most.
        for row in 0..160 {
            for column in (0..640).step_by(2) {
                picture.pixels[row * 800 + column] = [0xaa; 3];
            }
        }
        assert!(!picture.shows_block());
        for row in [22, 25, 118, 121] {
            for column in (8..600).filter(|column| (1..7).contains(&(column % 8))) {
                picture.pixels[row * 800 + column] = [0xaa; 3];
            }
        }
        assert!(picture.shows_block());
        assert!(!picture.shows(&[[0xe4, 0x57, 0x2e]]));
    }

    #[test]
    fn what_has_changed_is_a_part_of_the_whole() {
        let picture = |width, pixels| Picture { width, height: 2, pixels };
        let before = picture(2, vec![[1; 3]; 4]);
        assert_eq!(before.differs(&before), 0.0);
        assert_eq!(picture(2, vec![[1; 3], [1; 3], [1; 3], [1, 1, 2]]).differs(&before), 0.25);
        assert_eq!(picture(1, vec![[1; 3]; 2]).differs(&before), 1.0);
    }

    #[test]
    fn what_stands_close_together_is_one_word() {
        let mut picture = Picture { width: 200, height: 40, pixels: vec![[0x0c, 0x25, 0x40]; 200 * 40] };
        // Above what is looked at.
        picture.pixels[5 * 200 + 100] = [0xff; 3];
        for (row, column) in [(38, 20), (35, 26), (36, 31), (39, 80), (39, 199)] {
            picture.pixels[row * 200 + column] = [0xff; 3];
        }
        assert_eq!(picture.written_in_the_lowest(10, 20), [(20, 31), (80, 80), (199, 199)]);
        assert_eq!(picture.written_in_the_lowest(10, 6).len(), 4);
        assert_eq!(picture.written_in_the_lowest(90, 20)[2], (100, 100));
    }
}
