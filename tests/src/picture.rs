//! Reads a PNG, and counts colours in it: how a test looks at a screen.

use std::{collections::HashMap, fs::File, io::BufReader, ops::Range, path::Path};

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

    /// Of pixels that were taken elsewhere, row by row.
    ///
    /// # Errors
    /// Where they are more or fewer than such a picture has.
    pub fn of(width: u32, height: u32, pixels: Vec<[u8; 3]>) -> Result<Self> {
        if u64::from(width) * u64::from(height) != pixels.len() as u64 {
            return Err(Fault::refused(format!("{} pixels are no picture of {width} by {height}", pixels.len())));
        }
        Ok(Self { width, height, pixels })
    }

    /// Writes it as a PNG.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = || Fault::internal("the picture can't be kept").at(path.display());
        let file = File::create(path).map_err(|error| failed().cause(error))?;
        let mut encoder = png::Encoder::new(file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Fast);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(self.pixels.as_flattened()));
        written.map_err(|error| failed().cause(error))
    }

    /// How many pixels have this colour, each channel within `slack`.
    pub fn count(&self, colour: [u8; 3], slack: u8) -> usize {
        self.pixels.iter().filter(|pixel| pixel.iter().zip(colour).all(|(is, want)| is.abs_diff(want) <= slack)).count()
    }

    /// How much of it the commonest colour covers, of 1; by a pixel in eleven.
    pub fn plain(&self) -> f64 {
        let mut seen: HashMap<[u8; 3], u32> = HashMap::new();
        let sample = self.pixels.iter().step_by(11);
        let all = sample.len().max(1);
        sample.for_each(|pixel| *seen.entry(*pixel).or_default() += 1);
        f64::from(seen.into_values().max().unwrap_or(0)) / all as f64
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

    /// The lines of words that are written within these rows and columns, on a ground of the first pixel's colour: of each word the
    /// columns from and to. Rows without ink part lines, and `gap` columns without part words.
    pub fn words(&self, rows: Range<u32>, columns: Range<u32>, gap: u32) -> Vec<Vec<(u32, u32)>> {
        let (rows, columns) = (rows.start..rows.end.min(self.height), columns.start..columns.end.min(self.width));
        let at = |row: u32, column: u32| self.pixels[(row * self.width + column) as usize];
        let ground = at(rows.start, columns.start);
        let ink = |row: u32, column: u32| at(row, column).iter().zip(ground).any(|(is, ground)| is.abs_diff(ground) > 0x40);
        let mut lines: Vec<Range<u32>> = Vec::new();
        for row in rows.filter(|row| columns.clone().any(|column| ink(*row, column))) {
            match lines.last_mut().filter(|line| line.end == row) {
                Some(line) => line.end = row + 1,
                None => lines.push(row..row + 1),
            }
        }
        let words = |line: Range<u32>| {
            let mut words: Vec<(u32, u32)> = Vec::new();
            for column in columns.clone().filter(|column| line.clone().any(|row| ink(row, *column))) {
                match words.last_mut().filter(|(_, to)| column - *to <= gap) {
                    Some((_, to)) => *to = column,
                    None => words.push((column, column)),
                }
            }
            words
        };
        lines.into_iter().map(words).collect()
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
    fn a_plain_picture_is_told_from_one_with_a_background() {
        let picture = |of: fn(u8) -> u8| Picture::of(16, 16, (0..=255).map(|at| [of(at); 3]).collect()).unwrap();
        assert!(picture(|_| 7).plain() > 0.99 && picture(|at| if at < 32 { at } else { 7 }).plain() > 0.8);
        assert!(picture(|at| at).plain() < 0.1);
    }

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
    fn lines_are_read_by_their_words() {
        let mut picture = Picture { width: 40, height: 12, pixels: vec![[0xf0; 3]; 40 * 12] };
        for (row, column) in [(2, 4), (3, 6), (3, 15), (7, 5), (7, 39)] {
            picture.pixels[row * 40 + column] = [0x20; 3];
        }
        assert_eq!(picture.words(0..12, 0..30, 4), [vec![(4, 6), (15, 15)], vec![(5, 5)]]);
        assert_eq!(picture.words(5..99, 0..99, 4), [vec![(5, 5), (39, 39)]]);
        assert!(picture.words(9..12, 0..40, 4).is_empty());
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
