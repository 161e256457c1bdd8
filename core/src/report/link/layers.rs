//! The figures by layer of a link, column by column: most columns repeat a few values.

use half::f16;

use super::wire::{Reader, Writer};
use crate::report::{LayerSummary, ValueSummary};
use crate::{Result, limits};

/// A column is written as steps above its least value.
const STEPS: u8 = 0;
/// A column is a table of values and a byte for each layer.
const TABLE: u8 = 1;

/// First whether the first entry lies outside the layers, then how many there are; the others are
/// numbered from 0. Other orders, which no report has, are left out.
pub(super) fn write(out: &mut Writer, layers: &[LayerSummary]) {
    let outside = layers.first().is_some_and(|layer| layer.layer.is_none());
    let numbered = layers.iter().skip(usize::from(outside)).enumerate();
    let regular = numbered.clone().all(|(i, layer)| layer.layer == Some(i as u32));
    let has_values = layers.iter().all(|layer| layer.values.is_some());
    let layers = if regular { layers } else { &[] };
    out.number(layers.len() as u64);
    if layers.is_empty() {
        return;
    }
    out.byte(u8::from(outside) | u8::from(has_values) << 1);
    let column = |value: &dyn Fn(&LayerSummary) -> i64| layers.iter().map(value).collect::<Vec<_>>();
    write_column(out, &column(&|layer| layer.parameters as i64));
    write_column(out, &column(&|layer| layer.rescue_parameters as i64));
    if !has_values {
        write_column(out, &column(&|layer| layer.bits as i64));
        return;
    }
    let values: Vec<&ValueSummary> = layers.iter().filter_map(|layer| layer.values.as_ref()).collect();
    let each = || layers.iter().zip(&values);
    let predicted = |expect: fn(&LayerSummary, &ValueSummary) -> u64,
                     value: fn(&LayerSummary, &ValueSummary) -> u64| {
        each()
            .map(|(layer, values)| value(layer, values).wrapping_sub(expect(layer, values)) as i64)
            .collect::<Vec<_>>()
    };
    write_column(out, &predicted(|layer, _| expected_signs(layer), |_, values| values.signs));
    write_column(out, &predicted(|_, values| expected_scales(values.signs), |_, values| values.scales));
    write_column(out, &predicted(|layer, v| expected_bits(layer, v.signs, v.scales), |layer, _| layer.bits));
    write_column(out, &predicted(|_, values| values.signs / 2, |_, values| values.plus));
    for values in values {
        for scale in [values.scale_mean, values.scale_min, values.scale_max] {
            out.bytes(&f16::from_f64(scale).to_bits().to_le_bytes());
        }
    }
}

/// One basis and nothing unpacked. Wraps on nonsense, as all the guesses do: they only have to be the
/// same on both sides.
fn expected_signs(layer: &LayerSummary) -> u64 {
    layer.parameters.wrapping_sub(layer.rescue_parameters)
}

/// Groups of 128 columns.
fn expected_scales(signs: u64) -> u64 {
    signs / 128
}

/// Signs, scales, codes and their scales.
fn expected_bits(layer: &LayerSummary, signs: u64, scales: u64) -> u64 {
    let rescue = layer.rescue_parameters.wrapping_mul(4).wrapping_add(layer.rescue_parameters / 8);
    signs.wrapping_add(scales.wrapping_mul(16)).wrapping_add(rescue)
}

/// Takes the shorter of two ways.
fn write_column(out: &mut Writer, column: &[i64]) {
    let (steps, table) = (steps_of(column), table_of(column));
    match table {
        Some(table) if table.len() < steps.len() => {
            out.byte(TABLE);
            out.bytes(&table);
        }
        _ => {
            out.byte(STEPS);
            out.bytes(&steps);
        }
    }
}

