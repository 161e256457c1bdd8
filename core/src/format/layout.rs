//! Sizes of one packed weight: shapes and bytes of its parts, and where every bit goes.

use super::bits;
use super::part::{Part, Parts};
use crate::container::TensorEntry;
use crate::tensor::RESCUE_GROUP;
use crate::{Error, ErrorKind, Result, limits};

/// The settings of a packed model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantConfig {
    /// Columns per scale of a binary row: 128, or 0 for one scale per row.
    pub scale_group: usize,
}

/// The sizes that determine the shapes of a packed weight's parts.
///
/// Every value is within [`limits::MODEL_DIMENSION`], so all products below fit u64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    rows: u64,
    cols: u64,
    bases: u64,
    rescued: u64,
    scale_group: u64,
}

/// Where the bits of one packed weight go. Every bit of its parts is in exactly one field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Bits {
    /// `M * K * B`, one per binary parameter.
    pub sign: u64,
    /// Zero bits that fill each row of a sign plane up to 32.
    pub sign_padding: u64,
    /// 16 per scale of a binary row.
    pub scale: u64,
    /// `4 * R * K`, four per rescue parameter.
    pub code: u64,
    /// The zero nibble after each rescue row of odd length.
    pub code_padding: u64,
    /// 16 per scale of a rescue row.
    pub rescue_scale: u64,
    /// 32 per rescue row.
    pub row_numbers: u64,
}

impl Bits {
    /// All bits of the weight's parts: eight times their bytes.
    pub fn total(&self) -> u64 {
        self.sign
            + self.sign_padding
            + self.scale
            + self.code
            + self.code_padding
            + self.rescue_scale
            + self.row_numbers
    }
}

impl Layout {
    /// The layout of a weight `[rows, cols]` with `rescued` q4 rows and `bases` sign bases, which
    /// are 0 exactly when every row is rescued. `scale_group` 0 means one scale per row.
    ///
    /// # Errors
    /// A size of 0 or over [`limits::MODEL_DIMENSION`], more rescue rows than rows, or a number of
    /// bases that does not fit.
    pub fn new(rows: u64, cols: u64, bases: u64, rescued: u64, scale_group: u64) -> Result<Self> {
        for (name, size) in [("rows", rows), ("columns", cols)] {
            if size == 0 || size > limits::MODEL_DIMENSION {
                let what = format!("the number of {name} of a packed weight is out of range");
                return Err(Error::new(ErrorKind::WrongShape, what)
                    .expected_found(format!("1 to {}", limits::MODEL_DIMENSION), size));
            }
        }
        if rescued > rows {
            return Err(Error::new(ErrorKind::WrongShape, "a packed weight has more rescue rows than rows")
                .expected_found(format!("at most {rows} rescue rows"), rescued));
        }
        let most = if rescued == rows { 0 } else { limits::BASES_COUNT as u64 };
        if bases > most || (bases == 0) != (rescued == rows) {
            let wanted = if most == 0 { "none: every row is rescued".into() } else { format!("1 to {most}") };
            return Err(Error::new(ErrorKind::WrongShape, "the number of sign bases B is out of range")
                .expected_found(wanted, bases));
        }
        if scale_group > limits::MODEL_DIMENSION {
            return Err(Error::new(ErrorKind::TooLarge, "the scale group of a packed weight is too long")
                .expected_found(format!("at most {} columns", limits::MODEL_DIMENSION), scale_group));
        }
        Ok(Self { rows, cols, bases, rescued, scale_group })
    }

