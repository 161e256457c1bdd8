//! A scheme as a maker describes it, for weights that only the maker's own code reads.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Count, IN_ORDER, Level, Packing, Piece, Run, Scale, Scaling, Scheme, Share, Slot, Words, Zero};
use crate::{Error, ErrorKind, Result};

/// Tables of the description, and what each may say.
const TABLES: [(&str, &[&str]); 4] = [
    ("", &["name", "count", "tensors", "words", "values"]),
    ("tensors", &["codes", "scales", "zeros", "group_of_input", "table"]),
    ("words", &["bits", "run", "high_first", "transposed", "order"]),
    (
        "values",
        &[
            "level",
            "less",
            "scale",
            "scaling",
            "zero",
            "zero_run",
            "zero_plus",
            "inputs",
            "tiles",
            "neighbours",
        ],
    ),
];

const RUNS: [(&str, Run); 3] = [("along", Run::Along), ("down", Run::Down), ("blocks", Run::Blocks)];

impl Scheme {
    /// The scheme that a description says, a table of `name`, `count` and the tables `tensors`, `words` and `values`
    /// (docs/layouts.md).
    ///
    /// # Errors
    /// Something that is not known, of the wrong type, out of range or missing, by its name.
    pub fn given(description: &Value) -> Result<Self> {
        let tables = TABLES.map(|(name, _)| match name {
            "" => description.as_object(),
            _ => description.get(name).and_then(Value::as_object),
        });
        for ((table, known), found) in TABLES.iter().zip(tables) {
            let Some(found) = found else { return Err(missing(table)) };
            if let Some(key) = found.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(Error::new(ErrorKind::BadName, "the layout says something that is not known")
                    .within(key)
                    .expected_found(known.join(", "), key));
            }
        }
        let [top, tensors, words, values] = tables.map(Table);
        let pieces = [
            ("codes", Piece::Codes),
            ("scales", Piece::Scales),
            ("zeros", Piece::Zeros),
            ("group_of_input", Piece::GroupOfInput),
            ("table", Piece::Table),
        ];
        let mut slots = Vec::new();
        for (key, piece) in pieces {
            match tensors.text(key)? {
                Some(suffix) => slots.push(Slot { piece, suffix: Cow::Owned(suffix.to_owned()) }),
                None if matches!(piece, Piece::Codes | Piece::Scales) => return Err(missing(key)),
                None => {}
            }
        }
        let number = |table: &Table, key: &str, most: u64| table.number(key, most);
        let packing = Packing {
            words: Words {
                bits: number(&words, "bits", 8)?.unwrap_or(0) as u32,
                run: words.one_of("run", Run::Along, &RUNS)?,
                high_first: words.flag("high_first")?,
                transposed: words.flag("transposed")?,
                order: words.order()?,
            },
            level: values.one_of(
                "level",
                Level::Less(number(&values, "less", 255)?.unwrap_or(0) as u32),
                &[
                    ("signed", Level::Signed),
                    ("less-half", Level::LessHalf),
                    ("e2m1", Level::E2m1),
                    ("e4m3", Level::E4m3),
                    ("table", Level::Table),
                ],
            )?,
            scale: values.one_of("scale", Scale::Float, &[("e8m0", Scale::E8m0), ("e4m3", Scale::E4m3)])?,
            scaling: values.one_of("scaling", Scaling::Times, &[("over", Scaling::Over)])?,
            zero: {
                let run = values.one_of("zero_run", Run::Along, &RUNS)?;
                let plus = number(&values, "zero_plus", 255)?.unwrap_or(0) as u32;
                let packed = Zero::Packed { run, plus };
                values.one_of(
                    "zero",
                    Zero::None,
                    &[("bias", Zero::Bias), ("number", Zero::Number), ("packed", packed)],
                )?
            },
            share: match (number(&values, "tiles", 1 << 24)?, number(&values, "neighbours", 1 << 24)?) {
                (Some(side), _) => Share::Tiles(side),
                (None, Some(count)) => Share::Neighbours(count),
                (None, None) => Share::Inputs(number(&values, "inputs", 1 << 24)?.unwrap_or(0)),
            },
            fault: None,
        };
        let count = top.one_of(
            "count",
            Count::Full,
            &[("nothing", Count::Nothing), ("codes", Count::Codes), ("tensors", Count::Tensors)],
        )?;
        let name = top.text("name")?.unwrap_or("given layout").to_owned();
        Ok(Self {
            name: Cow::Owned(name),
            slots: Cow::Owned(slots),
            packings: Cow::Owned(vec![packing]),
            count,
            fault: None,
            doubt: None,
            note: "Weights are counted and read by the layout that you gave, whatever the artifact's own code does.",
            prefix: "",
            is_mlx: false,
            rounds_inputs: false,
            scales_biases: false,
            has_equal_tiles: false,
        })
    }
}

