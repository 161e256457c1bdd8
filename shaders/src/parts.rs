//! Parts of a module's text, and how lines that differ by a number are written once.
//!
//! Where a sum must be in a register of its own, it has a name of its own: drivers keep what is indexed in
//! slow memory. Such text is written once, with a capital letter for the number, and is WGSL to an editor:
//!
//! ```wgsl
//! let x_I = load(x_start + I * STRIDE);
//! ```
//!
//! stands, with `I` repeated twice, for
//!
//! ```wgsl
//! let x_0 = load(x_start + 0u * STRIDE);
//! let x_1 = load(x_start + 1u * STRIDE);
//! ```
//!
//! and `sum_I(x_I)` for `x_0 + x_1`. Comments stay as they are. What a driver is given is written to files
//! by the GPU suite.

/// A part of a module's text.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    constants: Vec<(&'static str, u32)>,
    text: &'static str,
    repeats: Vec<(&'static str, u8)>,
}

impl Part {
    /// Text as it is.
    pub fn new(text: &'static str) -> Self {
        Self { constants: Vec::new(), text, repeats: Vec::new() }
    }

    /// With a constant in front that the host shares.
    pub fn with(mut self, name: &'static str, value: u32) -> Self {
        self.constants.push((name, value));
        self
    }

    /// With each line of code that contains `name` repeated for 0 to below `count` in its place.
    pub fn repeating(mut self, name: &'static str, count: u8) -> Self {
        self.repeats.push((name, count));
        self
    }

    /// The WGSL.
    pub fn compose(&self) -> String {
        let constants = self.constants.iter().map(|(name, value)| format!("const {name} = {value}u;\n"));
        let text = self.repeats.iter().fold(self.text.to_owned(), |text, (name, count)| {
            text.lines().flat_map(|line| repeated(line, name, *count)).map(|line| line + "\n").collect()
        });
        constants.collect::<String>() + &text
    }
}

fn repeated(line: &str, name: &str, count: u8) -> Vec<String> {
    if line.trim_start().starts_with("//") {
        return vec![line.to_owned()];
    }
    let line = summed(line, name, count);
    let count = if numbered(&line, name, 0) == line { 1 } else { count };
    (0..count).map(|number| numbered(&line, name, number)).collect()
}

/// The line with each `sum_I(x_I)` written out.
fn summed(line: &str, name: &str, count: u8) -> String {
    let parts = line.split_once(&format!("sum_{name}("));
    let Some((before, (term, after))) =
        parts.and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    else {
        return line.to_owned();
    };
    let terms: Vec<String> = (0..count).map(|number| numbered(term, name, number)).collect();
    format!("{before}{}{}", terms.join(" + "), summed(after, name, count))
}

/// The line with a number in place of the name: `2u` where it stands alone, `x_2` for `x_I`.
fn numbered(line: &str, name: &str, number: u8) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let numbered = |piece: &str| {
        let (word, rest) = piece.split_at(piece.trim_end_matches(|c| !is_word(c)).len());
        if word == name {
            return format!("{number}u{rest}");
        }
        let number = number.to_string();
        let parts: Vec<&str> =
            word.split('_').map(|part| if part == name { number.as_str() } else { part }).collect();
        parts.join("_") + rest
    };
    line.split_inclusive(|c| !is_word(c)).map(numbered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_repeated_for_each_number() {
        let text = "// I stands for two.\nlet x_I = y + I * Io_I_J;\nlet s = f(sum_J(a_J));\n";
        let part = Part::new(text).with("SIZE", 3).repeating("I", 2).repeating("J", 2);
        let expected = "const SIZE = 3u;\n\
            // I stands for two.\n\
            let x_0 = y + 0u * Io_0_0;\n\
            let x_0 = y + 0u * Io_0_1;\n\
            let x_1 = y + 1u * Io_1_0;\n\
            let x_1 = y + 1u * Io_1_1;\n\
            let s = f(a_0 + a_1);\n";
        assert_eq!(part.compose(), expected);
    }
}
