//! What an artifact declares beside its matrices: residuals, scales, side tables, more rescue.

use num_bigint::BigInt;
use num_traits::{Signed, Zero};

use super::totals::{ceil_bytes, quotient};
use crate::contract::Config;
use crate::contract::python::{
    Exception, Object, Raised, Value, lower, object, significant12, to_float, to_int, trim,
};

/// Roles that an entry may have.
const ROLES: [&str; 12] = [
    "binary",
    "ternary",
    "quantized",
    "residual",
    "scale",
    "side",
    "metadata",
    "high_precision",
    "full_precision",
    "rescue",
    "q4_rescue",
    "rescue_q4",
];
/// Those that count as rescue.
const RESCUE_ROLES: &[&str] = ROLES.split_at(7).1;

/// One declared entry.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub name: String,
    pub role: String,
    layer: Option<String>,
    /// Parameters before scaling.
    pub parameters: BigInt,
    /// Bits before scaling.
    pub bits: BigInt,
    /// Whether its parameters count as rescued.
    pub is_rescue: bool,
}

impl Entry {
    /// Parameters that count as rescued.
    pub fn rescued(&self) -> BigInt {
        if self.is_rescue { self.parameters.clone() } else { BigInt::ZERO }
    }

    fn bits_per_parameter(&self) -> Result<f64, Raised> {
        quotient(&self.bits, &self.parameters)
    }

    /// What the report says of it.
    pub fn to_json(&self) -> Result<Value, Raised> {
        let mut json = object([
            ("name", self.name.as_str().into()),
            ("role", self.role.as_str().into()),
            ("parameter_count", self.parameters.clone().into()),
            ("compressed_bits", self.bits.clone().into()),
            ("compressed_size_bytes", ceil_bytes(&self.bits)?.into()),
            ("bits_per_parameter", self.bits_per_parameter()?.into()),
            ("high_precision_count", self.rescued().into()),
            ("rescue_count", self.rescued().into()),
            ("counts_toward_rescue", self.is_rescue.into()),
        ]);
        if let Some(layer) = &self.layer {
            json.insert("layer".into(), layer.as_str().into());
        }
        Ok(json.into())
    }
}

/// An entry as the artifact has it, and where.
struct Declared<'a> {
    fields: &'a Object,
    /// What its messages begin with.
    source: String,
    /// The row that it stands in.
    layer: Option<&'a str>,
}

/// Reads the entries of the accounting, then those of the rows in their order.
pub(super) fn read_entries(artifact: &Object, rows: &Rows, config: &Config) -> Result<Vec<Entry>, Raised> {
    let declared = declared_entries(artifact, rows)?;
    let read = |(index, entry): (usize, &Declared)| read_entry(entry, index, config);
    declared.iter().enumerate().map(read).collect()
}

/// Refuses rescue that costs more than its codes and scales may.
pub(super) fn check_rescue_cost(entries: &[Entry], most: f64) -> Result<(), Raised> {
    for entry in entries.iter().filter(|entry| entry.is_rescue) {
        let cost = entry.bits_per_parameter()?;
        if cost > most + 1e-12 {
            let (name, cost) = (&entry.name, significant12(cost));
            return Err(Raised::value(format!(
                "artifact accounting entry {name} exceeds q4 rescue budget: bits_per_parameter={cost}"
            )));
        }
    }
    Ok(())
}

/// The rows of an artifact by name.
pub(super) type Rows = indexmap::IndexMap<String, Object>;

/// `artifact.accounting`, where there is one.
pub(super) fn accounting(artifact: &Object) -> Result<Option<&Object>, Raised> {
    match artifact.get("accounting") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(accounting)) => Ok(Some(accounting)),
        Some(_) => Err(Raised::value("artifact.accounting must be an object")),
    }
}

/// Every entry, with all lists checked before the first is looked into.
fn declared_entries<'a>(artifact: &'a Object, rows: &'a Rows) -> Result<Vec<Declared<'a>>, Raised> {
    let mut declared = Vec::new();
    if let Some(list) = accounting(artifact)?.and_then(|accounting| accounting.get("extra_entries")) {
        let source = "artifact.accounting.extra_entries";
        for fields in objects(list, source)? {
            declared.push(Declared { fields, source: source.into(), layer: None });
        }
    }
    for (name, row) in rows {
        let list = match row.get("extra_components").or_else(|| row.get("accounting_entries")) {
            None | Some(Value::Null) => continue,
            Some(list) => list,
        };
        for fields in objects(list, &format!("artifact layer {name} extra_components"))? {
            let source = format!("artifact.layers[{name}].extra_components");
            declared.push(Declared { fields, source, layer: Some(name) });
        }
    }
    Ok(declared)
}

