//! From an artifact's structure, and if wanted its payload, to the report.

mod layers;

use crate::accounting::Accounting;
use crate::container::Artifact;
use crate::contract::{Evidence, Rules, judge};
use crate::format::layouts::Piece;
use crate::format::{Form, Part};
use crate::inventory::{Inventory, Stored, Weight};
use crate::loading;
use crate::model::Presence;
use crate::report::{
    ArtifactSummary, ManifestSummary, MemberSummary, MisshapenSummary, ModelSummary, Report, SCHEMA_VERSION,
    TensorSummary, Verdict, WeightSummary,
};
use crate::scan::Findings;
use crate::tensor::Dtype;

/// Builds the report. `findings` are those of a complete [`crate::scan::Scan`], which also proves
/// that the payload is valid; without them the payload gate counts as not run.
pub fn report(name: &str, inventory: &Inventory, rules: Rules, findings: Option<&Findings>) -> Report {
    let untied = findings.filter(|findings| findings.heads_differ).map(|_| inventory.untied());
    let inventory = untied.as_ref().unwrap_or(inventory);
    let accounting = Accounting::of(inventory);
    let evidence = Evidence { inventory, accounting: &accounting, findings };
    let gates = judge(&evidence, rules);
    Report {
        schema_version: SCHEMA_VERSION,
        bitgauge_version: env!("CARGO_PKG_VERSION").to_owned(),
        artifact: artifact_summary(name, inventory.artifact, findings),
        pack: rules,
        verdict: Verdict::of(&gates),
        gates,
        model: inventory.config.as_ref().map(|config| ModelSummary {
            model_type: config.model_type.clone(),
            parameters: inventory.parameters(),
            quant_method: inventory.quant_method().map(str::to_owned),
        }),
        accounting,
        layers: layers::summaries(inventory, findings),
        manifest: manifest(inventory),
        weights: inventory.weights.iter().map(|w| weight_summary(w, inventory)).collect(),
        tensors: findings.and_then(|findings| tensors(inventory.artifact, findings)),
        notes: notes(inventory),
        evaluation: None,
    }
}

fn artifact_summary(name: &str, artifact: &Artifact, findings: Option<&Findings>) -> ArtifactSummary {
    let member_hash = |index: usize| findings.and_then(|f| f.members.get(index).cloned().flatten());
    ArtifactSummary {
        name: name.to_owned(),
        kind: artifact.kind,
        size_bytes: artifact.size_bytes,
        sha256: findings.and_then(|f| f.file.clone()),
        source: None,
        members: (artifact.members.iter().enumerate())
            .map(|(index, member)| MemberSummary {
                name: member.name.clone(),
                bytes: member.bytes,
                stored_bytes: member.stored_bytes,
                sha256: member_hash(index),
                metadata: member
                    .header
                    .as_ref()
                    .and_then(|header| header.metadata.clone())
                    .unwrap_or_default(),
            })
            .collect(),
    }
}

fn weight_summary(weight: &Weight, inventory: &Inventory) -> WeightSummary {
    let stored = &weight.stored;
    WeightSummary {
        name: weight.name.clone(),
        form: form(stored),
        shape: stored.shape().unwrap_or_else(|| sign_shape(weight, inventory)),
        parameters: stored.parameters(),
        rescue_parameters: stored.rescue_parameters(),
        bits: stored.bits(),
    }
}

/// How a weight is stored, in a few words.
fn form(stored: &Stored) -> String {
    match stored {
        Stored::Bitpacked(layout) => match (layout.bases(), layout.rescued()) {
            (0, _) => "q4".to_owned(),
            (1, 0) => "1-bit".to_owned(),
            (1, _) => "1-bit + q4 rows".to_owned(),
            (b, 0) => format!("{b} x 1-bit"),
            (b, _) => format!("{b} x 1-bit + q4 rows"),
        },
        Stored::Coded(coded) => format!("{} {}-bit", coded.scheme().name, coded.bits()),
        Stored::Plain { dtype, .. } => dtype.name().to_owned(),
        Stored::Misfit { .. } => "misfit".to_owned(),
    }
}

