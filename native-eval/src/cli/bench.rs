//! `bitgauge bench`: how fast this device evaluates a model of a known shape.

use bitgauge_core::report::words;
use bitgauge_eval::{Backend, KernelTime, Task};
use native_eval::bench::{self, BenchOptions as Job, BenchResult, MatmulOptions, MatmulResult};

use super::args::{BenchOptions, Format, ProductSize};
use super::print::println;
use super::{Exit, Failure, device, progress, table, text};

/// Most tokens of all documents together.
const MAX_TOKENS: u64 = 1 << 26;

/// Runs one benchmark.
pub fn run(options: &BenchOptions, format: Format) -> Result<Exit, Failure> {
    if let Some(size) = options.matmul {
        return run_matmul(options, size, format);
    }
    let all_tokens = u64::from(options.documents) * u64::from(options.tokens);
    if all_tokens > MAX_TOKENS {
        return Err(Failure(format!(
            "--documents and --tokens are too many together\n  expected: at most {} tokens\n  found:    {}",
            words::count(MAX_TOKENS),
            words::count(all_tokens)
        )));
    }
    let mut job = Job::published(&options.shape).map_err(Failure)?;
    job.documents = options.documents as usize;
    job.artifact = options.artifact.clone();
    job.tokens = options.tokens as usize;
    job.tokens_in_flight = options.device.tokens_in_flight.map(|n| n as usize);
    if let Some(layers) = options.layers {
        job.cut(usize::from(layers));
    }
    let result = match options.profile {
        true => device::run_timed(&options.device, RunBench(&job))?,
        false => device::run(&options.device, RunBench(&job))?,
    };
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&result)?),
        Format::Quiet => println!("{:.3}", result.seconds),
        Format::Human => print(&result),
    }
    Ok(Exit::Done)
}

/// Times one product.
fn run_matmul(options: &BenchOptions, size: ProductSize, format: Format) -> Result<Exit, Failure> {
    let ProductSize([tokens, rows, columns]) = size;
    let (bases, rescue_fraction) = (usize::from(options.bases), options.rescue_fraction);
    let job = MatmulOptions { tokens, rows, columns, bases, rescue_fraction };
    let result = device::run_timed(&options.device, RunMatmul(job))?;
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&result)?),
        Format::Quiet => println!("{:.1}", result.tflop_per_second),
        Format::Human => print_matmul(&job, &result),
    }
    Ok(Exit::Done)
}

/// One product on a chosen backend.
struct RunMatmul(MatmulOptions);

impl Task for RunMatmul {
    type Output = Result<MatmulResult, Failure>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        Ok(bench::run_matmul(&self.0, backend)?)
    }
}

fn print_matmul(job: &MatmulOptions, result: &MatmulResult) {
    println!(
        "{} x {} x {}  random signs, {} bases, scale per 128, {:.1} % of the rows rescued",
        job.tokens,
        job.rows,
        job.columns,
        job.bases,
        100.0 * job.rescue_fraction
    );
    println!("  speed        {:.1} TFLOP/s, {}", result.tflop_per_second, result.precision);
    println!("  time         {:.3} ms, best {:.3} ms", 1e3 * result.seconds, 1e3 * result.best_seconds);
    println!("  conversion   {:.3} ms, of the activations", 1e3 * result.conversion_seconds.max(0.0));
    println!("  error        {:.1e} of the outputs' size, at most", result.largest_error);
    println!("  device       {}", result.device);
}

/// The benchmark on a chosen backend.
struct RunBench<'a>(&'a Job);

impl Task for RunBench<'_> {
    type Output = Result<BenchResult, Failure>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let bar = progress::steps("evaluating");
        let result = bench::run(self.0, backend, &mut |done, total| bar.set(done, total));
        bar.finish();
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
    if let Some(load) = &result.load {
        println!("  load         {:.2} s, from the artifact to weights in place", load.seconds);
        println!("  kernels      {:.2} s more until the last was compiled", load.kernels_seconds);
    }
    println!("  time         {:.2} s, weights in place", result.seconds);
    println!("  speed        {:.1} tokens/s", result.tokens_per_second);
    println!(
        "  arithmetic   {:.0} GFLOP, {:.1} GFLOP/s, {}",
        result.gflop, result.gflop_per_second, result.precision
    );
    if let (Some(peak), Some(share)) = (result.peak_gflop_per_second, result.share_of_peak) {
        println!("  FMA peak     {peak:.1} GFLOP/s in this run, {:.1} % of it reached", 100.0 * share);
    }
    if let Some(bytes) = result.peak_resident_bytes {
        println!("  peak memory  {} resident", words::bytes(bytes));
    }
    if let Some(bytes) = result.device_bytes {
        println!("  on the GPU   {} at most", words::bytes(bytes));
    }
    println!("  mean loss    {:.4} nats", result.mean_loss_nats);
    println!("  device       {}", result.device);
    if !result.kernels.is_empty() {
        println!();
        print_kernels(&result.kernels);
        if let Some(load) = &result.load {
            println!();
            let rows = load.parts.iter().map(|(part, seconds)| vec![part.clone(), format!("{seconds:.3} s")]);
            table::print(&table::table(&["loading; parts overlap", "time"], rows.collect(), 1));
        }
    }
}

/// Where the time of the device went.
fn print_kernels(kernels: &[KernelTime]) {
    let all: f64 = kernels.iter().map(|kernel| kernel.seconds).sum();
    let rows = kernels.iter().map(|kernel| {
        vec![
            kernel.kernel.clone(),
            kernel.dispatches.to_string(),
            format!("{:.2} ms", 1e3 * kernel.seconds),
            format!("{:.1} %", 100.0 * kernel.seconds / all),
            format!("{:.2}", kernel.flop / kernel.seconds / 1e12),
            format!("{:.0}", kernel.bytes / kernel.seconds / 1e9),
        ]
    });
    let heads = ["kernel", "dispatches", "time", "share", "TFLOP/s", "GB/s"];
    table::print_rows(&heads, rows.collect(), 1, 1);
    println!("  all kernels  {:.3} s", all);
}
