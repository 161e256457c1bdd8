//! What is looked at in the bytes of each tensor as they pass by.

use std::collections::VecDeque;

use crate::container::{Artifact, TensorEntry};
use crate::format::layouts::{Piece, Run, Scale};
use crate::format::{Elements, FiniteCheck, Form, PayloadCheck, TwoValues};
use crate::inventory::{Inventory, Stored, Weight};
use crate::tensor::Dtype;
use crate::{Result, order};

/// The payload check of one tensor and its range within the member's uncompressed bytes.
pub(super) struct TensorCheck {
    pub start: u64,
    pub end: u64,
    pub check: Check,
    /// Index into [`Inventory::weights`].
    pub weight: usize,
}

/// What is looked at in a tensor's bytes.
pub(super) enum Check {
    Payload(Box<PayloadCheck>),
    Finite(FiniteCheck),
    /// And whether they are finite, where they are floats.
    Values(TwoValues, Option<FiniteCheck>),
}

impl Check {
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Payload(check) => check.push(bytes),
            Self::Finite(check) => check.push(bytes),
            Self::Values(check, finite) => {
                check.push(bytes);
                finite.as_mut().map_or(Ok(()), |finite| finite.push(bytes))
            }
        }
    }
}

/// A check for each part of each packed weight and for the values of the others, by member, in the order of their offsets.
pub(super) fn tensor_checks(inventory: &Inventory) -> Vec<VecDeque<TensorCheck>> {
    let artifact = inventory.artifact;
    let mut by_member: Vec<Vec<TensorCheck>> = artifact.members.iter().map(|_| Vec::new()).collect();
    for (weight, stored) in inventory.weights.iter().enumerate() {
        let mut add = |index: usize, check: Check| {
            let tensor = &artifact.tensors[index];
            let (start, end) = (tensor.offset, tensor.offset + tensor.bytes);
            by_member[tensor.member].push(TensorCheck { start, end, check, weight });
        };
        match (&stored.stored, &stored.form) {
            (Stored::Bitpacked(layout), Form::Bitpacked { parts }) => {
                for (part, index) in parts.iter() {
                    let Some(index) = *index else { continue };
                    let name = &artifact.tensors[index].name;
                    add(index, Check::Payload(Box::new(PayloadCheck::new(name, part, layout))));
                }
            }
            (_, form) => {
                if let Some((index, elements)) = values_of(stored, form) {
                    let TensorEntry { name, dtype, .. } = &artifact.tensors[index];
                    add(index, Check::Values(TwoValues::new(elements), FiniteCheck::new(name, *dtype)));
                }
                for (index, dtype) in floats_of(artifact, stored, form) {
                    if let Some(check) = FiniteCheck::new(&artifact.tensors[index].name, dtype) {
                        add(index, Check::Finite(check));
                    }
                }
            }
        }
    }
    for checks in &mut by_member {
        order::sort_by_key(checks, |check| check.start);
    }
    by_member.into_iter().map(VecDeque::from).collect()
}

/// Where the values of a matrix lie that is not stored in binary form, if two of them can be told there.
fn values_of(weight: &Weight, form: &Form) -> Option<(usize, Elements)> {
    weight.expected.as_ref()?.matrix()?;
    match (&weight.stored, form) {
        (Stored::Plain { dtype, shape }, Form::Plain { index })
            if dtype.block_elements() == 1 && dtype.bytes() <= 4 =>
        {
            Some((*index, Elements::Rows { width: dtype.bytes(), columns: *shape.last()? }))
        }
        (Stored::Coded(coded), Form::Coded { pieces }) => {
            let elements = match (coded.bits(), coded.packing().words.run) {
                (2, Run::Blocks) => Elements::Quarters,
                (8, Run::Along) => Elements::Rows { width: 1, columns: coded.cols() },
                _ => return None,
            };
            Some((pieces.get(Piece::Codes)?, elements))
        }
        _ => None,
    }
}

/// The tensors whose floats must be finite, and what floats they are: all of a weight in another writer's format but its
/// codes, and what is no matrix. Those of a matrix are looked at with its values.
fn floats_of(artifact: &Artifact, weight: &Weight, form: &Form) -> Vec<(usize, Dtype)> {
    let mut floats = Vec::new();
    let Some(expected) = &weight.expected else { return floats };
    match (&weight.stored, form) {
        (Stored::Coded(coded), Form::Coded { pieces }) => {
            for &(piece, index) in pieces.0.iter().filter(|(piece, _)| *piece != Piece::Codes) {
                let dtype = match (piece, coded.packing().scale) {
                    (Piece::Scales, Scale::E8m0) => Dtype::F8E8M0,
                    (Piece::Scales, Scale::E4m3) => Dtype::F8E4M3,
                    _ => artifact.tensors[index].dtype,
                };
                floats.push((index, dtype));
            }
        }
        (Stored::Plain { dtype, .. }, &Form::Plain { index }) if expected.matrix().is_none() => {
            floats.push((index, *dtype));
        }
        _ => {}
    }
    floats
}
