//! The patch of a submission: a unified diff of the one file that may be changed.

use bitgauge_core::contract::Rules;
use bitgauge_core::{Error, ErrorKind, Result};

/// Longest patch.
const PATCH_BYTES: usize = 262_144;
/// How a hunk begins.
const HUNK: &str = "@@ -";

/// The file that a patch may change.
fn surface(rules: Rules) -> &'static str {
    match rules {
        Rules::Binary => "competition_packs/qwen3_27b_binary_frontier/train.py",
        Rules::Ternary => "competition_packs/qwen3_27b_ternary_frontier/train.py",
    }
}

/// Checks a patch, and gives its text.
///
/// # Errors
/// One that is too long, is no unified diff in UTF-8, changes nothing, deletes, renames or links the file, touches
/// another one, or holds bytecode or other binary data.
pub fn check(bytes: Vec<u8>, rules: Rules) -> Result<String> {
    if bytes.len() > PATCH_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, "the patch is too long")
            .expected_found(format!("at most {PATCH_BYTES} bytes"), bytes.len()));
    }
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text =
        text.ok_or_else(|| refused(None, "a unified diff in UTF-8", "binary data, as of Python's bytecode"))?;
    let mut patch = Patch { surface: surface(rules), hunk: [0; 2], hunks: 0 };
    for (number, line) in (1..).zip(text.lines()) {
        patch.line(line).map_err(|error| error.within(format!("line {number}")))?;
    }
    if patch.hunk != [0; 2] {
        return Err(refused(None, "whole hunks", "an end within one"));
    }
    if patch.hunks == 0 {
        return Err(refused(None, "a change", "a text without hunks"));
    }
    Ok(text)
}

/// What was read so far.
struct Patch {
    surface: &'static str,
    /// Old and new lines that the hunk still has.
    hunk: [u64; 2],
    hunks: u64,
}

impl Patch {
    fn line(&mut self, line: &str) -> Result<()> {
        if self.hunk != [0; 2] {
            return self.hunk_line(line);
        }
        if let Some(ranges) = line.strip_prefix(HUNK) {
            self.hunk = counts(ranges).ok_or_else(|| refused(None, "@@ -LINE,COUNT +LINE,COUNT @@", line))?;
            self.hunks += 1;
            return Ok(());
        }
        for (prefix, what) in [
            ("GIT binary patch", "binary data"),
            ("Binary files ", "binary data"),
            ("deleted file mode", "the file deleted"),
            ("rename ", "a file renamed"),
            ("copy ", "a file copied"),
            ("new file mode 120000", "a link"),
            ("new mode 120000", "a link"),
        ] {
            if line.starts_with(prefix) {
                return Err(refused(None, "changes of lines", what));
            }
        }
        if let Some(paths) = line.strip_prefix("diff --git ") {
            let half = paths.split_once(" b/").map(|(old, new)| (old, format!("b/{new}")));
            let (old, new) = half.unwrap_or((paths, paths.to_owned()));
            return self.path(old).and_then(|()| self.path(&new));
        }
        match line.strip_prefix("--- ").or_else(|| line.strip_prefix("+++ ")) {
            // A new file has no old name.
            Some(path) if line.starts_with('-') && path.trim_end() == "/dev/null" => Ok(()),
            Some(path) => self.path(path),
            None => Ok(()),
        }
    }

    fn hunk_line(&mut self, line: &str) -> Result<()> {
        let [old, new] = match line.bytes().next() {
            None | Some(b' ') => [1, 1],
            Some(b'-') => [1, 0],
            Some(b'+') => [0, 1],
            Some(b'\\') => [0, 0],
            Some(_) => return Err(refused(None, "a line of the hunk", line)),
        };
        let left = [self.hunk[0].checked_sub(old), self.hunk[1].checked_sub(new)];
        let [Some(old), Some(new)] = left else {
            return Err(refused(None, "as many lines as the hunk says", line));
        };
        self.hunk = [old, new];
        Ok(())
    }

    /// Refuses another file than the one that may be changed.
    fn path(&self, path: &str) -> Result<()> {
        // A time may stand behind it.
        let path = path.split('\t').next().unwrap_or_default().trim_end();
        let path = path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path);
        if path == self.surface {
            return Ok(());
        }
        let is_bytecode = path.contains("__pycache__") || path.ends_with(".pyc") || path.ends_with(".pyo");
        Err(refused(is_bytecode.then_some("the patch holds bytecode"), self.surface, path))
    }
}