fn objects<'a>(list: &'a Value, place: &str) -> Result<Vec<&'a Object>, Raised> {
    let Value::Array(items) = list else {
        return Err(Raised::value(format!("{place} must be a list")));
    };
    let object = |item: &'a Value| match item {
        Value::Object(object) => Ok(object),
        _ => Err(Raised::value(format!("{place} entries must be objects"))),
    };
    items.iter().map(object).collect()
}

fn read_entry(declared: &Declared, index: usize, config: &Config) -> Result<Entry, Raised> {
    let Declared { fields, source, layer } = declared;
    let text = |key: &str| fields.get(key).filter(|value| value.is_truthy()).map(Value::to_text);
    let name = text("name").map(|name| trim(&name).to_owned()).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| format!("extra_{index}"));
    let role = text("role").map_or("side".into(), |role| lower(trim(&role)));
    let place = format!("{source}.{name}");
    if !ROLES.contains(&role.as_str()) {
        return Err(Raised::value(format!("{place} uses unsupported accounting role: {role}")));
    }
    let count_place = format!("{place}.parameter_count");
    let parameters = non_negative(fields.get("parameter_count").unwrap_or(&Value::Null), &count_place)?;
    if parameters.is_zero() {
        return Err(Raised::value(format!("{count_place} must be greater than zero")));
    }
    let is_rescue = fields.get("counts_toward_rescue").is_some_and(Value::is_truthy)
        || RESCUE_ROLES.contains(&role.as_str());
    let bits = read_bits(fields, &parameters, is_rescue, &place, config)?;
    let layer = match fields.get("layer") {
        None => layer.map(str::to_owned),
        Some(Value::Null) => None,
        Some(layer) => Some(layer.to_text()),
    };
    Ok(Entry { name, role, layer, parameters, bits, is_rescue })
}

fn read_bits(
    fields: &Object,
    parameters: &BigInt,
    is_rescue: bool,
    place: &str,
    config: &Config,
) -> Result<BigInt, Raised> {
    let ceil_times = |bits: f64| {
        let product = to_float(&parameters.clone().into())? * bits;
        to_int(&product.ceil().into())
    };
    if let Some(bits) = fields.get("compressed_bits") {
        return non_negative(bits, &format!("{place}.compressed_bits"));
    }
    if let Some(bytes) = fields.get("size_bytes") {
        return Ok(non_negative(bytes, &format!("{place}.size_bytes"))? * 8);
    }
    if let Some(bits) = fields.get("bits_per_parameter") {
        return match to_float(bits) {
            Ok(bits) if bits.is_finite() && bits > 0.0 => ceil_times(bits),
            Err(raised) if raised.exception == Exception::OverflowError => Err(raised),
            _ => Err(Raised::value(format!("{place}.bits_per_parameter must be a positive finite number"))),
        };
    }
    if is_rescue {
        return ceil_times(config.rescue_bits_per_parameter);
    }
    Err(Raised::value(format!("{place} must declare compressed_bits, size_bytes, or bits_per_parameter")))
}

/// `int(value)`, not negative. Infinity is an overflow, which the validator does not catch.
pub(super) fn non_negative(value: &Value, place: &str) -> Result<BigInt, Raised> {
    match to_int(value) {
        Ok(int) if !int.is_negative() => Ok(int),
        Err(raised) if raised.exception == Exception::OverflowError => Err(raised),
        _ => Err(Raised::value(format!("{place} must be a non-negative integer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<Entry, Raised> {
        let Value::Object(fields) = Value::parse(text).unwrap() else { panic!("no object") };
        let declared = Declared { fields: &fields, source: "s".into(), layer: Some("mlp_up") };
        read_entry(&declared, 3, &Config::binary())
    }

    #[test]
    fn an_entry_names_its_row_unless_it_says_otherwise() {
        let layer = |text| entry(text).unwrap().layer;
        assert_eq!(layer(r#"{"parameter_count": 1, "compressed_bits": 1}"#), Some("mlp_up".into()));
        assert_eq!(layer(r#"{"parameter_count": 1, "compressed_bits": 1, "layer": 5}"#), Some("5".into()));
    }

    #[test]
    fn huge_counts_are_exact_or_overflow() {
        let count = "9".repeat(400);
        let bits = entry(&format!(r#"{{"parameter_count": {count}, "size_bytes": {count}}}"#)).unwrap().bits;
        assert_eq!(bits, count.parse::<BigInt>().unwrap() * 8);
        let raised =
            entry(&format!(r#"{{"parameter_count": {count}, "bits_per_parameter": 1}}"#)).unwrap_err();
        assert_eq!(raised.exception, Exception::OverflowError);
        let rescue = entry(r#"{"parameter_count": 3, "role": " Rescue "}"#).unwrap();
        assert_eq!((rescue.bits, rescue.is_rescue), (12.into(), true));
    }
}
