//! The fake machine behind the device: what is on its terminal, where its pointer is. It takes key
//! and pointer events and gives a state to draw; the drawing is `picture`'s.

use std::collections::VecDeque;

/// The terminal's size in characters. The browser tests know these, and the place on the picture.
pub(super) const COLUMNS: usize = 34;
pub(super) const ROWS: usize = 11;
/// The shell's prompt.
pub(super) const PROMPT: &str = "$ ";

/// The machine's state. Bounded: at most [`ROWS`] lines of [`COLUMNS`] characters.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Lines above the prompt, oldest first.
    pub(super) lines: VecDeque<String>,
    /// What is typed after the prompt.
    pub(super) input: String,
    /// The pointer's place, each from 0.0 to 1.0 of the picture.
    pub(super) pointer: (f32, f32),
    /// Buttons held down, as the browser's `MouseEvent.buttons`.
    pub(super) buttons: u16,
    /// Keys pressed since the start.
    pub(super) keys: u64,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            lines: ["Demo machine ready.", "Type help and press Enter.", ""]
                .map(Into::into)
                .into(),
            input: String::new(),
            pointer: (0.5, 0.5),
            buttons: 0,
            keys: 0,
        }
    }
}

impl Machine {
    /// A key went down. `key` is named as in the browser's `KeyboardEvent.key`; one that the fake
    /// machine has no use for only counts.
    pub(super) fn key_down(&mut self, key: &str) {
        self.keys += 1;
        match key {
            "Enter" => self.enter(),
            "Backspace" => {
                self.input.pop();
            }
            "Escape" => self.input.clear(),
            _ => {
                let mut characters = key.chars();
                if let (Some(character @ ' '..='~'), None) = (characters.next(), characters.next())
                {
                    if PROMPT.len() + self.input.len() + 1 >= COLUMNS {
                        self.enter();
                    }
                    self.input.push(character);
                }
            }
        }
    }

    /// The pointer moved or its buttons changed. Places off the picture count as its edge.
    pub(super) fn point(&mut self, x: f32, y: f32, buttons: u16) {
        let on_picture = |place: f32| {
            if place.is_finite() {
                place.clamp(0.0, 1.0)
            } else {
                0.0
            }
        };
        self.pointer = (on_picture(x), on_picture(y));
        self.buttons = buttons;
    }

    fn enter(&mut self) {
        let input = std::mem::take(&mut self.input);
        self.print(format!("{PROMPT}{input}"));
        let (command, rest) = input.split_once(' ').unwrap_or((&input, ""));
        match command {
            "" => {}
            "clear" => self.lines.clear(),
            "echo" => self.print(rest.to_owned()),
            "help" => self.print("clear, echo TEXT, help".to_owned()),
            _ => self.print(format!("{}: not found", &command[..command.len().min(20)])),
        }
    }

    fn print(&mut self, line: String) {
        self.lines.push_back(line);
        // One row is the prompt's.
        while self.lines.len() > ROWS - 1 {
            self.lines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_all(machine: &mut Machine, text: &str) {
        text.chars()
            .for_each(|character| machine.key_down(&character.to_string()));
    }

    #[test]
    fn what_is_typed_stands_after_the_prompt_until_enter() {
        let mut machine = Machine::default();
        type_all(&mut machine, "echo Hi there!x");
        machine.key_down("Backspace");
        machine.key_down("Shift");
        assert_eq!(machine.input, "echo Hi there!");
        machine.key_down("Enter");
        assert_eq!(machine.input, "");
        assert_eq!(machine.lines.back().map(String::as_str), Some("Hi there!"));
        type_all(&mut machine, "clear");
        machine.key_down("Enter");
        assert!(machine.lines.is_empty());
    }

    #[test]
    fn endless_typing_stays_on_the_screen() {
        let mut machine = Machine::default();
        for _ in 0..1000 {
            type_all(&mut machine, "words and ");
            machine.key_down("é");
            assert!(machine.lines.len() < ROWS);
            assert!(machine.lines.iter().all(|line| line.len() <= COLUMNS));
            assert!(PROMPT.len() + machine.input.len() < COLUMNS);
        }
    }

    #[test]
    fn a_pointer_off_the_picture_is_at_its_edge() {
        let mut machine = Machine::default();
        machine.point(-3.0, f32::NAN, 1);
        assert_eq!(machine.pointer, (0.0, 0.0));
        machine.point(7.0, 0.25, 0);
        assert_eq!(machine.pointer, (1.0, 0.25));
    }
}