/// Lines of a hunk before and after, from `LINE,COUNT +LINE,COUNT @@`; a count of 1 may be left out.
fn counts(ranges: &str) -> Option<[u64; 2]> {
    let (old, rest) = ranges.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let count = |range: &str| match range.split_once(',') {
        Some((_, count)) => count.parse().ok(),
        None => range.parse::<u64>().ok().map(|_| 1),
    };
    Some([count(old)?, count(new)?])
}

fn refused(what: Option<&str>, expected: &str, found: &str) -> Error {
    Error::new(ErrorKind::BadValue, what.unwrap_or("the patch would not be accepted"))
        .expected_found(expected, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAIN: &str = "competition_packs/qwen3_27b_binary_frontier/train.py";

    fn diff(path: &str, body: &str) -> String {
        format!("diff --git a/{path} b/{path}\nindex 1..2 100644\n--- a/{path}\n+++ b/{path}\n{body}")
    }

    fn fault(text: impl AsRef<[u8]>) -> String {
        check(text.as_ref().to_vec(), Rules::Binary).unwrap_err().to_string()
    }

    #[test]
    fn a_diff_of_the_recipe_is_taken() {
        // A removed line may look like the name of a file.
        let body = "@@ -1,3 +1,3 @@ def f():\n a\n--- a/other.py\n+++ b/other.py\n \n@@ -9 +9,0 @@\n-x\n\\ No newline at end of file\n";
        let mail = format!("From: someone\nSubject: [PATCH]\n\n{}", diff(TRAIN, body));
        for text in [diff(TRAIN, body), mail, format!("--- {TRAIN}\t2026-01-01\n+++ {TRAIN}\n{body}")] {
            assert_eq!(check(text.clone().into_bytes(), Rules::Binary).unwrap(), text);
        }
        let created = format!("--- /dev/null\n+++ b/{TRAIN}\n@@ -0,0 +1 @@\n+x\n");
        assert!(check(created.into_bytes(), Rules::Binary).is_ok());
        assert!(check(diff(TRAIN, body).into_bytes(), Rules::Ternary).is_err());
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        let body = "@@ -1 +1 @@\n-a\n+b\n";
        let cases = [
            (diff("benchmark.py", body), "benchmark.py"),
            (diff(&format!("x/{TRAIN}"), body), "x/competition"),
            (format!("{}{}", diff(TRAIN, body), diff("other.py", body)), "other.py"),
            (diff("competition_packs/__pycache__/train.cpython-311.pyc", body), "bytecode"),
            (diff(&format!("{TRAIN}c"), body), "bytecode"),
            (diff(TRAIN, "GIT binary patch\nliteral 3\n"), "binary data"),
            (diff(TRAIN, "Binary files a/x and b/x differ\n"), "binary data"),
            (format!("diff --git a/{TRAIN} b/{TRAIN}\ndeleted file mode 100644\n"), "deleted"),
            (format!("--- a/{TRAIN}\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"), "/dev/null"),
            (format!("diff --git a/{TRAIN} b/{TRAIN}\nrename from {TRAIN}\n"), "renamed"),
            (format!("diff --git a/{TRAIN} b/{TRAIN}\nnew file mode 120000\n"), "a link"),
            (diff(TRAIN, "@@ -1,9 +1,9 @@\n a\n"), "an end within one"),
            (diff(TRAIN, "@@ -1 +1 @@\nxyz\n"), "a line of the hunk"),
            (diff(TRAIN, "@@ nonsense\n"), "without hunks"),
            (diff(TRAIN, "@@ -x +1 @@\n"), "@@ -LINE"),
            (diff(TRAIN, ""), "without hunks"),
            (String::new(), "without hunks"),
            (diff(TRAIN, "@@ -1 +1 @@\n-a\n+\0\n"), "bytecode"),
        ];
        for (text, words) in cases {
            assert!(fault(&text).contains(words), "{words}: {}", fault(&text));
        }
        assert!(fault([0x6f, 0x0d, 0x0d, 0x0a, 0xff]).contains("bytecode"));
        let long = diff(TRAIN, &format!("@@ -0,0 +1 @@\n+{}\n", "x".repeat(PATCH_BYTES)));
        assert!(fault(&long).contains("at most 262144 bytes"));
        let fits = PATCH_BYTES - diff(TRAIN, "@@ -0,0 +1 @@\n+\n").len();
        let fitting = |more: usize| diff(TRAIN, &format!("@@ -0,0 +1 @@\n+{}\n", "x".repeat(fits + more)));
        assert!(check(fitting(0).into_bytes(), Rules::Binary).is_ok());
        assert!(check(fitting(1).into_bytes(), Rules::Binary).is_err());
    }
}
