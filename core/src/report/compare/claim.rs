//! How far a copy that was inspected here bears out what a report claims of it.
//!
//! Three answers, which are never merged: whether both are the same bytes, which figures agree, and what is claimed and
//! was not measured here. Only what was measured can be confirmed.

use super::{Figure, Line, PERPLEXITY, SHA256, figures, gates, layers, tensors, weights};
use crate::report::words::{self, plural};
use crate::report::{ArtifactSummary, Outcome, Report, Verdict};

/// How far one figure of a claim is borne out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Finding {
    Agrees,
    Differs,
    /// Claimed, and not measured here.
    NotMeasured,
    /// Measured here, and not claimed.
    NotClaimed,
}

impl Line {
    /// How far the right figure, which was measured here, bears out the left one.
    pub fn finding(&self) -> Finding {
        match [&self.left, &self.right] {
            [None, _] => Finding::NotClaimed,
            [Some(claimed), Some(found)] if claimed == found => Finding::Agrees,
            // Here it was not judged, so nothing is known against it either.
            [_, None | Some(Figure::Gate(Outcome::NotRun, ..) | Figure::Verdict(Verdict::Inconclusive))] => {
                Finding::NotMeasured
            }
            _ => Finding::Differs,
        }
    }
}

/// One of the answers in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// A pass where the claim is confirmed, a fail where it is contradicted, and else not run.
    pub outcome: Outcome,
    /// The answer.
    pub answer: String,
    /// What it is about, or nothing.
    pub particulars: String,
}

/// The three answers about a claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Whether the copy has the bytes that the claim is about, as far as both reports tell.
    pub same_bytes: Option<bool>,
    /// How many figures of the claim the copy has, too; a list of layers, files, weights or tensors is one.
    pub agreeing: u64,
    /// What is another here.
    pub differing: Vec<String>,
    /// What is claimed and was not measured here, with the claimed figure.
    pub not_measured: Vec<(String, Figure)>,
}

impl Check {
    /// Holds a claim against the report of a copy that was inspected here.
    pub fn of(claim: &Report, copy: &Report) -> Self {
        let mut check = Self {
            same_bytes: same_bytes(&claim.artifact, &copy.artifact),
            agreeing: 0,
            differing: Vec::new(),
            not_measured: Vec::new(),
        };
        for line in figures(claim, copy) {
            let finding = line.finding();
            // Two hashes are the first answer.
            if let Some(claimed) = line.left
                && (line.what != SHA256 || finding == Finding::NotMeasured)
            {
                check.count(&line.what, finding, claimed);
            }
        }
        check.count_limits(claim, copy);
        check.count_lists(claim, copy);
        check
    }

    fn count(&mut self, what: &str, finding: Finding, claimed: Figure) {
        match finding {
            Finding::Agrees => self.agreeing += 1,
            Finding::Differs => self.differing.push(what.to_owned()),
            Finding::NotMeasured => self.not_measured.push((what.to_owned(), claimed)),
            Finding::NotClaimed => {}
        }
    }

    /// The limits of gates that ran on both sides; an agreement of theirs is no figure of its own. Margins of different
    /// figures differ anyhow.
    fn count_limits(&mut self, claim: &Report, copy: &Report) {
        for pair in gates(claim, copy) {
            if let [Some(claimed), Some(found)] = pair
                && claimed.outcome != Outcome::NotRun
                && found.outcome != Outcome::NotRun
                && (claimed.wanted != found.wanted
                    || claimed.got == found.got && claimed.margin != found.margin)
            {
                self.differing.push(format!("limit of: {}", claimed.title));
            }
        }
    }

    /// What reports list: each list is one figure.
    fn count_lists(&mut self, claim: &Report, copy: &Report) {
        let values =
            |report: &Report| report.layers.iter().filter(|layer| layer.values.is_some()).count() as u64;
        let layers = (!copy.layers.is_empty()).then(|| layers(claim, copy).is_empty());
        self.count_list("layers", claim.layers.len() as u64, layers);
        if values(copy) == 0 {
            self.count_list("values by layer", values(claim), None);
        }
        let found = &copy.artifact.members;
        let files = (!found.is_empty()).then(|| have_same_files(&claim.artifact, &copy.artifact));
        self.count_list("files", claim.artifact.members.len() as u64, files);
        let weights = weights(claim, copy).map(|pairs| pairs.is_empty());
        self.count_list("weights", claim.weights.len() as u64, weights);
        let tensors = tensors(claim, copy).map(|pairs| pairs.is_empty());
        self.count_list("hashes of tensors", claim.tensors.iter().flatten().count() as u64, tensors);
        let manifest = copy.manifest.as_ref().map(|found| claim.manifest.as_ref() == Some(found));
        self.count_list("required weights", claim.manifest.as_ref().map_or(0, |m| m.expected), manifest);
    }