    /// The layout that the stored parts of the weight `[rows, cols]` have.
    ///
    /// # Errors
    /// Naming the tensor: a part that is missing or should not be there, a part of the wrong data
    /// type, parts that disagree about the rescue rows or the bases, a part of the wrong shape.
    pub fn derive(
        tensors: &[TensorEntry],
        parts: &Parts<Option<usize>>,
        config: &QuantConfig,
        [rows, cols]: [u64; 2],
    ) -> Result<Self> {
        let stored = parts.map(|index| index.and_then(|index| tensors.get(index)));
        for (part, tensor) in stored.iter() {
            let Some(tensor) = tensor else { continue };
            if tensor.dtype != part.dtype() {
                let what = "a part of a packed weight has the wrong data type";
                return Err(Error::new(ErrorKind::WrongDtype, what)
                    .within(&tensor.name)
                    .expected_found(part.dtype().name(), tensor.dtype.name()));
            }
        }
        let rescued = rescued_rows(&stored, rows)?;
        check_presence(&stored, rescued, rows)?;
        let bases = stored[Part::Sign].map_or(0, |sign| sign.shape.first().copied().unwrap_or(0));
        let layout = Self::new(rows, cols, bases, rescued, config.scale_group as u64)
            .map_err(|error| error.within(first_name(&stored)))?;
        for (part, tensor) in stored.iter() {
            let Some(tensor) = tensor else { continue };
            layout.check_shape(part, tensor)?;
        }
        Ok(layout)
    }

    /// The layout of the rescue rows as a matrix of their own; `None` when there are none.
    pub fn rescue_rows_alone(&self) -> Option<Self> {
        (self.rescued > 0).then_some(Self { rows: self.rescued, bases: 0, ..*self })
    }

    /// Number of output rows, N.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Number of input columns, K.
    pub fn cols(&self) -> u64 {
        self.cols
    }

    /// Additive sign bases B; 0 when every row is a rescue row.
    pub fn bases(&self) -> u64 {
        self.bases
    }

    /// Rescue rows R.
    pub fn rescued(&self) -> u64 {
        self.rescued
    }

    /// Binary rows `M = N - R`.
    pub fn binary_rows(&self) -> u64 {
        self.rows - self.rescued
    }

    /// Columns per scale of a binary row; 0 means the whole row.
    pub fn scale_group(&self) -> u64 {
        self.scale_group
    }

    /// Scales G of one row of one basis.
    pub fn scale_groups(&self) -> u64 {
        if self.scale_group == 0 { 1 } else { self.cols.div_ceil(self.scale_group) }
    }

    /// Scales of one rescue row.
    pub fn rescue_groups(&self) -> u64 {
        self.cols.div_ceil(RESCUE_GROUP as u64)
    }

    /// Columns that share a scale of a binary row, with "the whole row" spelled out.
    pub fn scale_columns(&self) -> u64 {
        if self.scale_group == 0 { self.cols } else { self.scale_group }
    }

    /// Bytes of one row of a part, padding included; of a binary row in one basis.
    pub fn row_bytes(&self, part: Part) -> u64 {
        match part {
            Part::Sign => 4 * self.cols.div_ceil(bits::WORD_COLUMNS as u64),
            Part::Scale => 2 * self.scale_groups(),
            Part::RescueRows => 4,
            Part::RescueCode => self.cols.div_ceil(2),
            Part::RescueScale => 2 * self.rescue_groups(),
        }
    }

    /// Bytes that a binary row takes in all bases.
    pub fn binary_row_bytes(&self) -> u64 {
        self.bases * (self.row_bytes(Part::Sign) + self.row_bytes(Part::Scale))
    }

    /// Bytes that a rescue row takes.
    pub fn rescue_row_bytes(&self) -> u64 {
        [Part::RescueRows, Part::RescueCode, Part::RescueScale].iter().map(|&part| self.row_bytes(part)).sum()
    }

    /// Whether the format stores this part at all.
    pub fn has(&self, part: Part) -> bool {
        if part.is_binary() { self.binary_rows() > 0 } else { self.rescued > 0 }
    }

    /// The shape of a part.
    pub fn shape(&self, part: Part) -> Vec<u64> {
        let row = self.row_bytes(part) / part.dtype().bytes();
        match part {
            Part::Sign | Part::Scale => vec![self.bases, self.binary_rows(), row],
            Part::RescueRows => vec![self.rescued],
            Part::RescueCode | Part::RescueScale => vec![self.rescued, row],
        }
    }

    /// Bytes of a part; 0 for a part that is left out.
    pub fn part_bytes(&self, part: Part) -> u64 {
        let rows = if part.is_binary() { self.bases * self.binary_rows() } else { self.rescued };
        rows * self.row_bytes(part)
    }

