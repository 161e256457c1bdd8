//! The rotary embedding's settings, which transformers keeps in four places.

use serde_json::Value;

use super::family::Family;
use super::fields::Fields;
use crate::{Error, ErrorKind, Result};

/// How positions turn the channels of queries and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Base of the frequencies (`rope_theta`).
    pub theta: f64,
    /// Channels of a head that turn, from the first on; even.
    pub channels: u64,
    /// What is done for contexts longer than those trained on (`rope_type`).
    pub scaling: Option<RotaryScaling>,
}

/// The kinds of scaling that the forward pass knows.
#[derive(Debug, Clone, PartialEq)]
pub enum RotaryScaling {
    /// `llama3`.
    Llama3(Llama3Scaling),
    /// `linear`: all frequencies divided by this factor.
    Linear(f64),
    /// `yarn`.
    Yarn(YarnScaling),
    /// `divided`, which only a GGUF file may ask for: each frequency divided by a number of its own.
    Divided(Vec<f32>),
}

/// YaRN: low frequencies are divided by a factor, high ones kept, those between blended, and queries and keys grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct YarnScaling {
    /// The field `factor`.
    pub factor: f64,
    /// What the turned channels of queries and keys are multiplied by (`attention_factor`).
    pub attention_factor: f64,
    /// Number of the pair of channels up to which frequencies are kept.
    pub low: f64,
    /// Number of the pair of channels from which on they are divided.
    pub high: f64,
}

/// Llama 3.1's scaling: wavelengths longer than `original_positions / low` are stretched by
/// `factor`, those shorter than `original_positions / high` are kept, those between are blended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Llama3Scaling {
    /// The field `factor`.
    pub factor: f64,
    /// The field `low_freq_factor`.
    pub low: f64,
    /// The field `high_freq_factor`; above `low`.
    pub high: f64,
    /// The field `original_max_position_embeddings`.
    pub original_positions: f64,
}

impl Rotary {
    /// As transformers 5 reads it: `rope_scaling`, if it says anything, takes the place of `rope_parameters` as a whole;
    /// what is not in there stands at the top level. Beside it, why there is no forward pass.
    pub(super) fn from_fields(
        family: Family,
        fields: &Fields<'_>,
        head_dim: u64,
        max_positions: u64,
    ) -> Result<(Self, Option<String>)> {
        let group = rope_group(fields)?;
        let place = |name| group.filter(|rope| rope.get(name).is_some()).unwrap_or(*fields);
        let theta = place("rope_theta").optional_positive("rope_theta")?.unwrap_or(10_000.0);
        let channels = match family.defaults().partial_rotary_factor {
            None => head_dim,
            Some(default) => partial_channels(&place("partial_rotary_factor"), head_dim, default)?,
        };
        if !channels.is_multiple_of(2) || channels == 0 {
            return Err(Error::new(ErrorKind::BadValue, "rotary embedding needs channels in pairs")
                .expected_found("an even `head_dim` (times `partial_rotary_factor`)", channels));
        }
        let mut rotary = Self { theta, channels, scaling: None };
        let Some(rope) = group else { return Ok((rotary, None)) };
        let original = |rope: &Fields<'_>| {
            Ok::<f64, Error>(
                rope.optional_positive("original_max_position_embeddings")?.unwrap_or(max_positions as f64),
            )
        };
        let mut why = None;
        match rope_type(&rope)? {
            "default" => {}
            "llama3" => {
                rotary.scaling = Some(RotaryScaling::Llama3(Llama3Scaling::read(&rope, original(&rope)?)?));
            }
            "linear" => rotary.scaling = Some(RotaryScaling::Linear(rope.positive("factor")?)),
            "yarn" => {
                let yarn = YarnScaling::read(&rope, original(&rope)?, theta, channels)?;
                rotary.scaling = Some(RotaryScaling::Yarn(yarn));
                // The factor is taken into the norms of queries and keys.
                if !family.defaults().query_key_norm {
                    why = Some("YaRN in a family without norms of queries and keys".to_owned());
                }
            }
            "divided" => rotary.scaling = Some(RotaryScaling::Divided(divisors(&rope, channels)?)),
            other => why = Some(format!("the rotary scaling `{other}`")),
        }
        Ok((rotary, why))
    }

    /// What the turned channels of queries, and those of keys, are multiplied by.
    pub fn attention_factor(&self) -> f64 {
        match &self.scaling {
            Some(RotaryScaling::Yarn(yarn)) => yarn.attention_factor,
            _ => 1.0,
        }
    }

    /// Radians per position of each pair of channels, `[channels / 2]`, in f32 as the models were
    /// trained: `theta^(-2i / channels)`, scaled.
    pub fn frequencies(&self) -> Vec<f32> {
        let (theta, channels) = (self.theta as f32, self.channels as f32);
        let frequency = |i: u64| 1.0 / theta.powf((2 * i) as f32 / channels);
        let scale = |i: u64| match &self.scaling {
            None => frequency(i),
            Some(RotaryScaling::Llama3(scaling)) => scaling.scale(frequency(i)),
            Some(RotaryScaling::Linear(factor)) => frequency(i) / *factor as f32,
            Some(RotaryScaling::Yarn(yarn)) => yarn.scale(i, frequency(i)),
            Some(RotaryScaling::Divided(divisors)) => frequency(i) / divisors[i as usize],
        };
        (0..self.channels / 2).map(scale).collect()
    }
}