/// Every tensor with its hash, when there are hashes.
fn tensors(artifact: &Artifact, findings: &Findings) -> Option<Vec<TensorSummary>> {
    let hashed = artifact.tensors.iter().zip(&findings.tensors);
    let summaries = hashed.map(|(tensor, sha256)| TensorSummary {
        name: tensor.name.clone(),
        dtype: tensor.dtype.name().into(),
        shape: tensor.shape.clone(),
        bytes: tensor.bytes,
        sha256: sha256.clone(),
    });
    (!findings.tensors.is_empty()).then(|| summaries.collect())
}

/// What differs between what config.json asks for and what is stored.
fn manifest(inventory: &Inventory) -> Option<ManifestSummary> {
    let manifest = inventory.manifest.as_ref().filter(|_| inventory.opaque.is_none())?;
    let required = manifest.tensors().iter().filter(|tensor| tensor.presence == Presence::Required);
    let misshapen = inventory.misshapen.iter().map(|error| MisshapenSummary {
        name: error.place.clone(),
        expected: error.expected.clone(),
        found: error.found.clone(),
    });
    Some(ManifestSummary {
        expected: required.count() as u64,
        missing: inventory.missing.clone(),
        unknown: inventory.unknown.clone(),
        doubled: inventory.doubled.clone(),
        misshapen: misshapen.collect(),
    })
}

/// The stored shape of the first part, which is all that can be said of parts that do not fit.
fn sign_shape(weight: &Weight, inventory: &Inventory) -> Vec<u64> {
    match &weight.form {
        Form::Bitpacked { parts } => Part::ALL
            .into_iter()
            .find_map(|part| parts[part])
            .map_or_else(Vec::new, |index| inventory.artifact.tensors[index].shape.clone()),
        Form::Plain { index } => inventory.artifact.tensors[*index].shape.clone(),
        Form::Coded { pieces } => pieces
            .get(Piece::Codes)
            .map_or_else(Vec::new, |index| inventory.artifact.tensors[index].shape.clone()),
    }
}

/// What the gates do not say.
fn notes(inventory: &Inventory) -> Vec<String> {
    let mut notes = loading::notes(inventory);
    if !inventory.ignored.is_empty() {
        notes.push(format!(
            "{} tensors of the vision tower or of multi-token prediction are no part of the text decoder and \
             were passed over; `bitgauge pack` leaves them out.",
            inventory.ignored.len()
        ));
    }
    notes.extend(over_rescue(inventory));
    if inventory.weights.iter().any(|w| matches!(w.stored, Stored::Plain { dtype: Dtype::F32, .. })) {
        notes.push("Some tensors are stored as F32; F16 would take half the bytes.".into());
    }
    notes.push("The validator's direct mode applies no quality floor; perplexity alone ranks.".into());
    notes.push(
        "The validator trusts a declared artifact size without reading the file; this report counts the file."
            .into(),
    );
    notes
}

/// Which matrices of a GGUF file take more bits than the contract allows a rescue entry.
fn over_rescue(inventory: &Inventory) -> Option<String> {
    /// Names that the note lists.
    const LISTED: usize = 8;
    /// 4-bit codes and a 16-bit scale for 128 of them.
    const RESCUE_BITS: f64 = 4.125;
    if inventory.quant_method() != Some("gguf") {
        return None;
    }
    let over = inventory.weights.iter().filter_map(|weight| match &weight.stored {
        Stored::Plain { dtype, shape } if shape.len() == 2 && weight.expected.is_some() => {
            let block = dtype.block_elements();
            let bits = dtype.bits(block) as f64 / block as f64;
            (bits > RESCUE_BITS).then(|| format!("{} ({}, {bits} bits)", weight.name, dtype.name()))
        }
        _ => None,
    });
    let names: Vec<String> = over.collect();
    let more = names.len().saturating_sub(LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| {
        format!(
            "The contract allows a rescue entry {RESCUE_BITS} bits per parameter. Over that: {}{rest}.",
            names[..names.len() - more].join(", ")
        )
    })
}
