//! Signs and scales of one binary row.

use bitgauge_core::format::{Layout, Part, bits};
use half::f16;

use super::scales::{self, SMALLEST_SCALE, Split, levels};
use super::settings::Settings;

/// The code of one row in all bases, and memory to compute it in.
pub(super) struct BinaryRow {
    settings: Settings,
    words: usize,
    groups: usize,
    /// Sign words `[B, words]`.
    sign: Vec<u32>,
    /// Scales `[B, groups]`.
    scale: Vec<f16>,
    /// Bit b is the sign of column c in basis b.
    patterns: Vec<u8>,
}

impl BinaryRow {
    /// For rows of this layout, which has the sizes of `settings`.
    pub(super) fn new(layout: &Layout, settings: Settings) -> Self {
        let groups = layout.scale_groups() as usize;
        let words = layout.row_bytes(Part::Sign) as usize / size_of::<u32>();
        Self {
            settings,
            words,
            groups,
            sign: vec![0; settings.bases * words],
            scale: vec![SMALLEST_SCALE; settings.bases * groups],
            patterns: vec![0; layout.cols() as usize],
        }
    }

    /// Sign words of basis `b`.
    pub(super) fn sign(&self, b: usize) -> &[u32] {
        &self.sign[b * self.words..][..self.words]
    }

    /// Scales of basis `b`.
    pub(super) fn scale(&self, b: usize) -> &[f16] {
        &self.scale[b * self.groups..][..self.groups]
    }

    /// Number of bases.
    pub(super) fn bases(&self) -> usize {
        self.settings.bases
    }

    /// Columns that share a scale.
    pub(super) fn group(&self) -> usize {
        if self.settings.scale_group == 0 { self.patterns.len() } else { self.settings.scale_group }
    }

    /// The scales of group `g` in all bases.
    pub(super) fn scales_of(&self, g: usize) -> Vec<f16> {
        self.scale.chunks(self.groups).map(|plane| plane[g]).collect()
    }

    pub(super) fn set_scale(&mut self, b: usize, g: usize, scale: f16) {
        self.scale[b * self.groups + g] = scale;
    }

    /// Replaces all signs: bit b of a column's pattern is its sign in basis b.
    pub(super) fn set_patterns(&mut self, patterns: &[u8]) {
        self.patterns.copy_from_slice(patterns);
        self.write_patterns();
    }

    /// Finds scales for `row` and returns the squared error that is left with the signs that go with them.
    pub(super) fn fit_scales(&mut self, row: &[f32]) -> f64 {
        let Settings { bases, fit, .. } = self.settings;
        let group = self.group();
        let mut error = 0.0;
        for (g, (values, patterns)) in row.chunks(group).zip(self.patterns.chunks_mut(group)).enumerate() {
            let scales = match bases {
                1 => scales::one_basis(values),
                2 => scales::two_bases(values, fit),
                _ => scales::more_bases(values, bases, fit, patterns),
            };
            error += scales.error;
            for (plane, scale) in self.scale.chunks_mut(self.groups).zip(scales.of_bases) {
                plane[g] = scale;
            }
        }
        error
    }

    /// The squared errors with the scales that [`BinaryRow::fit_scales`] found for `row`, each times its column's
    /// importance.
    pub(super) fn weighted_error(&self, row: &[f32], importance: &[f32]) -> f64 {
        let group = self.group();
        let mut total = 0.0;
        for (g, (values, importance)) in row.chunks(group).zip(importance.chunks(group)).enumerate() {
            let scales = self.scales_of(g);
            if scales.len() <= 2 {
                total += Split::of(&scales).weighted_error(values, importance);
                continue;
            }
            let levels = levels(&scales);
            for ((value, importance), pattern) in
                values.iter().zip(importance).zip(&self.patterns[g * group..])
            {
                let error = f64::from(*value) - f64::from(levels[usize::from(*pattern)]);
                total += error * error * f64::from(*importance);
            }
        }
        total
    }

    /// Codes `row`.
    pub(super) fn fit(&mut self, row: &[f32]) {
        self.fit_scales(row);
        if self.settings.bases <= 2 {
            let group = self.group();
            for (g, values) in row.chunks(group).enumerate() {
                let split = Split::of(&self.scales_of(g));
                let patterns = self.patterns[g * group..].iter_mut();
                patterns.zip(values).for_each(|(pattern, value)| *pattern = split.pattern(*value));
            }
        }
        self.write_patterns();
    }

    fn write_patterns(&mut self) {
        for b in 0..self.settings.bases {
            let sign = &mut self.sign[b * self.words..][..self.words];
            for (word, patterns) in sign.iter_mut().zip(self.patterns.chunks(bits::WORD_COLUMNS)) {
                *word = bits::sign_word(patterns.iter().map(|pattern| pattern >> b & 1 == 1));
            }
        }
    }
}