/// One table of a description.
struct Table<'a>(Option<&'a Map<String, Value>>);

impl<'a> Table<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0?.get(key)
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key).map(|value| value.as_str().ok_or_else(|| wrong(key, "a text", value))).transpose()
    }

    fn flag(&self, key: &str) -> Result<bool> {
        self.get(key)
            .map_or(Ok(false), |value| value.as_bool().ok_or_else(|| wrong(key, "true or false", value)))
    }

    /// A whole number from 1 to `most`.
    fn number(&self, key: &str, most: u64) -> Result<Option<u64>> {
        let read = |value: &Value| {
            let number = value.as_u64().filter(|number| (1..=most).contains(number));
            number.ok_or_else(|| wrong(key, &format!("1 to {most}"), value))
        };
        self.get(key).map(read).transpose()
    }

    fn one_of<T: Copy>(&self, key: &str, default: T, known: &[(&str, T)]) -> Result<T> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let found = known.iter().find(|(name, _)| value == name);
        found.map(|(_, what)| *what).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            wrong(key, &names.join(", "), value)
        })
    }

    /// A permutation of 0 to 7.
    fn order(&self) -> Result<[u8; 8]> {
        let Some(value) = self.get("order") else { return Ok(IN_ORDER) };
        let list = value.as_array().map(|list| list.iter().map(|at| at.as_u64().unwrap_or(8) as u8));
        let order: Option<[u8; 8]> = list.and_then(|list| list.collect::<Vec<_>>().try_into().ok());
        let is_order = |order: &[u8; 8]| IN_ORDER.iter().all(|at| order.contains(at));
        order.filter(is_order).ok_or_else(|| wrong("order", "0 to 7, each once", value))
    }
}

fn missing(key: &str) -> Error {
    Error::new(ErrorKind::Missing, "the layout lacks a required field")
        .within(key)
        .expected_found(key, "nothing")
}

fn wrong(key: &str, expected: &str, found: &Value) -> Error {
    Error::new(ErrorKind::BadValue, "the layout says something that can't be")
        .within(key)
        .expected_found(expected, format!("{found:.60}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::layouts::schemes::GPTQ;

    fn gptq() -> Value {
        json!({
            "name": "mine", "count": "nothing",
            "tensors": {"codes": "qweight", "scales": "scales", "zeros": "qzeros", "group_of_input": "g_idx"},
            "words": {"run": "down", "transposed": true},
            "values": {"zero": "packed", "zero_plus": 1},
        })
    }

    #[test]
    fn a_known_scheme_can_be_said() {
        let given = Scheme::given(&gptq()).expect("a layout");
        assert_eq!((given.name.as_ref(), given.count), ("mine", GPTQ.count));
        assert_eq!((given.slots, given.packings), (GPTQ.slots, GPTQ.packings));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |table: &str, key: &str, value: Value| {
            let mut layout = gptq();
            layout[table][key] = value;
            let error = Scheme::given(&layout).expect_err("a fault");
            assert_eq!(error.place, key);
            error.kind
        };
        assert_eq!(with("words", "bits", json!(9)), ErrorKind::BadValue);
        assert_eq!(with("words", "run", json!("up")), ErrorKind::BadValue);
        assert_eq!(with("words", "order", json!([0, 1, 2, 3, 4, 5, 6, 6])), ErrorKind::BadValue);
        assert_eq!(with("words", "width", json!(1)), ErrorKind::BadName);
        assert_eq!(with("values", "inputs", json!(0)), ErrorKind::BadValue);
        assert_eq!(with("tensors", "scales", json!(1)), ErrorKind::BadValue);
        let mut layout = gptq();
        layout["tensors"] = json!({"codes": "qweight"});
        assert_eq!(Scheme::given(&layout).expect_err("no scales").place, "scales");
        assert_eq!(Scheme::given(&json!({})).expect_err("nothing").kind, ErrorKind::Missing);
    }
}
