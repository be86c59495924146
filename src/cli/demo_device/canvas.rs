//! A small RGB picture with the few strokes that the test picture needs: rectangles, discs, dots
//! and text in a bitmap font. What is drawn is `picture`'s.

use std::sync::LazyLock;

/// The picture's size in pixels.
pub(super) const WIDTH: usize = 640;
pub(super) const HEIGHT: usize = 360;
const PIXEL_BYTES: usize = 3;

/// Text is drawn with each dot of a glyph this many pixels wide and high.
const DOT: usize = 2;
/// From one character's left edge to the next one's: five dots and one of space.
pub(super) const CELL_WIDTH: usize = 6 * DOT;
/// From one line's top to the next one's: eight dots and one of space.
pub(super) const LINE_HEIGHT: usize = 9 * DOT;

/// Red, green, blue.
pub(super) type Color = [u8; PIXEL_BYTES];

#[derive(Clone)]
pub(super) struct Canvas {
    pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(color: Color) -> Self {
        Self {
            pixels: color.repeat(WIDTH * HEIGHT),
        }
    }

    /// The pixels, row by row, three bytes each.
    pub(super) fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Becomes a copy of `other` without a new allocation.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.pixels.copy_from_slice(&other.pixels);
    }

    /// Fills a rectangle; what lies outside the picture is left out.
    pub(super) fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, color: Color) {
        let (left, right) = (x.min(WIDTH), (x + width).min(WIDTH));
        for row in y.min(HEIGHT)..(y + height).min(HEIGHT) {
            let start = (row * WIDTH + left) * PIXEL_BYTES;
            let end = (row * WIDTH + right) * PIXEL_BYTES;
            self.pixels[start..end].as_chunks_mut().0.fill(color);
        }
    }

    /// Lays `color` over one pixel, `cover` from 0.0 (nothing) to 1.0 (all of it).
    pub(super) fn blend(&mut self, x: usize, y: usize, color: Color, cover: f32) {
        if x >= WIDTH || y >= HEIGHT {
            return;
        }
        let start = (y * WIDTH + x) * PIXEL_BYTES;
        for (below, above) in self.pixels[start..start + PIXEL_BYTES]
            .iter_mut()
            .zip(color)
        {
            let (from, to) = (f32::from(*below), f32::from(above));
            *below = (from + (to - from) * cover.clamp(0.0, 1.0)).round() as u8;
        }
    }

    /// Fills a disc with smooth edges. The centre must be a radius away from the left and the top.
    pub(super) fn disc(&mut self, center: (f32, f32), radius: f32, color: Color) {
        let span =
            |middle: f32| (middle - radius).floor() as usize..=(middle + radius).ceil() as usize;
        for y in span(center.1) {
            for x in span(center.0) {
                let distance = (x as f32 - center.0).hypot(y as f32 - center.1);
                self.blend(x, y, color, radius - distance + 0.5);
            }
        }
    }

    /// Copies a row of colors to `height` rows of the picture, from `x` and `y` on.
    pub(super) fn stripe(&mut self, x: usize, y: usize, height: usize, row: &[Color]) {
        let row = &row.as_flattened()[..row.len().min(WIDTH.saturating_sub(x)) * PIXEL_BYTES];
        for line in y.min(HEIGHT)..(y + height).min(HEIGHT) {
            let start = (line * WIDTH + x) * PIXEL_BYTES;
            self.pixels[start..start + row.len()].copy_from_slice(row);
        }
    }

    /// Writes one line of text with its top left corner at `x`, `y`.
    pub(super) fn text(&mut self, x: usize, y: usize, color: Color, text: &str) {
        for (column, character) in text.chars().enumerate() {
            for (row, dots) in glyph(character).into_iter().enumerate() {
                for dot in (0..5).filter(|dot| dots >> dot & 1 == 1) {
                    let left = x + column * CELL_WIDTH + dot * DOT;
                    self.fill(left, y + row * DOT, DOT, DOT, color);
                }
            }
        }
    }
}

/// Eight rows of five dots, the leftmost in the lowest bit.
type Glyph = [u8; 8];

/// The printable ASCII characters and, last, what stands for every other one, drawn as text: blocks
/// of eight lines with 16 glyphs of five dots side by side.
static FONT: LazyLock<Vec<Glyph>> = LazyLock::new(|| {
    let lines: Vec<&[u8]> = include_str!("assets/font.txt")
        .lines()
        .map(str::as_bytes)
        .collect();
    let dots = |block: &[&[u8]], row: usize, column: usize| {
        (0..5).fold(0, |dots, dot| {
            dots | u8::from(block[row][column * 6 + dot] == b'#') << dot
        })
    };
    lines
        .chunks_exact(8)
        .flat_map(|block| {
            (0..16).map(move |column| std::array::from_fn(|row| dots(block, row, column)))
        })
        .collect()
});

fn glyph(character: char) -> Glyph {
    let index = match character {
        ' '..='~' => character as usize - ' ' as usize,
        _ => FONT.len() - 1,
    };
    FONT[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_a_glyph_of_its_own_for_every_printable_character() {
        assert_eq!(FONT.len(), 96);
        let mut glyphs = FONT.clone();
        glyphs.sort_unstable();
        glyphs.dedup();
        assert_eq!(glyphs.len(), 96);
        assert_eq!(glyph('T'), [0b11111, 4, 4, 4, 4, 4, 4, 0]);
        assert_eq!(glyph('é'), glyph('\u{7f}'));
    }

    #[test]
    fn strokes_past_the_edge_are_cut() {
        let mut canvas = Canvas::new([0; 3]);
        canvas.fill(WIDTH - 1, HEIGHT - 1, 50, 50, [255; 3]);
        canvas.text(WIDTH - 4, HEIGHT - 4, [255; 3], "##");
        canvas.blend(WIDTH, 0, [255; 3], 1.0);
        canvas.stripe(WIDTH - 1, 0, 1, &[[9; 3]; 4]);
        assert_eq!(canvas.pixels().last(), Some(&255));
        assert_eq!(
            canvas.pixels()[..3 * WIDTH]
                .iter()
                .filter(|byte| **byte == 9)
                .count(),
            3
        );
    }
}