    /// A list of so many entries, and whether the copy's is the same, if it has one.
    fn count_list(&mut self, what: &str, claimed: u64, agrees: Option<bool>) {
        let finding = match agrees {
            _ if claimed == 0 => Finding::NotClaimed,
            None => Finding::NotMeasured,
            Some(true) => Finding::Agrees,
            Some(false) => Finding::Differs,
        };
        self.count(what, finding, Figure::Count(claimed, ""));
    }

    /// The three answers in words; the third only where something was not measured here.
    pub fn answers(&self) -> Vec<Answer> {
        [Some(self.bytes()), Some(self.figures()), self.unmeasured()].into_iter().flatten().collect()
    }

    fn bytes(&self) -> Answer {
        let (outcome, answer, particulars) = match self.same_bytes {
            Some(true) => (Outcome::Pass, "Same bytes", "your copy has the claimed hash"),
            Some(false) => (Outcome::Fail, "Other bytes", "your copy is not the claimed file"),
            None => (Outcome::NotRun, "Maybe other bytes", "one of the two has no hash"),
        };
        Answer { outcome, answer: answer.into(), particulars: particulars.into() }
    }

    fn figures(&self) -> Answer {
        let differing = self.differing.len() as u64;
        let all = plural(self.agreeing + differing, "figure");
        let (outcome, answer) = match (self.agreeing, differing) {
            (0, 0) => (Outcome::NotRun, "No figure was compared".to_owned()),
            (1, 0) => (Outcome::Pass, "1 figure agrees".to_owned()),
            (_, 0) => (Outcome::Pass, format!("{all} agree")),
            (_, 1) => (Outcome::Fail, format!("1 of {all} differs")),
            _ => (Outcome::Fail, format!("{differing} of {all} differ")),
        };
        Answer { outcome, answer, particulars: self.differing.join(", ") }
    }

    fn unmeasured(&self) -> Option<Answer> {
        let claimed = self.not_measured.iter();
        let claimed = claimed.map(|(what, claimed)| format!("{what} {}", words::figure(claimed)));
        let mut particulars = claimed.collect::<Vec<_>>().join(", ");
        if self.not_measured.iter().any(|(what, _)| what == PERPLEXITY) {
            particulars.push_str("; `bitgauge eval` measures a perplexity");
        }
        let answer = "Claimed, not measured here".to_owned();
        (!particulars.is_empty()).then_some(Answer { outcome: Outcome::NotRun, answer, particulars })
    }
}

/// Whether two artifacts are the same bytes, by their hashes or by those of all their files.
pub fn same_bytes(claimed: &ArtifactSummary, found: &ArtifactSummary) -> Option<bool> {
    if let (Some(claimed), Some(found)) = (&claimed.sha256, &found.sha256) {
        return Some(claimed == found);
    }
    if claimed.kind == found.kind && claimed.size_bytes != found.size_bytes {
        return Some(false);
    }
    // A folder is its files; an archive is more than those.
    let is_hashed = |artifact: &ArtifactSummary| {
        artifact.kind == crate::container::ContainerKind::Folder
            && !artifact.members.is_empty()
            && artifact.members.iter().all(|member| member.sha256.is_some())
    };
    (is_hashed(claimed) && is_hashed(found)).then(|| have_same_files(claimed, found))
}

/// Whether both list the same files, as far as those are hashed on both sides.
fn have_same_files(claimed: &ArtifactSummary, found: &ArtifactSummary) -> bool {
    claimed.members.len() == found.members.len()
        && claimed.members.iter().zip(&found.members).all(|(claimed, found)| {
            (&claimed.name, claimed.bytes, claimed.stored_bytes, &claimed.metadata)
                == (&found.name, found.bytes, found.stored_bytes, &found.metadata)
                && (claimed.sha256.is_none() || found.sha256.is_none() || claimed.sha256 == found.sha256)
        })
}
