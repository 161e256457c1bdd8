//! Dispatches are recorded, then submitted in batches: few enough submissions that their overhead
//! vanishes, none so long that a driver's watchdog or a waiting user would object.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;

use bitgauge_core::{Error, ErrorKind};
use bitgauge_shaders::{Access, Codec, Kernel, compose};

use super::ShaderPatch;
use super::adapters::AdapterClass;
use super::device::Device;
use super::handle::{DeviceBuffer, Handle};
use super::products::Products;
use super::timing::{Cost, Timing};
use crate::backend::Result;
use crate::clock::Moment;

/// Bytes between two uniform blocks: the strictest alignment that WebGPU lets a device ask for.
const UNIFORM_STRIDE: u64 = 256;
/// Most dispatches of one submission.
const SUBMISSION_DISPATCHES: usize = 256;
/// Most submissions that are under way.
const SUBMISSIONS_IN_FLIGHT: usize = 4;
/// Most workgroups along one axis of a grid; every WebGPU device allows this many.
pub(super) const MAX_WORKGROUPS: usize = 65_535;

/// A range of a buffer that a kernel reads or writes.
#[derive(Clone, Copy)]
pub(super) struct BufferRange<'a> {
    pub buffer: &'a DeviceBuffer,
    pub offset: u64,
    pub bytes: u64,
}

impl DeviceBuffer {
    /// A whole buffer, to be bound.
    pub fn range(&self) -> BufferRange<'_> {
        BufferRange { buffer: self, offset: 0, bytes: self.buffer.size() }
    }
}

/// One dispatch.
pub(super) struct Dispatch<'a> {
    pub kernel: Kernel,
    /// The bytes of its uniform block.
    pub params: Vec<u8>,
    /// What follows the uniform block in group 0.
    pub ranges: &'a [BufferRange<'a>],
    /// Group 1.
    pub weights: Option<&'a wgpu::BindGroup>,
    /// Workgroups.
    pub grid: [usize; 3],
    /// Floating-point operations, about.
    pub flops: u64,
}

struct Recorded {
    kernel: Kernel,
    groups: Vec<wgpu::BindGroup>,
    grid: [u32; 3],
    cost: Cost,
}

struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    /// How long building it took, and when it was done.
    seconds: f64,
    done: Moment,
}

/// Records dispatches and submits them.
pub(super) struct Recorder {
    pipelines: HashMap<Kernel, Pipeline>,
    in_the_making: HashMap<Kernel, JoinHandle<Pipeline>>,
    /// When the first pipeline was asked for.
    begun: Option<Moment>,
    weight_layouts: HashMap<Codec, wgpu::BindGroupLayout>,
    uniforms: DeviceBuffer,
    uniform_bytes: Vec<u8>,
    recorded: Vec<Recorded>,
    flops: u64,
    in_flight: VecDeque<wgpu::SubmissionIndex>,
    patch: Option<ShaderPatch>,
    /// Where the time of each dispatch is summed up, if it is measured.
    pub timing: Option<Timing>,
    /// A buffer, until something that writes to it is recorded.
    unchanged: Option<wgpu::Buffer>,
    /// Most floating-point operations of one dispatch or submission.
    pub flops_limit: u64,
}

impl Recorder {
    /// A recorder without pipelines: they are built when they are first used. `timed` if it shall measure what each
    /// dispatch takes.
    pub fn new(device: &Device, patch: Option<ShaderPatch>, timed: bool) -> Result<Self> {
        let timing = timed.then(|| Timing::new(&device.handle, SUBMISSION_DISPATCHES)).transpose()?;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        Ok(Self {
            pipelines: HashMap::new(),
            in_the_making: HashMap::new(),
            begun: None,
            weight_layouts: HashMap::new(),
            uniforms: device.handle.create(UNIFORM_STRIDE * SUBMISSION_DISPATCHES as u64, usage)?,
            uniform_bytes: Vec::new(),
            recorded: Vec::new(),
            flops: 0,
            in_flight: VecDeque::new(),
            patch,
            timing,
            unchanged: None,
            flops_limit: flops_limit(device),
        })
    }

    /// Remembers a buffer until something that writes to it is recorded.
    pub fn watch(&mut self, buffer: &DeviceBuffer) {
        self.unchanged = Some(buffer.buffer.clone());
    }

    /// Whether this is the buffer that is remembered.
    pub fn is_unchanged(&self, buffer: &DeviceBuffer) -> bool {
        self.unchanged.as_ref() == Some(&buffer.buffer)
    }

    /// The layout of group 1 for weights stored this way.
    pub fn weight_layout(&mut self, handle: &Handle, codec: Codec) -> &wgpu::BindGroupLayout {
        self.weight_layouts.entry(codec).or_insert_with(|| group_layout(handle, codec.bindings()))
    }