/// The object that the settings stand in, if there is one.
pub(super) fn rope_group<'a>(fields: &Fields<'a>) -> Result<Option<Fields<'a>>> {
    let legacy = fields.object("rope_scaling")?.filter(|rope| rope.all().next().is_some());
    Ok(match legacy {
        Some(legacy) => Some(legacy),
        None => fields.object("rope_parameters")?,
    })
}

/// The kind of scaling. Configurations older than transformers 4.45 call it `type`.
pub(super) fn rope_type<'a>(rope: &Fields<'a>) -> Result<&'a str> {
    let name = if rope.get("rope_type").is_some() { "rope_type" } else { "type" };
    Ok(rope.text(name)?.unwrap_or("default"))
}

/// The number that each frequency is divided by.
fn divisors(rope: &Fields<'_>, channels: u64) -> Result<Vec<f32>> {
    let numbers = rope.get("divisors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let numbers = numbers.iter().filter_map(Value::as_f64).map(|number| number as f32);
    let numbers: Vec<f32> = numbers.filter(|number| number.is_finite() && *number > 0.0).collect();
    if numbers.len() as u64 == channels / 2 {
        return Ok(numbers);
    }
    Err(Error::new(ErrorKind::BadValue, "the divisors of the rotary frequencies can't be used")
        .within(rope.name("divisors"))
        .expected_found(format!("{} numbers above 0", channels / 2), numbers.len()))
}

fn partial_channels(fields: &Fields<'_>, head_dim: u64, default: f64) -> Result<u64> {
    let name = "partial_rotary_factor";
    let Some(value) = fields.get(name) else { return Ok((head_dim as f64 * default) as u64) };
    let factor = fields.positive(name)?;
    if factor > 1.0 {
        return Err(fields.bad(ErrorKind::BadValue, name, "at most 1", value));
    }
    Ok((head_dim as f64 * factor) as u64)
}

impl Llama3Scaling {
    fn read(rope: &Fields<'_>, original_positions: f64) -> Result<Self> {
        let scaling = Self {
            factor: rope.positive("factor")?,
            low: rope.positive("low_freq_factor")?,
            high: rope.positive("high_freq_factor")?,
            original_positions,
        };
        if scaling.high > scaling.low {
            return Ok(scaling);
        }
        Err(Error::new(ErrorKind::BadValue, "the wavelengths of the rotary scaling are not in order")
            .expected_found("`high_freq_factor` above `low_freq_factor`", {
                format!("{} and {}", scaling.high, scaling.low)
            }))
    }

    fn scale(&self, frequency: f32) -> f32 {
        let positions = self.original_positions as f32;
        let (factor, low, high) = (self.factor as f32, self.low as f32, self.high as f32);
        let wavelength = 2.0 * std::f32::consts::PI / frequency;
        if wavelength < positions / high {
            return frequency;
        }
        if wavelength > positions / low {
            return frequency / factor;
        }
        let kept = (positions / wavelength - low) / (high - low);
        (1.0 - kept) * frequency / factor + kept * frequency
    }
}

impl YarnScaling {
    fn read(rope: &Fields<'_>, original_positions: f64, theta: f64, channels: u64) -> Result<Self> {
        let factor = rope.positive("factor")?;
        let scale_of = |factor: f64, by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 };
        let attention_factor = match (
            rope.optional_positive("attention_factor")?,
            rope.optional_positive("mscale")?,
            rope.optional_positive("mscale_all_dim")?,
        ) {
            (Some(stated), ..) => stated,
            (None, Some(one), Some(all)) => scale_of(factor, one) / scale_of(factor, all),
            _ => scale_of(factor, 1.0),
        };
        let last = channels as f64 - 1.0;
        // The pair of channels that turns this often within the original context.
        let pair = |name, default: f64| {
            let turns = rope.optional_positive(name)?.unwrap_or(default);
            let turned = original_positions / (turns * 2.0 * std::f64::consts::PI);
            Ok::<f64, Error>(channels as f64 * turned.ln() / (2.0 * theta.ln()))
        };
        let (mut low, mut high) = (pair("beta_fast", 32.0)?, pair("beta_slow", 1.0)?);
        if rope.get("truncate").is_none() || rope.flag("truncate")? {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, high) = (low.max(0.0), high.min(last));
        let high = if low == high { high + 0.001 } else { high };
        Ok(Self { factor, attention_factor, low, high })
    }

    fn scale(&self, pair: u64, frequency: f32) -> f32 {
        let divided = ((pair as f32 - self.low as f32) / (self.high - self.low) as f32).clamp(0.0, 1.0);
        let kept = 1.0 - divided;
        frequency / self.factor as f32 * (1.0 - kept) + frequency * kept
    }
}
