//! `bitgauge submission`: what a submission says, written to a file.

use std::path::PathBuf;

use bitgauge_core::report::words;
use native_eval::{Access, OutputFile, Submission, Verified, check_address, check_patch, input};

use super::args::{Format, SubmissionOptions};
use super::print::{eprintln, print, println};
use super::{Exit, Failure, output, subject, text};

/// Longest patch that is read, so that a longer one is told by its length.
const PATCH_BYTES: u64 = 16 << 20;

/// Writes the body of a submission, and of a claim if that is asked for.
pub fn run(options: &SubmissionOptions, format: Format) -> Result<Exit, Failure> {
    let mut taken = vec![PathBuf::from(&options.report)];
    taken.extend(options.patch.clone());
    let out = OutputFile::check(&options.out, &taken)?;
    taken.push(options.out.clone());
    let claim = output::check_file(options.claim.as_deref(), &taken)?;
    let Some(report) = subject::written(&options.report, Access::default())? else {
        let name = options.report.to_string_lossy();
        return Err(Failure(format!(
            "{name} is neither a report nor a link\n  hint:     `bitgauge eval ARTIFACT --documents D --report FILE` \
             writes a report"
        )));
    };
    let warning = check_address(&options.uri)?;
    let patch = options.patch.as_deref().map(|path| {
        let bytes = input::read_bytes(path, "the patch", PATCH_BYTES);
        bytes.and_then(|bytes| check_patch(bytes, report.pack)).map_err(|error| error.within(path.display()))
    });
    let submission = Submission::new(&report, &options.uri, options.summary.as_deref(), patch.transpose()?)?;
    let verified = options.verify.then(|| submission.verify(options.uri.as_str())).transpose()?;
    if let Some(warning) = warning {
        eprintln!("{}: {warning}", text::unsure("warning"));
    }
    let json = json(&submission)?;
    out.write(json.as_bytes())?;
    if let Some(claim) = &claim {
        claim
            .write(self::json(&serde_json::json!({ "claim_description": submission.summary }))?.as_bytes())?;
    }
    match format {
        Format::Json => print!("{json}"),
        Format::Quiet => println!("{}", options.out.display()),
        Format::Human => print_for_people(options, &submission, verified),
    }
    Ok(Exit::Done)
}

fn json(body: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(body)? + "\n")
}

fn print_for_people(options: &SubmissionOptions, submission: &Submission, verified: Option<Verified>) {
    let metrics = &submission.claimed_metrics;
    println!("{}  {}", text::heading("submission"), options.out.display());
    println!("  artifact     {}", submission.artifact_uri);
    println!("  sha256       {}", submission.artifact_sha256);
    println!("  size         {}", words::plural(submission.artifact_size_bytes, "byte"));
    println!("  heldout_ppl  {:.4}", metrics.heldout_ppl);
    println!("  parameters   {}", words::count(metrics.parameter_count));
    if let Some(Verified { size, hash }) = verified {
        let said = |is: bool| if is { "agrees" } else { "the host does not tell it" };
        println!("  the host     size {}, hash {}", said(size), said(hash));
    }
    println!("\n{}", text::heading("Next"));
    println!(
        "  Nothing was sent. A claim goes to POST /api/v1/tasks/TASK_ID/claim, then this file with the claim's id"
    );
    println!(
        "  (claim_id) and the task's base_ref to POST /api/v1/submissions. Both need the headers X-Hotkey,"
    );
    println!(
        "  X-Timestamp and X-Signature, which the signer that holds your hotkey must add; bitgauge holds no key."
    );
}
