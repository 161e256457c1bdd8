//! `bitgauge bench`: how fast this device evaluates a model of a known shape.

use anstream::println;
use native_eval::bench::{self, BenchOptions as Job, BenchResult};
use native_eval::{Backend, Task};

use super::args::{BenchOptions, Format};
use super::{Exit, Failure, device, progress, text};

/// Runs one benchmark.
pub fn run(options: &BenchOptions, format: Format) -> Result<Exit, Failure> {
    let mut job = Job::published(&options.shape).map_err(Failure)?;
    job.documents = options.documents as usize;
    job.tokens = options.tokens as usize;
    job.tokens_in_flight = options.device.tokens_in_flight.map(|n| n as usize);
    if let Some(layers) = options.layers {
        job.cut(usize::from(layers));
    }
    let result = device::run(&options.device, RunBench(&job))?;
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&result)?),
        Format::Quiet => println!("{:.3}", result.seconds),
        Format::Human => print(&result),
    }
    Ok(Exit::Done)
}

/// The benchmark on a chosen backend.
struct RunBench<'a>(&'a Job);

impl Task for RunBench<'_> {
    type Output = Result<BenchResult, Failure>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let bar = progress::steps("evaluating", 0);
        let result = bench::run(self.0, backend, &mut |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        Ok(result?)
    }
}

fn print(result: &BenchResult) {
    println!(
        "{}  {} layers, random signs, scale per 128, {} documents x {} tokens",
        text::heading(&result.shape),
        result.layers,
        result.documents,
        result.tokens
    );
    println!("  time         {:.2} s, weights in place", result.seconds);
    println!("  speed        {:.1} tokens/s", result.tokens_per_second);
    println!("  arithmetic   {:.0} GFLOP, {:.1} GFLOP/s, f32", result.gflop, result.gflop_per_second);
    if let (Some(peak), Some(share)) = (result.peak_gflop_per_second, result.share_of_peak) {
        println!("  FMA peak     {peak:.1} GFLOP/s in this run, {:.1} % of it reached", 100.0 * share);
    }
    if let Some(bytes) = result.peak_resident_bytes {
        println!("  peak memory  {} resident", text::bytes(bytes));
    }
    println!("  mean loss    {:.4} nats", result.mean_loss_nats);
    println!("  device       {}", result.device);
}
