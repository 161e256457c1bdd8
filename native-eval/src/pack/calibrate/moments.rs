//! Keeps moments on disk: those of a large model are larger than its largest weight.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::super::quantize::{Feedback, Moments};
use bitgauge_core::Result;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::pack::target::write_error;

/// Rows of a block of moments that one thread adds to.
const STRIPE_ROWS: usize = 64;

/// Which moments there are.
#[derive(Default, Serialize, Deserialize)]
struct Sets {
    /// Columns of each set of moments.
    cols: Vec<usize>,
    /// Which set a weight has; weights of the same input share one.
    by_weight: HashMap<String, usize>,
    /// Weights with one row per token.
    token_rows: HashSet<String>,
}

/// The moments of all weights' inputs, in files of one folder.
pub(crate) struct MomentStore {
    folder: PathBuf,
    sets: Sets,
    /// Part of the mean moment that is added to each.
    damping: f64,
    /// Whether the inputs of all weights count alike.
    is_levelled: bool,
    /// How often each token is expected, 1 on average.
    tokens: Vec<f32>,
    /// The set used last.
    feedback: Option<(usize, Feedback)>,
}

impl MomentStore {
    /// An empty store. The folder is made when something is put into it.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            sets: Sets::default(),
            damping: 1.0,
            is_levelled: false,
            tokens: Vec::new(),
            feedback: None,
        }
    }

    /// Whether all moments are here from before. If they are not, begins anew.
    pub(super) fn resume(&mut self) -> Result<bool> {
        let known = fs::read(self.list()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(sets) = known {
            self.sets = sets;
            return Ok(true);
        }
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(|error| write_error(&self.folder, &error))?;
        }
        Ok(false)
    }

    /// Notes that all moments are here and on disk.
    pub(super) fn finish(&self) -> Result<()> {
        let (list, partial) = (self.list(), self.folder.join("partial"));
        let write = || {
            (0..self.sets.cols.len()).try_for_each(|set| fs::File::open(self.path(set))?.sync_all())?;
            fs::write(&partial, serde_json::to_vec(&self.sets)?).and_then(|()| fs::rename(&partial, &list))
        };
        write().map_err(|error| write_error(&list, &error))
    }

    fn list(&self) -> PathBuf {
        self.folder.join("sets.json")
    }

    fn path(&self, set: usize) -> PathBuf {
        self.folder.join(format!("{set}.f32"))
    }

    /// Which set a weight has.
    pub(super) fn set_of(&self, weight: &str) -> Option<usize> {
        self.sets.by_weight.get(weight).copied()
    }

    /// Lets a weight share a set.
    pub(super) fn share(&mut self, weight: &str, set: usize) {
        self.sets.by_weight.insert(weight.to_owned(), set);
    }

    /// Adds inputs `[T, cols]` to the set of `weight`, which is new or has as many columns.
    pub(super) fn add(&mut self, weight: &str, cols: usize, inputs: &[f32]) -> Result<usize> {
        let known = self.set_of(weight);
        let (set, mut moments) = match known {
            Some(set) => (set, self.read(set)?),
            None => (self.sets.cols.len(), Moments::new(cols)),
        };
        for (columns, block) in moments.blocks_mut() {
            let width = columns.len();
            block.par_chunks_mut(STRIPE_ROWS * width).enumerate().for_each(|(stripe, rows)| {
                Moments::add(rows, columns.clone(), stripe * STRIPE_ROWS, inputs, cols);
            });
        }
        let path = self.path(set);
        let write = |path: &Path| {
            fs::create_dir_all(&self.folder)?;
            fs::write(path, bytemuck::cast_slice(moments.values()))
        };
        write(&path).map_err(|error| write_error(&path, &error))?;
        if known.is_none() {
            self.sets.cols.push(cols);
            self.share(weight, set);
        }
        Ok(set)
    }

    fn read(&self, set: usize) -> Result<Moments> {
        let path = self.path(set);
        let bytes = fs::read(&path).map_err(|error| write_error(&path, &error))?;
        Moments::from_values(self.sets.cols[set], bytemuck::pod_collect_to_vec(&bytes))
    }

    /// Sets how often each token is expected, and how little the moments are believed.
    pub(super) fn weigh(&mut self, tokens: Vec<f32>, damping: f64) {
        (self.tokens, self.damping) = (tokens, damping);
    }

    /// Lets the inputs of all weights count alike, whatever their size: [`MomentStore::importance`] is 1 on average.
    pub(crate) fn level(&mut self) {
        self.is_levelled = true;
    }

    /// Says that a weight has one row per token.
    pub(super) fn has_token_rows(&mut self, weight: &str) {
        self.sets.token_rows.insert(weight.to_owned());
    }

    /// How much each row of a weight counts, where not all count the same.
    pub(crate) fn row_importance(&self, weight: &str) -> Option<&[f32]> {
        self.sets.token_rows.contains(weight).then_some(&self.tokens)
    }

    /// How much each column of a weight counts, if that is known.
    pub(crate) fn importance(&self, weight: &str) -> Result<Option<Vec<f32>>> {
        let Some(set) = self.set_of(weight) else { return Ok(None) };
        let mut importance = self.read(set)?.importance();
        let mean = importance.iter().copied().map(f64::from).sum::<f64>() / importance.len().max(1) as f64;
        if self.is_levelled && mean > 0.0 {
            importance.iter_mut().for_each(|moment| *moment = (f64::from(*moment) / mean) as f32);
        }
        Ok(Some(importance))
    }

    /// The error feedback of a weight, if the moments of its inputs are known.
    pub(crate) fn feedback(&mut self, weight: &str) -> Result<Option<&Feedback>> {
        let Some(set) = self.set_of(weight) else { return Ok(None) };
        if self.feedback.as_ref().is_none_or(|(cached, _)| *cached != set) {
            self.feedback = None;
            let feedback = self.read(set)?.feedback(self.damping);
            self.feedback = Some((set, feedback.map_err(|error| error.within(weight))?));
        }
        Ok(self.feedback.as_ref().map(|(_, feedback)| feedback))
    }
}