    /// Records one dispatch, and submits what waits if that is enough.
    pub fn record(&mut self, device: &mut Device, dispatch: Dispatch<'_>) -> Result<()> {
        if dispatch.grid.contains(&0) {
            return Ok(());
        }
        if let Some(over) = dispatch.grid.iter().find(|n| **n > MAX_WORKGROUPS) {
            return Err(Error::new(ErrorKind::TooLarge, "too many workgroups along one axis")
                .within(dispatch.kernel.name())
                .expected_found(format!("at most {MAX_WORKGROUPS}"), over)
                .into());
        }
        if self.recorded.len() == SUBMISSION_DISPATCHES
            || self.flops.saturating_add(dispatch.flops) > self.flops_limit
        {
            self.flush(device)?;
        }
        self.build(device, dispatch.kernel)?;
        let after_uniform = dispatch.kernel.bindings().iter().skip(1);
        if dispatch
            .ranges
            .iter()
            .zip(after_uniform)
            .any(|(range, access)| *access == Access::Write && self.is_unchanged(range.buffer))
        {
            self.unchanged = None;
        }

        let offset = self.recorded.len() as u64 * UNIFORM_STRIDE;
        let params = &dispatch.params;
        self.uniform_bytes.resize(offset as usize, 0);
        self.uniform_bytes.extend_from_slice(params);
        let uniform = BufferRange { buffer: &self.uniforms, offset, bytes: params.len() as u64 };
        let layout = &self.pipelines[&dispatch.kernel].layout;
        let mut groups = vec![bind(&device.handle, layout, std::iter::once(&uniform).chain(dispatch.ranges))];
        groups.extend(dispatch.weights.cloned());
        let grid = dispatch.grid.map(|n| n as u32);
        let cost = Cost { flop: dispatch.flops, bytes: dispatch.ranges.iter().map(|r| r.bytes).sum() };
        self.recorded.push(Recorded { kernel: dispatch.kernel, groups, grid, cost });
        self.flops = self.flops.saturating_add(dispatch.flops);
        device.handle.check()
    }

    /// Submits what was recorded.
    pub fn flush(&mut self, device: &mut Device) -> Result<()> {
        if self.recorded.is_empty() {
            return Ok(());
        }
        device.submit_uploads();
        self.uniform_bytes.resize(self.uniform_bytes.len().next_multiple_of(4), 0);
        let submission = device.handle.call(|device, queue| {
            queue.write_buffer(&self.uniforms.buffer, 0, &self.uniform_bytes);
            queue.submit([self.commands(device)])
        });
        self.in_flight.push_back(submission);
        if let Some(timing) = &mut self.timing {
            timing.add(device, self.recorded.iter().map(|recorded| (recorded.kernel, recorded.cost)))?;
        }
        self.recorded.clear();
        self.uniform_bytes.clear();
        self.flops = 0;
        if self.in_flight.len() > SUBMISSIONS_IN_FLIGHT {
            let oldest = self.in_flight.pop_front();
            device.handle.wait(oldest)?;
        }
        device.handle.check()
    }

    /// The commands of what was recorded.
    fn commands(&self, device: &wgpu::Device) -> wgpu::CommandBuffer {
        let mut encoder = device.create_command_encoder(&Default::default());
        match &self.timing {
            None => {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                self.recorded.iter().for_each(|recorded| self.encode(&mut pass, recorded));
            }
            Some(timing) => {
                for (i, recorded) in (0..).zip(&self.recorded) {
                    let mut pass = encoder.begin_compute_pass(&timing.pass(i));
                    self.encode(&mut pass, recorded);
                }
                timing.resolve(&mut encoder, self.recorded.len() as u32);
            }
        }
        encoder.finish()
    }

    fn encode(&self, pass: &mut wgpu::ComputePass<'_>, recorded: &Recorded) {
        pass.set_pipeline(&self.pipelines[&recorded.kernel].pipeline);
        for (index, group) in recorded.groups.iter().enumerate() {
            pass.set_bind_group(index as u32, group, &[]);
        }
        let [x, y, z] = recorded.grid;
        pass.dispatch_workgroups(x, y, z);
    }

    /// Begins to build pipelines, so that they are ready when they are first used. A software driver
    /// has no time to spare for that.
    pub fn prepare(&mut self, device: &Device, kernels: impl IntoIterator<Item = Kernel>) -> Result<()> {
        if device.handle.info.is_software {
            return Ok(());
        }
        for kernel in kernels {
            if !self.pipelines.contains_key(&kernel) && !self.in_the_making.contains_key(&kernel) {
                let plan = self.plan(&device.handle, kernel)?;
                let handle = Arc::clone(&device.handle);
                let build = move || handle.call(|device, _| plan.build(device));
                // Where there is no room for a thread, it is built when it is first used.
                let building = std::thread::Builder::new().spawn(build).ok();
                self.in_the_making.extend(building.map(|thread| (kernel, thread)));
            }
        }
        Ok(())
    }

