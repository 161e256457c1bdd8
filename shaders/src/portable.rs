//! What WGSL compilers other than naga need of every composed kernel, held over its text.
//!
//! Dawn's SPIR-V, as Chromium runs it, does not zero a variable again that a loop declares without an initializer: sums
//! go on from the last iteration's, without a message. And the grammar wants parentheses where naga does not.

use crate::{Kernel, compose};

/// The text without comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// The variables of functions, as `var sum: T`, that are declared without an initializer.
fn uninitialized(text: &str) -> Vec<String> {
    let code = code(text);
    let statements = code.split([';', '{', '}']).map(str::trim);
    let variables = statements.map(|s| s.trim_start_matches("for (")).filter(|s| s.starts_with("var "));
    variables.filter(|statement| !statement.contains('=')).map(str::to_owned).collect()
}

/// The expressions between parentheses, commas and assignments in which a shift or a bitwise operator stands beside
/// another operator. Operators are what has a space on either side.
fn ambiguous(text: &str) -> Vec<String> {
    const BINARY: [&str; 20] = [
        "<<", ">>", "&", "|", "^", "+", "-", "*", "/", "%", "<", ">", "<=", ">=", "==", "!=", "&&", "||",
        "=", "->",
    ];
    let code = code(text);
    // A word of a level, and where an inner one begins and ends, stand by themselves.
    let spaced = ["(", ")", "[", "]", "{", "}", ",", ";"]
        .iter()
        .fold(code, |code, mark| code.replace(mark, &format!(" {mark} ")));
    let (mut outer, mut words, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for word in spaced.split_whitespace() {
        match word {
            "(" | "[" => outer.push(std::mem::take(&mut words)),
            ")" | "]" | "{" | "}" | "," | ";" | "=" => {
                let mut operators: Vec<&str> =
                    words.iter().copied().filter(|word| BINARY.contains(word)).collect();
                let is_bitwise = operators.iter().any(|o| ["&", "|", "^"].contains(o));
                let is_shift = operators.iter().any(|o| ["<<", ">>"].contains(o));
                // `a | b | c` is one level, `a << b << c` is none.
                if is_bitwise {
                    operators.dedup();
                }
                if (is_bitwise || is_shift) && operators.len() > 1 {
                    found.push(words.join(" "));
                }
                words = if matches!(word, ")" | "]") { outer.pop().unwrap_or_default() } else { Vec::new() };
            }
            word => words.push(word),
        }
    }
    found
}

#[test]
fn every_variable_of_a_function_has_an_initializer() {
    let mut removed = 0;
    for kernel in Kernel::all() {
        let text = compose(kernel);
        assert_eq!(uninitialized(&text), Vec::<String>::new(), "{kernel:?}");

        // The fault that was in the attention of Chromium, wherever a type's zero is the initializer.
        for (name, zero) in initializers(&text) {
            let faulty =
                text.replacen(&format!("var {name} = {zero}();"), &format!("var {name}: {zero};"), 1);
            assert_eq!(uninitialized(&faulty).len(), 1, "{kernel:?} without that of {name}");
            removed += 1;
        }
    }
    assert!(removed >= 20, "{removed} initializers were taken out");
}

/// The variables that begin as the zero of a type, each with that type.
fn initializers(text: &str) -> Vec<(&str, &str)> {
    let statements = text.lines().map(str::trim);
    let zeros = statements.filter_map(|line| line.strip_prefix("var ")?.strip_suffix("();"));
    zeros.filter_map(|statement| statement.split_once(" = ")).collect()
}

#[test]
fn shifts_and_bitwise_operators_stand_in_parentheses() {
    for kernel in Kernel::all() {
        assert_eq!(ambiguous(&compose(kernel)), Vec::<String>::new(), "{kernel:?}");
    }
    // What the specification's grammar has no rule for, though naga takes it.
    for line in [
        "let s = f(a) >> (b * 2u) & 0xffffu;",
        "return s << 16u | s;",
        "x[a + b << 1u] = 0u;",
        "if a & b != 0u {",
    ] {
        assert_eq!(ambiguous(line).len(), 1, "{line}");
    }
    for line in ["let x = (a >> 1u) & vec4<u32>(b);", "f(a | b | c, ~d);", "let n = array<vec4<f32>, 4>();"] {
        assert_eq!(ambiguous(line), Vec::<String>::new(), "{line}");
    }
}
