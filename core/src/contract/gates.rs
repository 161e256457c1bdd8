//! The gates, in the validator's order: what the artifact has, what the rule allows, what is left.

use super::Rules;
use super::rule_set::{Limits, PARAMETER_COUNT_MULTIPLIER, REFERENCE_PARAMETERS};
use crate::accounting::Accounting;
use crate::inventory::Inventory;
use crate::loading;
use crate::report::words::count;
use crate::report::{Gate, Outcome, Unit};
use crate::scan::Findings;

/// Most names that one gate lists.
const NAMES_LISTED: usize = 8;

/// What is known when the gates are judged.
pub struct Evidence<'a> {
    /// What the artifact holds.
    pub inventory: &'a Inventory<'a>,
    /// Where its bits go.
    pub accounting: &'a Accounting,
    /// What a complete pass over the payload found, which also proves it valid.
    pub findings: Option<&'a Findings>,
}

/// Judges every gate under the limits of these rules, in the validator's order.
pub fn judge(evidence: &Evidence, rules: Rules) -> Vec<Gate> {
    let limits = &rules.limits();
    vec![
        artifact_size(evidence, limits),
        loadable(evidence),
        tensors(evidence),
        shapes(evidence),
        payload(evidence),
        parameter_count(evidence),
        model_budget(evidence, limits),
        non_binary(evidence, limits),
    ]
}

/// A gate that holds `got` against the upper limit `wanted`.
pub(super) fn at_most(id: &'static str, title: &'static str, unit: Unit, got: u64, wanted: u64) -> Gate {
    let margin = i128::from(wanted) - i128::from(got);
    Gate {
        id: id.into(),
        title: title.into(),
        outcome: if got <= wanted { Outcome::Pass } else { Outcome::Fail },
        got: Some(got),
        wanted: Some(wanted),
        margin: i64::try_from(margin).ok(),
        unit,
        rule: String::new(),
        details: Vec::new(),
        hint: None,
    }
}

/// A gate that could not be judged, and why.
pub(super) fn not_run(id: &'static str, title: &'static str, unit: Unit, why: impl Into<String>) -> Gate {
    Gate {
        id: id.into(),
        title: title.into(),
        outcome: Outcome::NotRun,
        got: None,
        wanted: None,
        margin: None,
        unit,
        rule: String::new(),
        details: vec![why.into()],
        hint: None,
    }
}

impl Gate {
    pub(super) fn rule(mut self, rule: impl Into<String>) -> Self {
        self.rule = rule.into();
        self
    }

    pub(super) fn details(mut self, details: Vec<String>) -> Self {
        self.details.extend(details);
        self
    }

    /// Sets the hint, which only a gate that failed shows.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if self.outcome == Outcome::Fail {
            self.hint = Some(hint.into());
        }
        self
    }
}

fn artifact_size(evidence: &Evidence, limits: &Limits) -> Gate {
    let limit = limits.max_artifact_bits(REFERENCE_PARAMETERS);
    let got = evidence.inventory.artifact.size_bytes;
    at_most("artifact_size", "size under the reference budget", Unit::Bytes, got, limit / 8)
        .rule(format!(
            "at most {} bits ({} × {}): the archive on disk, or the sum of a folder's files",
            count(limit),
            count(REFERENCE_PARAMETERS),
            limits.bits_per_parameter()
        ))
        .hint("use fewer bases, fewer rescue rows or one scale per row")
}

/// Counts things that make the model unloadable; none is wanted.
fn loadable(evidence: &Evidence) -> Gate {
    let inventory = evidence.inventory;
    let transformers = inventory.config.as_ref().map(|config| config.transformers).unwrap_or_default();
    let faults = loading::faults(inventory);
    let (id, title) = ("loadable", "loads as a model");
    let mut doubts: Vec<String> = inventory.opaque.iter().cloned().collect();
    if doubts.is_empty() {
        doubts = loading::doubts(inventory, evidence.findings);
    }
    let mut gate = at_most(id, title, Unit::Files, faults.len() as u64, 0);
    if faults.is_empty() && !doubts.is_empty() {
        gate = not_run(id, title, Unit::Files, doubts.remove(0)).details(doubts);
    }
    gate.details(faults)
        .rule(format!(
            "a Hugging Face folder, .zip or tar archive with config.json and weights that transformers {} can load; \
             packed weights need the code that unpacks them",
            transformers.name()
        ))
        .hint("pack a dense model folder with `bitgauge pack`, or check what the named code does")
}

fn tensors(evidence: &Evidence) -> Gate {
    let inventory = evidence.inventory;
    let (id, title) = ("tensors", "every weight once");
    let mut names = Vec::new();
    for (what, list) in [
        ("missing", &inventory.missing),
        ("unknown", &inventory.unknown),
        ("stored twice", &inventory.doubled),
    ] {
        list_names(&mut names, what, list);
    }
    let gate = if let Some(why) = &inventory.opaque {
        not_run(id, title, Unit::Tensors, why.clone())
    } else if inventory.manifest.is_none() {
        not_run(id, title, Unit::Tensors, "without config.json the expected weights are not known")
    } else {
        let faults = inventory.missing.len() + inventory.unknown.len() + inventory.doubled.len();
        at_most(id, title, Unit::Tensors, faults as u64, 0)
    };
    gate.details(names)
        .rule("each weight of the architecture is stored once, packed or not, and nothing else is")
        .hint("remove what the text decoder does not use (mtp.*, model.visual.*), add what is missing")
}