    fn build(&mut self, device: &Device, kernel: Kernel) -> Result<()> {
        if self.pipelines.contains_key(&kernel) {
            return Ok(());
        }
        let made = self.in_the_making.remove(&kernel).map(JoinHandle::join);
        let pipeline = match made {
            Some(Ok(pipeline)) => pipeline,
            Some(Err(_)) => {
                return Err(device.handle.error(&format!("building {} panicked", kernel.label())));
            }
            None => {
                let plan = self.plan(&device.handle, kernel)?;
                device.handle.call(|device, _| plan.build(device))
            }
        };
        device.handle.check()?;
        self.pipelines.insert(kernel, pipeline);
        Ok(())
    }

    /// Waits for the pipelines that are in the making.
    pub fn finish(&mut self, device: &Device) -> Result<()> {
        let kernels: Vec<_> = self.in_the_making.keys().copied().collect();
        kernels.into_iter().try_for_each(|kernel| self.build(device, kernel))
    }

    /// Each pipeline's kernel, the seconds it was built for, and those from the first being asked for until it
    /// was done; the last first.
    pub fn building_times(&self) -> Vec<(Kernel, [f64; 2])> {
        let since = |at: Moment| self.begun.map_or(0.0, |begun| begun.seconds_until(at));
        let mut times: Vec<_> =
            self.pipelines.iter().map(|(kernel, p)| (*kernel, [p.seconds, since(p.done)])).collect();
        times.sort_by(|(_, a), (_, b)| b[1].total_cmp(&a[1]));
        times
    }

    fn plan(&mut self, handle: &Handle, kernel: Kernel) -> Result<PipelinePlan> {
        self.begun.get_or_insert_with(Moment::now);
        let mut source = compose(kernel);
        if let Some(patch) = self.patch.as_ref().filter(|patch| patch.kernel == kernel) {
            source = patch.apply(&source)?;
        }
        let layout = group_layout(handle, kernel.bindings());
        let weights = kernel.codec().map(|codec| self.weight_layout(handle, codec).clone());
        Ok(PipelinePlan { kernel, source, layout, weights })
    }
}

/// What a pipeline is built from.
struct PipelinePlan {
    kernel: Kernel,
    source: String,
    layout: wgpu::BindGroupLayout,
    weights: Option<wgpu::BindGroupLayout>,
}

impl PipelinePlan {
    fn build(self, device: &wgpu::Device) -> Pipeline {
        let start = Moment::now();
        let Self { kernel, source, layout, weights } = self;
        let label = kernel.label();
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        };
        let module = if kernel.is_cooperative() {
            // SAFETY: without checks, indices must stay within the bindings. Rows, tiles and
            // columns are clamped to the last one there is, a matrix is stored only where its
            // first token and row are, and the host binds inputs and outputs whose rows and
            // columns have room for whole matrices (`GpuBuffer::block_range`, `COOPERATIVE_PART_ROWS`,
            // `SIGN_WORDS`).
            unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        } else {
            device.create_shader_module(descriptor)
        };
        let layouts: Vec<_> = std::iter::once(Some(&layout)).chain(weights.as_ref().map(Some)).collect();
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &layouts,
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        Pipeline { pipeline, layout, seconds: start.seconds(), done: Moment::now() }
    }
}

/// A few milliseconds on a fast GPU, half a second on a slow one, a second or two on a software driver.
fn flops_limit(device: &Device) -> u64 {
    let plain = match device.handle.info.class {
        AdapterClass::Discrete => 400_000_000_000,
        AdapterClass::Cpu => 20_000_000_000,
        _ => 50_000_000_000,
    };
    if device.products == Products::Cooperative { 8 * plain } else { plain }
}

fn group_layout(handle: &Handle, bindings: &[Access]) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = (0..)
        .zip(bindings)
        .map(|(binding, access)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match access {
                    Access::Uniform => wgpu::BufferBindingType::Uniform,
                    Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                    Access::Write => wgpu::BufferBindingType::Storage { read_only: false },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let descriptor = wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries };
    handle.call(|device, _| device.create_bind_group_layout(&descriptor))
}

/// A bind group of these ranges, in order.
pub(super) fn bind<'a>(
    handle: &Handle,
    layout: &wgpu::BindGroupLayout,
    ranges: impl IntoIterator<Item = &'a BufferRange<'a>>,
) -> wgpu::BindGroup {
    let entries: Vec<_> = (0..)
        .zip(ranges)
        .map(|(binding, range)| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: &range.buffer.buffer,
                offset: range.offset,
                size: wgpu::BufferSize::new(range.bytes),
            }),
        })
        .collect();
    let descriptor = wgpu::BindGroupDescriptor { label: None, layout, entries: &entries };
    handle.call(|device, _| device.create_bind_group(&descriptor))
}
