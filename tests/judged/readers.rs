//! The two Python readers of the format give the weights that ours gives: tests/packing/readers.py runs what has its
//! library here (numpy, torch).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bitgauge_core::format::{Layout, Part, bits, encode};
use bitgauge_core::{Bitpacked, Matrix};
use half::f16;
use serde_json::{Value, json};

/// Random signs, scales and codes; a third of the rows, from the second on, is rescued.
fn random(rows: u64, columns: u64, bases: u64, rescued: u64, scale_group: u64) -> Bitpacked {
    let layout = Layout::new(rows, columns, bases, rescued, scale_group).expect("a sound layout");
    let mut random = fastrand::Rng::with_seed(rows * 31 + columns * 7 + bases * 3 + rescued + scale_group);
    let rescue_rows = (0..rescued).map(|i| (i * rows / rescued) as u32).collect();
    let mut packed = Bitpacked { rescue_rows, ..Bitpacked::zeroed(layout) };
    packed.scale.fill_with(|| f16::from_bits(random.u16(0x2000..0x3000)));
    packed.rescue_scale.fill_with(|| f16::from_bits(random.u16(0x2000..0x3000)));
    let words = packed.sign.chunks_exact_mut((layout.row_bytes(Part::Sign) / 4) as usize);
    for (first, word) in words.flat_map(|row| (0..).step_by(bits::WORD_COLUMNS).zip(row)) {
        let used = bits::WORD_COLUMNS.min(columns as usize - first);
        *word = bits::sign_word((0..used).map(|_| random.bool()));
    }
    let mut code = |c: usize| if c < columns as usize { random.i8(-7..=7) } else { 0 };
    let codes = packed.rescue_code.chunks_exact_mut(layout.row_bytes(Part::RescueCode) as usize);
    for (first, byte) in codes.flat_map(|row| (0..).step_by(2).zip(row)) {
        *byte = bits::code_byte(code(first), code(first + 1));
    }
    packed
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect()
}

fn case(packed: &Bitpacked) -> Value {
    let layout = &packed.layout;
    let mut parts = json!({});
    for (part, bytes) in encode(packed).iter().filter(|(part, _)| layout.has(*part)) {
        let (dtype, shape) = (part.dtype().name(), layout.shape(part));
        parts[part.suffix()] = json!({"dtype": dtype, "shape": shape, "bytes": hex(bytes.iter().copied())});
    }
    let weight = Matrix::Bitpacked(packed.clone()).to_f32();
    json!({
        "name": format!("{layout:?}"), "rows": layout.rows(), "columns": layout.cols(),
        "scale_group": layout.scale_group(), "parts": parts,
        "weight": hex(weight.into_iter().flat_map(f32::to_le_bytes)),
    })
}

/// Runs the readers; `None` without Python.
fn run(cases: &[Value]) -> Option<Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packing/readers.py");
    let python = std::env::var_os("BITGAUGE_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut readers = command.spawn().ok()?;
    let text = Value::from(cases).to_string();
    // One that ends early says why by itself.
    let _ = readers.stdin.take().expect("a pipe").write_all(text.as_bytes());
    Some(readers.wait_with_output().expect("its output"))
}

#[test]
fn python_reads_the_same_weights() {
    let mut all = Vec::new();
    for columns in [1, 33, 128, 300] {
        for (bases, rescued) in [(1, 0), (4, 0), (2, 3), (0, 9)] {
            all.extend([0, 128].map(|group| random(9, columns, bases, rescued, group)));
        }
    }
    let cases: Vec<Value> = all.iter().map(case).collect();
    let Some(output) = run(&cases) else { return println!("not run: there is no python3") };
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // One bit of each stored weight turned: every reader that ran must notice every one.
    let faulty: Vec<Value> = (all.iter().zip(&cases))
        .map(|(packed, case)| {
            let mut turned = packed.clone();
            match turned.sign.first_mut() {
                Some(word) => *word ^= 1,
                None => turned.rescue_code[0] ^= 1,
            }
            let mut faulty = self::case(&turned);
            faulty["weight"] = case["weight"].clone();
            faulty
        })
        .collect();
    let noticed = String::from_utf8(run(&faulty).expect("Python").stdout).expect("its words");
    for line in noticed.lines().filter(|line| !line.contains("not run")) {
        assert!(line.contains(&format!(": {0} weights, {0} differ", faulty.len())), "{line}");
    }
}