/// The least value, the width of a step, and each value's steps above the least. Rescued parameters
/// are whole rows, so steps are far shorter than the numbers.
fn steps_of(column: &[i64]) -> Vec<u8> {
    let least = column.iter().copied().min().unwrap_or(0);
    let above: Vec<u64> = column.iter().map(|number| number.wrapping_sub(least) as u64).collect();
    let step = above.iter().fold(0, |step, &number| greatest_common_divisor(step, number)).max(1);
    let mut out = Writer::new();
    out.signed(least);
    out.number(step);
    above.iter().for_each(|number| out.number(number / step));
    out.into_bytes()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The distinct values and a byte for each layer; nothing when there are too many.
fn table_of(column: &[i64]) -> Option<Vec<u8>> {
    let mut distinct = column.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut out = Writer::new();
    out.byte(u8::try_from(distinct.len()).ok()?);
    distinct.iter().for_each(|&number| out.signed(number));
    for number in column {
        out.byte(distinct.binary_search(number).unwrap_or(0) as u8);
    }
    Some(out.into_bytes())
}

fn read_column(from: &mut Reader, len: usize) -> Result<Vec<i64>> {
    match from.byte()? {
        STEPS => {
            let (least, step) = (from.signed()?, from.number()?);
            let mut value = || Ok(least.wrapping_add(from.number()?.wrapping_mul(step) as i64));
            (0..len).map(|_| value()).collect()
        }
        TABLE => {
            let table: Vec<i64> = (0..from.byte()?).map(|_| from.signed()).collect::<Result<_>>()?;
            let indices = from.take(len)?;
            indices.iter().map(|&index| from.entry(&table, index, "a value of the column")).collect()
        }
        other => Err(from.fault("a column is written in another way", "0 or 1", other)),
    }
}

pub(super) fn read(from: &mut Reader) -> Result<Vec<LayerSummary>> {
    let count = from.number()?;
    // Each layer takes a byte in each of at least three columns.
    if count > limits::LAYERS_COUNT + 1 || count > from.left() as u64 {
        return Err(from.fault("too many layers", format!("at most {}", limits::LAYERS_COUNT), count));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let len = count as usize;
    let marks = from.byte()?;
    if marks > 3 {
        return Err(from.fault("the marks of the layers are not known", "bits 0 and 1", marks));
    }
    let outside = marks & 1 == 1;
    let parameters = read_column(from, len)?;
    let rescue = read_column(from, len)?;
    let mut layers: Vec<LayerSummary> = (0..len)
        .map(|i| LayerSummary {
            layer: if outside { i.checked_sub(1).map(|layer| layer as u32) } else { Some(i as u32) },
            parameters: parameters[i] as u64,
            rescue_parameters: rescue[i] as u64,
            bits: 0,
            values: None,
        })
        .collect();
    if marks & 2 == 0 {
        let bits = read_column(from, len)?;
        layers.iter_mut().zip(bits).for_each(|(layer, bits)| layer.bits = bits as u64);
    } else {
        read_values(from, &mut layers)?;
    }
    for layer in &layers {
        let [parameters, values] = [layer.parameters, layer.values.as_ref().map_or(0, |v| v.signs)];
        let faulty = layer.rescue_parameters > parameters
            || layer.values.as_ref().is_some_and(|v| v.plus > v.signs)
            || [parameters, layer.bits, values].iter().any(|&number| number > i64::MAX as u64);
        if faulty {
            return Err(from.fault("a layer's figures contradict each other", "parts within wholes", "more"));
        }
    }
    Ok(layers)
}

fn read_values(from: &mut Reader, layers: &mut [LayerSummary]) -> Result<()> {
    let len = layers.len();
    let columns = [(); 4].map(|()| read_column(from, len));
    let [signs, scales, bits, plus] = columns;
    let (signs, scales, bits, plus) = (signs?, scales?, bits?, plus?);
    for (i, layer) in layers.iter_mut().enumerate() {
        let signs = expected_signs(layer).wrapping_add(signs[i] as u64);
        let scales = expected_scales(signs).wrapping_add(scales[i] as u64);
        layer.bits = expected_bits(layer, signs, scales).wrapping_add(bits[i] as u64);
        let mut scale = || -> Result<f64> {
            let bytes = from.take(2)?;
            let scale = f16::from_le_bytes([bytes[0], bytes[1]]).to_f64();
            let valid = scale.is_finite() && scale >= 0.0;
            if valid {
                Ok(scale)
            } else {
                Err(from.fault("a scale is out of range", "a positive number", scale))
            }
        };
        let [scale_mean, scale_min, scale_max] = [scale()?, scale()?, scale()?];
        let plus = (signs / 2).wrapping_add(plus[i] as u64);
        let octaves = Vec::new();
        layer.values = Some(ValueSummary { signs, plus, scales, scale_mean, scale_min, scale_max, octaves });
    }
    Ok(())
}
