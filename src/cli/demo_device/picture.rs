//! The test picture: the fake machine's screen with its terminal, clock, a sweeping dial, sliding
//! color bars, the pointer, and the frame's number both to read and as a bar code that scripts read.
//! Only drawing and JPEG encoding; when a frame is wanted is `video`'s to say.

use std::f32::consts::TAU;
use std::time::Duration;

use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};

use super::canvas::{CELL_WIDTH, Canvas, Color, HEIGHT, LINE_HEIGHT, WIDTH};
use super::machine::{Machine, PROMPT};

const BACKGROUND: Color = [13, 20, 33];
const HEADER: Color = [21, 31, 49];
const QUIET: Color = [122, 138, 164];
const WRITING: Color = [226, 232, 240];
const ACCENT: Color = [94, 214, 190];
const DARK: Color = [8, 12, 20];
const BARS: [Color; 8] = [
    [226, 232, 240],
    [234, 196, 92],
    [94, 214, 190],
    [92, 190, 116],
    [176, 128, 220],
    [226, 104, 112],
    [86, 142, 232],
    [44, 58, 84],
];

const MARGIN: usize = 16;
const HEADER_HEIGHT: usize = 32;
const TERMINAL_TOP: usize = 48;
const DIAL_CENTER: (f32, f32) = (532.0, 148.0);
const DIAL_RADIUS: f32 = 88.0;
const DIAL_TURN_MS: u128 = 4000;
/// How many hands fade behind the dial's hand.
const DIAL_TRAIL: u8 = 40;
const BARS_TOP: usize = 260;
const BARS_HEIGHT: usize = 40;
const BAR_WIDTH: usize = (WIDTH - 2 * MARGIN) / BARS.len();
const BARS_STEP: u64 = 2;
const FOOTER_TOP: usize = 312;
/// The bar code: 16 squares, the frame number's lowest bit at the right, white for one. On multiples
/// of 16 pixels, so that each is a JPEG block of its own with no neighbour's ringing.
const CODE_TOP: usize = 336;
const CODE_SQUARE: usize = 16;

/// Text stays sharp from about here; a frame is then about 30 KB.
const JPEG_QUALITY: u8 = 82;

/// The pointer: `#` is its body, `o` its rim.
const POINTER: [&str; 16] = [
    "o           ",
    "oo          ",
    "o#o         ",
    "o##o        ",
    "o###o       ",
    "o####o      ",
    "o#####o     ",
    "o######o    ",
    "o#######o   ",
    "o########o  ",
    "o#####ooooo ",
    "o##o##o     ",
    "o#o o##o    ",
    "oo  o##o    ",
    "     o##o   ",
    "      oo    ",
];

/// Draws frames; keeps what does not change between them.
pub(super) struct Painter {
    still: Canvas,
    canvas: Canvas,
    bars: Vec<Color>,
}

impl Painter {
    pub(super) fn new() -> Self {
        let still = still();
        // Twice around, so that any window of one round is a slice.
        let bars = (0..2)
            .flat_map(|_| BARS)
            .flat_map(|color| [color; BAR_WIDTH])
            .collect();
        Self {
            canvas: still.clone(),
            still,
            bars,
        }
    }

    /// Draws frame `number` at `time` since the Unix epoch and gives it as a JPEG file.
    pub(super) fn jpeg(
        &mut self,
        machine: &Machine,
        number: u64,
        time: Duration,
    ) -> Result<Vec<u8>, EncodingError> {
        self.draw(machine, number, time);
        let mut file = Vec::with_capacity(48 * 1024);
        let mut encoder = Encoder::new(&mut file, JPEG_QUALITY);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.encode(
            self.canvas.pixels(),
            WIDTH as u16,
            HEIGHT as u16,
            ColorType::Rgb,
        )?;
        Ok(file)
    }

    fn draw(&mut self, machine: &Machine, number: u64, time: Duration) {
        self.canvas.copy_from(&self.still);
        self.clock(time);
        self.terminal(machine);
        self.dial(time);
        let round = self.bars.len() / 2;
        let offset = (number.wrapping_mul(BARS_STEP) % round as u64) as usize;
        self.canvas.stripe(
            MARGIN,
            BARS_TOP,
            BARS_HEIGHT,
            &self.bars[offset..offset + round],
        );
        self.footer(machine, number);
        self.pointer(machine);
    }

    fn clock(&mut self, time: Duration) {
        let seconds = time.as_secs();
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let tenth = time.subsec_millis() / 100;
        let clock = format!("{hour:02}:{minute:02}:{second:02}.{tenth} UTC");
        let x = WIDTH - MARGIN - clock.len() * CELL_WIDTH;
        self.canvas.text(x, 8, WRITING, &clock);
    }

