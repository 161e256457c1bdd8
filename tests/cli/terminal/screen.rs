//! What is on a terminal's screen after a program has written to it.

/// A screen without an end below.
pub struct Screen {
    columns: usize,
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Lines that the terminal broke because they were too long.
    pub broken: Vec<String>,
}

impl Screen {
    /// The screen after `written`.
    ///
    /// # Panics
    /// At an escape sequence that is not known.
    pub fn after(columns: usize, written: &str) -> Self {
        let mut screen = Self { columns, lines: vec![Vec::new()], row: 0, column: 0, broken: Vec::new() };
        let mut rest = written.chars();
        while let Some(character) = rest.next() {
            match character {
                '\r' => screen.column = 0,
                '\n' => screen.go_down(1),
                '\u{1b}' => {
                    let end =
                        rest.as_str().find(|c: char| c.is_ascii_alphabetic()).expect("a whole sequence");
                    let sequence: String = rest.by_ref().take(end + 1).collect();
                    screen.control(&sequence);
                }
                character => screen.put(character),
            }
        }
        screen
    }

    /// The lines, without spaces at their ends.
    pub fn text(&self) -> String {
        let line = |line: &Vec<char>| format!("{}\n", line.iter().collect::<String>().trim_end());
        self.lines.iter().map(line).collect()
    }

    fn control(&mut self, sequence: &str) {
        let (number, kind) = sequence.split_at(sequence.len() - 1);
        let number = number.strip_prefix('[').expect("a control sequence");
        let count = number.parse().unwrap_or(1);
        match (kind, number) {
            ("m" | "h" | "l", _) => {}
            ("A", _) => self.row = self.row.saturating_sub(count),
            ("B", _) => self.go_down(count),
            ("C", _) => self.column += count,
            ("D", _) => self.column = self.column.saturating_sub(count),
            ("K", "2") => self.lines[self.row].clear(),
            ("K", _) => self.lines[self.row].truncate(self.column),
            ("J", _) => {
                self.lines[self.row].truncate(self.column);
                self.lines.truncate(self.row + 1);
            }
            _ => panic!("the escape sequence {sequence:?} is not known"),
        }
    }

    fn go_down(&mut self, rows: usize) {
        self.row += rows;
        self.lines.resize(self.lines.len().max(self.row + 1), Vec::new());
    }

    fn put(&mut self, character: char) {
        if self.column >= self.columns {
            self.broken.push(self.lines[self.row].iter().collect());
            self.go_down(1);
            self.column = 0;
        }
        let line = &mut self.lines[self.row];
        line.resize(line.len().max(self.column + 1), ' ');
        line[self.column] = character;
        self.column += 1;
    }
}

#[test]
fn a_screen_shows_what_was_not_taken_off_and_which_lines_were_too_long() {
    let screen = Screen::after(
        8,
        "\u{1b}[1mbold\u{1b}[0m\r\nbar 1 %\r\u{1b}[2Kbar 2 %\r\u{1b}[2K\u{1b}[1A\r\u{1b}[Kend\r\n",
    );
    assert_eq!(screen.text(), "end\n\n");
    assert!(screen.broken.is_empty());
    let screen = Screen::after(4, "left\r\nlonger");
    assert_eq!((screen.text(), screen.broken), ("left\nlong\ner\n".to_owned(), vec!["long".to_owned()]));
}
