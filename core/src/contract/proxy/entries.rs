//! What an artifact declares beside its matrices: residuals, scales, side tables, more rescue.

use num_bigint::BigInt;
use num_traits::Zero;

use crate::contract::python::{
    Exception, Node, Raised, Value, ceil_bytes, lower, non_negative, object, quotient, significant12,
    to_float, to_int, trim,
};
use crate::contract::{Halt, RuleSet};
use crate::{Error, ErrorKind, limits};

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
    ///
    /// # Errors
    /// Bits per parameter of no parameters, or beyond what Python's floats hold.
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
    fields: Node<'a>,
    /// What its messages begin with.
    source: &'a str,
    /// The row that it stands in.
    layer: Option<&'a str>,
}

/// A list of entries.
struct List<'a> {
    entries: Node<'a>,
    source: String,
    layer: Option<&'a str>,
}

/// Reads the entries of the accounting, then those of the rows in their order.
pub(super) fn read_entries(artifact: Node, rows: &Rows, config: &RuleSet) -> Result<Vec<Entry>, Halt> {
    let mut entries = Vec::new();
    for List { entries: list, source, layer } in lists(artifact, rows)? {
        for fields in list.items().into_iter().flatten() {
            if entries.len() >= limits::PROXY_ENTRIES {
                return Err(Error::new(ErrorKind::TooLarge, "too many accounting entries")
                    .within(source)
                    .expected_found(format!("at most {}", limits::PROXY_ENTRIES), "more")
                    .into());
            }
            let declared = Declared { fields, source: &source, layer };
            entries.push(read_entry(&declared, entries.len(), config)?);
        }
    }
    Ok(entries)
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
pub(super) type Rows<'j> = indexmap::IndexMap<String, Node<'j>>;

/// `artifact.accounting`, where there is one.
pub(super) fn accounting<'j>(artifact: Node<'j>) -> Result<Option<Node<'j>>, Raised> {
    match artifact.get("accounting").filter(|accounting| !accounting.is_null()) {
        None => Ok(None),
        Some(accounting) if accounting.is_object() => Ok(Some(accounting)),
        Some(_) => Err(Raised::value("artifact.accounting must be an object")),
    }
}

/// Every list of entries, all of them checked before the first is looked into.
fn lists<'a>(artifact: Node<'a>, rows: &'a Rows) -> Result<Vec<List<'a>>, Raised> {
    let mut lists = Vec::new();
    if let Some(entries) = accounting(artifact)?.and_then(|accounting| accounting.get("extra_entries")) {
        let source = "artifact.accounting.extra_entries";
        check_list(entries, source)?;
        lists.push(List { entries, source: source.into(), layer: None });
    }
    for (name, row) in rows {
        let found = row.get("extra_components").or_else(|| row.get("accounting_entries"));
        let Some(entries) = found.filter(|entries| !entries.is_null()) else { continue };
        check_list(entries, &format!("artifact layer {name} extra_components"))?;
        // An empty list has no entries that messages could be about.
        if entries.is_truthy() {
            let source = format!("artifact.layers[{name}].extra_components");
            lists.push(List { entries, source, layer: Some(name) });
        }
    }
    Ok(lists)
}

fn check_list(list: Node, place: &str) -> Result<(), Raised> {
    let Some(mut items) = list.items() else {
        return Err(Raised::value(format!("{place} must be a list")));
    };
    if items.all(Node::is_object) {
        return Ok(());
    }
    Err(Raised::value(format!("{place} entries must be objects")))
}

fn read_entry(declared: &Declared, index: usize, config: &RuleSet) -> Result<Entry, Halt> {
    let Declared { fields, source, layer } = *declared;
    let text = |key: &str| fields.get(key).filter(|value| value.is_truthy()).map(Node::to_text).transpose();
    let name = text("name")?.map(|name| trim(&name).to_owned()).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| format!("extra_{index}"));
    let role = text("role")?.map_or("side".into(), |role| lower(trim(&role)));
    let place = format!("{source}.{name}");
    if !ROLES.contains(&role.as_str()) {
        return Err(Raised::value(format!("{place} uses unsupported accounting role: {role}")).into());
    }
    let count_place = format!("{place}.parameter_count");
    let count = fields.get("parameter_count").map_or(Value::Null, Node::scalar);
    let parameters = non_negative(&count, &count_place)?;
    if parameters.is_zero() {
        return Err(Raised::value(format!("{count_place} must be greater than zero")).into());
    }
    let is_rescue = fields.get("counts_toward_rescue").is_some_and(Node::is_truthy)
        || RESCUE_ROLES.contains(&role.as_str());
    let bits = read_bits(fields, &parameters, is_rescue, &place, config)?;
    let layer = match fields.get("layer") {
        None => layer.map(str::to_owned),
        Some(layer) if layer.is_null() => None,
        Some(layer) => Some(layer.to_text()?),
    };
    Ok(Entry { name, role, layer, parameters, bits, is_rescue })
}

fn read_bits(
    fields: Node,
    parameters: &BigInt,
    is_rescue: bool,
    place: &str,
    config: &RuleSet,
) -> Result<BigInt, Raised> {
    let ceil_times = |bits: f64| {
        let product = to_float(&parameters.clone().into())? * bits;
        to_int(&product.ceil().into())
    };
    if let Some(bits) = fields.get("compressed_bits") {
        return non_negative(&bits.scalar(), &format!("{place}.compressed_bits"));
    }
    if let Some(bytes) = fields.get("size_bytes") {
        return Ok(non_negative(&bytes.scalar(), &format!("{place}.size_bytes"))? * 8);
    }
    if let Some(bits) = fields.get("bits_per_parameter") {
        return match to_float(&bits.scalar()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::python::Json;

    fn entry(text: &str) -> Result<Entry, Raised> {
        let json = Json::parse(text).unwrap();
        let declared = Declared { fields: json.root(), source: "s", layer: Some("mlp_up") };
        read_entry(&declared, 3, &RuleSet::binary()).map_err(|halt| match halt {
            Halt::Raised(raised) => raised,
            Halt::Fault(error) => panic!("{error}"),
        })
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
