//! The rotary embedding's settings, which transformers keeps in four places.

use super::family::Family;
use super::fields::Fields;
use crate::{Error, ErrorKind, Result};

/// How positions turn the channels of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// Base of the frequencies (`rope_theta`).
    pub theta: f64,
    /// Channels of a head that turn, from the first on; even.
    pub channels: u64,
    /// Stretching of the long wavelengths (`rope_type: llama3`).
    pub scaling: Option<Llama3Scaling>,
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
    /// transformers 4 wrote `rope_theta` at the top level and scalings in `rope_scaling`,
    /// transformers 5 writes both into `rope_parameters`.
    pub(super) fn from_fields(family: Family, fields: &Fields<'_>, head_dim: u64) -> Result<Self> {
        let parameters = fields.object("rope_parameters")?;
        let has = |name| parameters.filter(|rope| rope.get(name).is_some());
        let defaults = family.defaults();
        let theta = match (has("rope_theta"), fields.get("rope_theta"), defaults.rope_theta) {
            (Some(rope), ..) => rope.positive("rope_theta")?,
            (None, None, Some(theta)) => theta,
            (None, ..) => fields.positive("rope_theta")?,
        };
        let mut scaling = None;
        for group in [parameters, fields.object("rope_scaling")?].into_iter().flatten() {
            scaling = scaling.or(Llama3Scaling::from_fields(family, &group)?);
        }
        let channels = match defaults.partial_rotary_factor {
            None => head_dim,
            Some(default) => {
                let place = has("partial_rotary_factor").unwrap_or(*fields);
                partial_channels(&place, head_dim, default)?
            }
        };
        if channels.is_multiple_of(2) && channels > 0 {
            return Ok(Self { theta, channels, scaling });
        }
        Err(Error::new(ErrorKind::BadValue, "rotary embedding needs channels in pairs")
            .expected_found("an even `head_dim` (times `partial_rotary_factor`)", channels))
    }

    /// Radians per position of each pair of channels, `[channels / 2]`, in f32 as the models were
    /// trained: `theta^(-2i / channels)`, scaled.
    pub fn frequencies(&self) -> Vec<f32> {
        let (theta, channels) = (self.theta as f32, self.channels as f32);
        let frequency = |i: u64| 1.0 / theta.powf((2 * i) as f32 / channels);
        let frequencies = (0..self.channels / 2).map(frequency);
        match self.scaling {
            None => frequencies.collect(),
            Some(scaling) => frequencies.map(|frequency| scaling.scale(frequency)).collect(),
        }
    }
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
    /// The scaling that `rope_parameters` or `rope_scaling` asks for; other kinds than llama3's are
    /// refused, and that one in other families.
    fn from_fields(family: Family, rope: &Fields<'_>) -> Result<Option<Self>> {
        let knows_llama3 = family.defaults().llama3_scaling;
        let wanted = if knows_llama3 { "default or llama3" } else { "default" };
        // Configurations older than transformers 4.45 call it `type`.
        for name in ["rope_type", "type"] {
            match rope.text(name)? {
                None | Some("default") => {}
                Some("llama3") if knows_llama3 => return Self::read(rope).map(Some),
                Some(found) => {
                    return Err(rope.bad(ErrorKind::Unsupported, name, wanted, &found.into()));
                }
            }
        }
        Ok(None)
    }

    fn read(rope: &Fields<'_>) -> Result<Self> {
        let scaling = Self {
            factor: rope.positive("factor")?,
            low: rope.positive("low_freq_factor")?,
            high: rope.positive("high_freq_factor")?,
            original_positions: rope.positive("original_max_position_embeddings")?,
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