    fn terminal(&mut self, machine: &Machine) {
        let mut y = TERMINAL_TOP;
        for line in &machine.lines {
            self.canvas.text(MARGIN, y, QUIET, line);
            y += LINE_HEIGHT;
        }
        self.canvas.text(MARGIN, y, ACCENT, PROMPT);
        let x = MARGIN + PROMPT.len() * CELL_WIDTH;
        self.canvas.text(x, y, WRITING, &machine.input);
        let cursor = x + machine.input.len() * CELL_WIDTH;
        self.canvas
            .fill(cursor, y, CELL_WIDTH - 2, LINE_HEIGHT - 2, ACCENT);
    }

    fn dial(&mut self, time: Duration) {
        let turned = (time.as_millis() % DIAL_TURN_MS) as f32 / DIAL_TURN_MS as f32;
        for behind in (0..DIAL_TRAIL).rev() {
            let angle = (turned - f32::from(behind) * 0.003) * TAU;
            let cover = (1.0 - f32::from(behind) / f32::from(DIAL_TRAIL)).powi(2);
            for step in 12..(DIAL_RADIUS as u8 - 8) {
                let radius = f32::from(step);
                let x = (DIAL_CENTER.0 + radius * angle.sin()) as usize;
                let y = (DIAL_CENTER.1 - radius * angle.cos()) as usize;
                for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
                    self.canvas.blend(x, y, ACCENT, cover);
                }
            }
        }
    }

    fn footer(&mut self, machine: &Machine, number: u64) {
        let (x, y) = place(machine.pointer);
        let keys = machine.keys;
        let line = format!("FRAME {number:06}  POINTER {x:03},{y:03}  KEYS {keys}");
        self.canvas.text(MARGIN, FOOTER_TOP, QUIET, &line);
        for bit in 0..16 {
            let color = if number >> (15 - bit) & 1 == 1 {
                WRITING
            } else {
                DARK
            };
            let x = MARGIN + bit * CODE_SQUARE;
            self.canvas
                .fill(x, CODE_TOP, CODE_SQUARE, CODE_SQUARE, color);
        }
    }

    fn pointer(&mut self, machine: &Machine) {
        let (x, y) = place(machine.pointer);
        let body = if machine.buttons == 0 {
            WRITING
        } else {
            ACCENT
        };
        for (row, dots) in POINTER.iter().enumerate() {
            for (column, dot) in dots.bytes().enumerate() {
                match dot {
                    b'#' => self.canvas.fill(x + column, y + row, 1, 1, body),
                    b'o' => self.canvas.fill(x + column, y + row, 1, 1, DARK),
                    _ => {}
                }
            }
        }
    }
}

/// The pointer's place in pixels.
fn place((x, y): (f32, f32)) -> (usize, usize) {
    (
        (x * (WIDTH - 1) as f32).round() as usize,
        (y * (HEIGHT - 1) as f32).round() as usize,
    )
}

/// What stays the same from frame to frame.
fn still() -> Canvas {
    let mut canvas = Canvas::new(BACKGROUND);
    canvas.fill(0, 0, WIDTH, HEADER_HEIGHT, HEADER);
    canvas.text(MARGIN, 8, ACCENT, "DEMO MACHINE");
    canvas.disc(DIAL_CENTER, DIAL_RADIUS, HEADER);
    canvas.disc(DIAL_CENTER, DIAL_RADIUS - 2.0, BACKGROUND);
    for tick in 0..12_u8 {
        let angle = f32::from(tick) / 12.0 * TAU;
        let radius = DIAL_RADIUS - 8.0;
        let center = (
            DIAL_CENTER.0 + radius * angle.sin(),
            DIAL_CENTER.1 - radius * angle.cos(),
        );
        canvas.disc(center, if tick % 3 == 0 { 2.5 } else { 1.5 }, QUIET);
    }
    canvas.disc(DIAL_CENTER, 4.0, ACCENT);
    let size = format!("{WIDTH} x {HEIGHT}");
    canvas.text(
        WIDTH - MARGIN - size.len() * CELL_WIDTH,
        CODE_TOP + 1,
        QUIET,
        &size,
    );
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_jpeg_files_and_differ() {
        let mut painter = Painter::new();
        let mut machine = Machine::default();
        let noon = Duration::from_secs(12 * 3600);
        let first = painter.jpeg(&machine, 1, noon).unwrap();
        assert_eq!(
            first,
            painter.jpeg(&machine, 1, noon).unwrap(),
            "nothing is left over"
        );
        assert!(first.starts_with(&[0xff, 0xd8]) && first.ends_with(&[0xff, 0xd9]));
        assert_ne!(first, painter.jpeg(&machine, 2, noon).unwrap());
        assert_ne!(first, painter.jpeg(&machine, 1, noon * 2).unwrap());
        machine.key_down("x");
        assert_ne!(first, painter.jpeg(&machine, 1, noon).unwrap());
        machine.point(1.0, 1.0, 1);
        assert!(painter.jpeg(&machine, u64::MAX, Duration::MAX).is_ok());
    }
}
