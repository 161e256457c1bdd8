//! Writes the weights of the packed model.

use std::path::Path;

use bitgauge_core::format::{Layout, Part, encode};
use bitgauge_core::{Bitpacked, Dense, Result};

use super::blocks;
use super::calibrate::MomentStore;
use super::exact;
use super::original::Original;
use super::plan::{Action, Plan, Planned, part_name};
use super::progress::Progress;
use super::quantize::{Fit, Settings, quantize_block};
use super::safetensors::Writer;
use super::target::write_error;
use super::work::Work;
use crate::source::Source;

/// Writes every tensor of the plan into one file.
pub(super) fn write(
    source: &mut Source,
    plan: &Plan,
    fit: Fit,
    path: &Path,
    (work, moments): (&mut Work, &mut MomentStore),
    progress: &mut Progress,
) -> Result<()> {
    let failed = |error| write_error(path, &error);
    let mut writer = if work.is_written(0) {
        Writer::resume(path, plan.output()).map_err(failed)?
    } else {
        Writer::create(path, plan.output()).map_err(failed)?
    };
    for (number, Planned { original, action, unreported }) in plan.tensors.iter().enumerate() {
        let name = &original.name;
        if work.is_written(number) {
            match action {
                Action::Keep(_) => writer.skip(name),
                Action::Pack { .. } | Action::Exact(_) | Action::Copy(_) => {
                    Part::ALL.into_iter().for_each(|part| writer.skip(&part_name(name, part)))
                }
            }
            progress.add_bytes(*unreported);
            continue;
        }
        match action {
            Action::Keep(_) => {
                let kept = original.kept(source, (&plan.model.0, plan.model.1))?;
                writer.write(name, 0, &kept.bytes).map_err(failed)?;
            }
            Action::Pack { layout, rescue_rows } => {
                let settings = Settings {
                    scale_group: layout.scale_group() as usize,
                    bases: layout.bases().max(1) as usize,
                    fit,
                };
                let feedback = moments.feedback(name)?;
                let code = |block: &Dense, first: usize, rescued: &[u32]| {
                    quantize_block(block, first, rescued, settings, feedback)
                };
                write_rows(source, original, (layout, rescue_rows), code, (&mut writer, path))?;
            }
            Action::Copy(layout) => {
                for part in Part::ALL.into_iter().filter(|&part| layout.has(part)) {
                    let bytes = original.part(source, part)?;
                    writer.write(&part_name(name, part), 0, &bytes).map_err(failed)?;
                }
            }
            Action::Exact(exact::Stored { layout, rescue_rows, .. }) => {
                let code =
                    |block: &Dense, first: usize, rescued: &[u32]| exact::code(block, first, rescued, layout);
                write_rows(source, original, (layout, rescue_rows), code, (&mut writer, path))?;
            }
        }
        writer.sync().map_err(failed)?;
        work.set_written()?;
        progress.add_bytes(*unreported);
    }
    writer.finish().map_err(failed)
}

/// Writes a weight some rows at a time, each coded by `code` from the rows, the number of the first, and those to be rescued.
fn write_rows(
    source: &mut Source,
    original: &Original,
    (layout, rescue_rows): (&Layout, &[u32]),
    code: impl Fn(&Dense, usize, &[u32]) -> Result<Bitpacked> + Sync,
    (writer, path): (&mut Writer, &Path),
) -> Result<()> {
    let mut cursor = Cursor::default();
    blocks::for_each(
        source,
        original,
        |block, first| code(&block, first, rows_between(rescue_rows, first, first + block.rows)),
        |rows| cursor.write(writer, &original.name, layout, &rows).map_err(|error| write_error(path, &error)),
    )
}

/// Those of the ascending `rows` from `first` on and before `end`.
fn rows_between(rows: &[u32], first: usize, end: usize) -> &[u32] {
    let before = |end: usize| rows.partition_point(|&row| (row as usize) < end);
    &rows[before(first)..before(end)]
}

/// How many rows of a packed weight are written.
#[derive(Default)]
struct Cursor {
    binary: u64,
    rescued: u64,
}

impl Cursor {
    /// Writes the next rows of a weight into its parts: binary rows once in each basis.
    fn write(
        &mut self,
        writer: &mut Writer,
        name: &str,
        layout: &Layout,
        rows: &Bitpacked,
    ) -> std::io::Result<()> {
        for (part, bytes) in encode(rows).iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let name = part_name(name, part);
            let (planes, before) =
                if part.is_binary() { (layout.bases(), self.binary) } else { (1, self.rescued) };
            let all_rows = if part.is_binary() { layout.binary_rows() } else { layout.rescued() };
            let row_bytes = layout.row_bytes(part);
            let plane_bytes = bytes.len() / planes as usize;
            for (plane, bytes) in (0..).zip(bytes.chunks(plane_bytes)) {
                writer.write(&name, (plane * all_rows + before) * row_bytes, bytes)?;
            }
        }
        self.binary += rows.layout.binary_rows();
        self.rescued += rows.layout.rescued();
        Ok(())
    }
}
