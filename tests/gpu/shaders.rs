//! Every WGSL composition parses, validates, and is emitted as SPIR-V, MSL and HLSL, because some
//! errors appear only in the writers; and its uniform blocks and bindings are what the host thinks. The text
//! of each is left in `target/tmp/wgsl`.

use std::path::Path;

use bitgauge_shaders::params::Layout;
use bitgauge_shaders::{Access, Kernel, compose};
use naga::back::{hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Handle, Module, ShaderStage, StorageAccess, Type, TypeInner};

/// One case per composition.
pub fn cases() -> Vec<(String, Result<(), String>)> {
    Kernel::all().into_iter().map(|k| (format!("shader of {k:?}"), shader(k))).collect()
}

/// Where the text of a kernel is left to be read: errors name its lines.
fn written(kernel: Kernel, source: &str) -> Result<String, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wgsl");
    let path = folder.join(format!("{kernel:?}.wgsl").replace('(', "-").replace(')', ""));
    let at = |e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::create_dir_all(&folder).map_err(at)?;
    std::fs::write(&path, source).map_err(at)?;
    Ok(path.display().to_string())
}

fn shader(kernel: Kernel) -> Result<(), String> {
    let source = compose(kernel);
    let path = written(kernel, &source)?;
    let (module, info) = validate(&source, &path)?;
    emit(kernel, &module, &info)?;
    reflect(kernel, &module)?;

    // The checks can fail: an undeclared name, and a member that moved.
    let broken = source.replacen("fn main(", "fn main_(a: Undeclared, ", 1);
    if validate(&broken, &path).is_ok() {
        return Err("a module with an undeclared type was accepted".into());
    }
    let (name, kind) = kernel.layout().members[0];
    let moved = source.replacen(&format!("{name}: {kind}"), &format!("moved: u32, {name}: {kind}"), 1);
    if validate(&moved, &path).is_ok_and(|(module, _)| reflect(kernel, &module).is_ok()) {
        return Err("a uniform block with a moved member was accepted".into());
    }
    Ok(())
}

fn validate(source: &str, path: &str) -> Result<(Module, ModuleInfo), String> {
    let module =
        naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string_with_path(source, path))?;
    // What the device is asked for when kernels of f16 and cooperative matrices run.
    let capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32
        | Capabilities::SHADER_FLOAT16
        | Capabilities::SUBGROUP
        | Capabilities::COOPERATIVE_MATRIX;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|e| e.emit_to_string_with_path(source, path))?;
    Ok((module, info))
}

fn emit(kernel: Kernel, module: &Module, info: &ModuleInfo) -> Result<(), String> {
    let entry = (ShaderStage::Compute, "main");
    let (module, info) = process_overrides(module, info, Some(entry), &Default::default())
        .map_err(|e| format!("overrides: {e}"))?;

    // Cooperative matrices came to SPIR-V with version 1.3.
    let spirv = spv::Options { lang_version: (1, 3), ..Default::default() };
    let words = spv::write_vec(&module, &info, &spirv, None).map_err(|e| format!("SPIR-V: {e}"))?;
    let metal = msl::Options { lang_version: (2, 4), ..Default::default() };
    let (metal, _) = msl::write_string(&module, &info, &metal, &msl::PipelineOptions::default())
        .map_err(|e| format!("MSL: {e}"))?;
    if words.is_empty() || metal.is_empty() {
        return Err("a writer emitted nothing".into());
    }
    // naga has no cooperative matrices for Direct3D: no adapter there offers any.
    if kernel.is_cooperative() {
        return Ok(());
    }
    let shader_model = hlsl::ShaderModel::V6_2;
    let (options, pipeline) = (hlsl::Options { shader_model, ..Default::default() }, Default::default());
    let mut direct3d = String::new();
    hlsl::Writer::new(&mut direct3d, &options, &pipeline)
        .write(&module, &info, None)
        .map_err(|e| format!("HLSL: {e}"))?;
    if direct3d.is_empty() {
        return Err("a writer emitted nothing".into());
    }
    Ok(())
}

/// Compares the module's bindings and uniform blocks with the host's description.
fn reflect(kernel: Kernel, module: &Module) -> Result<(), String> {
    let codec = kernel.codec();
    let mut groups = vec![(0, kernel.bindings(), kernel.layout())];
    groups.extend(codec.map(|codec| (1, codec.bindings(), codec.layout())));
    let bound = module.global_variables.iter().filter(|(_, v)| v.binding.is_some()).count();
    let expected: usize = groups.iter().map(|(_, bindings, _)| bindings.len()).sum();
    if bound != expected {
        return Err(format!("{bound} bindings in the WGSL, {expected} on the host"));
    }
    for (group, bindings, layout) in groups {
        for (binding, &access) in bindings.iter().enumerate() {
            let at = naga::ResourceBinding { group, binding: binding as u32 };
            let (_, variable) = module
                .global_variables
                .iter()
                .find(|(_, v)| v.binding == Some(at))
                .ok_or(format!("group {group} binding {binding} is missing"))?;
            let found = match variable.space {
                AddressSpace::Uniform => Access::Uniform,
                AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Access::Write,
                AddressSpace::Storage { .. } => Access::Read,
                other => return Err(format!("group {group} binding {binding} is in {other:?}")),
            };
            if found != access {
                return Err(format!("group {group} binding {binding}: {found:?}, the host has {access:?}"));
            }
            if access == Access::Uniform {
                same_layout(module, variable.ty, layout)?;
            }
        }
    }
    Ok(())
}

fn same_layout(module: &Module, ty: Handle<Type>, layout: Layout) -> Result<(), String> {
    let ty = &module.types[ty];
    let TypeInner::Struct { members, span } = &ty.inner else {
        return Err(format!("{} is not a struct", layout.name));
    };
    if ty.name.as_deref() != Some(layout.name) {
        return Err(format!("struct {:?}, the host has {}", ty.name, layout.name));
    }
    if *span as usize != 4 * layout.members.len() {
        return Err(format!("{} spans {span} bytes, the host's {}", layout.name, 4 * layout.members.len()));
    }
    for (i, (member, &(name, kind))) in members.iter().zip(layout.members).enumerate() {
        let found = match module.types[member.ty].inner {
            TypeInner::Scalar(naga::Scalar::U32) => "u32",
            TypeInner::Scalar(naga::Scalar::F32) => "f32",
            _ => "another type",
        };
        let found_name = member.name.as_deref().unwrap_or("");
        if (found_name, found, member.offset as usize) != (name, kind, 4 * i) {
            return Err(format!(
                "{}: member {i} is {found_name}: {found} at byte {}, the host has {name}: {kind} at byte {}",
                layout.name,
                member.offset,
                4 * i
            ));
        }
    }
    Ok(())
}