    /// Logical parameters `N * K`.
    pub fn parameters(&self) -> u64 {
        self.rows * self.cols
    }

    /// Binary parameters `M * K * B`: each additive basis counts again.
    pub fn binary_parameters(&self) -> u64 {
        self.binary_rows() * self.cols * self.bases
    }

    /// Rescue parameters `R * K`.
    pub fn rescue_parameters(&self) -> u64 {
        self.rescued * self.cols
    }

    /// Where every bit of the parts goes.
    pub fn bits(&self) -> Bits {
        let (sign, code) = (self.binary_parameters(), 4 * self.rescue_parameters());
        Bits {
            sign,
            sign_padding: 8 * self.part_bytes(Part::Sign) - sign,
            scale: 8 * self.part_bytes(Part::Scale),
            code,
            code_padding: 8 * self.part_bytes(Part::RescueCode) - code,
            rescue_scale: 8 * self.part_bytes(Part::RescueScale),
            row_numbers: 8 * self.part_bytes(Part::RescueRows),
        }
    }

    fn check_shape(&self, part: Part, tensor: &TensorEntry) -> Result<()> {
        let expected = self.shape(part);
        if tensor.shape == expected {
            return Ok(());
        }
        // The leading dimensions repeat what `sign` and `rescue_rows` say; the last is N's and K's.
        let agree = tensor.shape.len() == expected.len()
            && tensor.shape[..expected.len() - 1] == expected[..expected.len() - 1];
        let what = match part {
            Part::Scale | Part::RescueCode | Part::RescueScale if !agree => {
                "the parts of a packed weight disagree with each other"
            }
            _ => "a part of a packed weight has the wrong shape",
        };
        let Self { rows, cols, bases, rescued, .. } = self;
        let sizes = format!("N = {rows}, K = {cols}, B = {bases}, R = {rescued}");
        Err(Error::new(ErrorKind::WrongShape, what)
            .within(&tensor.name)
            .expected_found(format!("{expected:?} for {sizes}"), format!("{:?}", tensor.shape)))
    }
}

/// R, from the shape of `rescue_rows`.
fn rescued_rows(stored: &Parts<Option<&TensorEntry>>, rows: u64) -> Result<u64> {
    let Some(tensor) = stored[Part::RescueRows] else { return Ok(0) };
    match tensor.shape[..] {
        [rescued] if (1..=rows).contains(&rescued) => Ok(rescued),
        _ => Err(Error::new(ErrorKind::WrongShape, "the list of rescue rows has the wrong shape")
            .within(&tensor.name)
            .expected_found(format!("[R] with R from 1 to {rows}"), format!("{:?}", tensor.shape))),
    }
}

/// Exactly the parts that `rescued` of `rows` rows ask for are there.
fn check_presence(stored: &Parts<Option<&TensorEntry>>, rescued: u64, rows: u64) -> Result<()> {
    for (part, tensor) in stored.iter() {
        let wanted = if part.is_binary() { rescued < rows } else { rescued > 0 };
        let rows_found = format!("{rescued} of {rows} rows are in rescue_rows");
        match tensor {
            Some(tensor) if !wanted => {
                let what = "a part of a packed weight should not be there";
                return Err(Error::new(ErrorKind::WrongShape, what)
                    .within(&tensor.name)
                    .expected_found("no such tensor", rows_found));
            }
            None if wanted => {
                let what = "a part of a packed weight is missing";
                let place = weight_name(first_name(stored));
                return Err(Error::new(ErrorKind::Missing, what)
                    .within(place)
                    .expected_found(format!("a tensor {place}.{}", part.suffix()), rows_found));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Name of the first part that is there.
fn first_name<'a>(stored: &Parts<Option<&'a TensorEntry>>) -> &'a str {
    stored.iter().find_map(|(_, tensor)| *tensor).map_or("", |tensor| tensor.name.as_str())
}

fn weight_name(part_name: &str) -> &str {
    Part::split_name(part_name).map_or(part_name, |(weight, _)| weight)
}