fn list_names(into: &mut Vec<String>, what: &str, names: &[String]) {
    into.extend(names.iter().take(NAMES_LISTED).map(|name| format!("{what}: {name}")));
    if names.len() > NAMES_LISTED {
        into.push(format!("{what}: and {} more", names.len() - NAMES_LISTED));
    }
}

fn shapes(evidence: &Evidence) -> Gate {
    let inventory = evidence.inventory;
    let (id, title) = ("shapes", "shapes fit config.json");
    let gate = match (&inventory.opaque, &inventory.manifest) {
        (Some(why), _) => not_run(id, title, Unit::Tensors, why.clone()),
        (None, None) => {
            not_run(id, title, Unit::Tensors, "without config.json the expected shapes are not known")
        }
        _ => at_most(id, title, Unit::Tensors, inventory.misshapen.len() as u64, 0),
    };
    let misfits = inventory.misshapen.iter().take(NAMES_LISTED);
    gate.details(
        misfits.map(|e| format!("{}: expected {}, found {}", e.place, e.expected, e.found)).collect(),
    )
    .rule("every stored shape is the one that the architecture has for this config.json")
    .hint("config.json and the weights come from different models, or the packer is wrong")
}

fn payload(evidence: &Evidence) -> Gate {
    let (id, title) = ("payload", "codes and scales are valid");
    let gate = if evidence.inventory.opaque.is_some() || evidence.inventory.manifest.is_none() {
        not_run(id, title, Unit::Tensors, "the meaning of the tensors is not known")
    } else if evidence.findings.is_some() {
        at_most(id, title, Unit::Tensors, 0, 0)
    } else {
        not_run(id, title, Unit::Tensors, "only the headers were read, not the weights")
    };
    gate.rule("rescue codes -7..7, scales positive finite fp16 numbers, row numbers in order, padding zero")
}

fn parameter_count(evidence: &Evidence) -> Gate {
    let limit = PARAMETER_COUNT_MULTIPLIER * REFERENCE_PARAMETERS;
    let (id, title) = ("parameter_count", "parameter count");
    let gate = match evidence.inventory.parameters() {
        Some(parameters) => at_most(id, title, Unit::Parameters, parameters, limit),
        None => not_run(id, title, Unit::Parameters, "the loaded model's parameters are not known"),
    };
    gate.rule(format!(
        "at most {PARAMETER_COUNT_MULTIPLIER} × {}; \
         logical parameters of the loaded model, a tied head counted once",
        count(REFERENCE_PARAMETERS)
    ))
}

fn model_budget(evidence: &Evidence, limits: &Limits) -> Gate {
    let (id, title) = ("model_budget", "size under the model's own budget");
    let Some(parameters) = evidence.inventory.parameters() else {
        return not_run(id, title, Unit::Bytes, "the loaded model's parameters are not known")
            .rule(format!("at most parameters × {} bits", limits.bits_per_parameter()));
    };
    let limit = limits.max_artifact_bits(parameters);
    let got = evidence.inventory.artifact.size_bytes;
    let hint = match evidence.inventory.quant_method() {
        None => "a dense checkpoint, not packed yet: `bitgauge pack` makes an artifact of it",
        Some(_) => "use fewer bases, fewer rescue rows, one scale per row, or leave fewer tensors unpacked",
    };
    at_most(id, title, Unit::Bytes, got, limit / 8)
        .rule(format!(
            "at most {} bits ({} × {})",
            count(limit),
            count(parameters),
            limits.bits_per_parameter()
        ))
        .hint(hint)
}

fn non_binary(evidence: &Evidence, limits: &Limits) -> Gate {
    let (id, title) = ("non_binary", "non-binary fraction");
    let Some(parameters) = evidence.inventory.logical_parameters() else {
        return not_run(id, title, Unit::Parameters, "the loaded model's parameters are not known")
            .rule("at most 10 % of the parameters in rescue rows or unpacked tensors");
    };
    let (rescue, unpacked) = (evidence.accounting.rescue_parameters, evidence.accounting.unpacked_parameters);
    let two_valued =
        evidence.findings.map_or(0, |findings| evidence.inventory.two_valued(&findings.two_valued));
    let limit = limits.max_non_native(parameters);
    let rule = format!(
        "at most 10 % of {} parameters in rescue rows or unpacked tensors; a rule of the task's text, which the \
         validator's direct run does not check",
        count(parameters)
    );
    if evidence.findings.is_none() && rescue <= limit && rescue + unpacked > limit {
        let why =
            "whether unpacked weights hold two values, and count as binary, shows only when they are read";
        return not_run(id, title, Unit::Parameters, why).rule(rule);
    }
    let mut details =
        vec![format!("{} in rescue rows, {} in unpacked tensors", count(rescue), count(unpacked))];
    if two_valued > 0 {
        details.push(format!(
            "{} of those hold two values in every group of 128 columns, and count as binary: the gate stands on \
             the values, not on how they are stored",
            count(two_valued)
        ));
    }
    at_most(id, title, Unit::Parameters, rescue + unpacked - two_valued, limit)
        .details(details)
        .rule(rule)
        .hint("rescue fewer rows, pack the matrices that are still dense")
}
