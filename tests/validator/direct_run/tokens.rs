//! `tokens.json`: the ids of a text, cut to a length, and the id of padding.

use std::sync::{Mutex, OnceLock};

use std::collections::HashMap;

use bitgauge_core::contract::python::{Value, to_int};
use bitgauge_core::model::Transformers;
use native_eval::{LocalFiles, ValidatorTokenizer, find_tokenizer};
use num_traits::ToPrimitive;

use crate::golden::{Goldens, Outcome, field, same, text};

pub fn case(goldens: &Goldens, _: &Value, case: &Value) -> Outcome {
    run(goldens, case).into()
}

fn run(goldens: &Goldens, case: &Value) -> Result<(), String> {
    let input = field(case, "input")?;
    let id = text(input, "tokenizer")?;
    // Reading a tokenizer costs more than using it.
    static READ: OnceLock<Mutex<HashMap<String, ValidatorTokenizer>>> = OnceLock::new();
    let mut read = READ.get_or_init(Mutex::default).lock().map_err(|e| e.to_string())?;
    if !read.contains_key(id) {
        let files = LocalFiles::new(&goldens.folder().join("direct_run"));
        read.insert(
            id.to_owned(),
            find_tokenizer(id, None, &files, Transformers::V5).map_err(|e| e.to_string())?,
        );
    }
    let tokenizer = &read[id];
    let length = to_int(field(input, "max_length")?).ok().and_then(|int| int.to_u64()).ok_or("no length")?;
    let ids = tokenizer.encode(text(input, "text")?, length).map_err(|e| e.to_string())?;
    let got = Value::Array(ids.into_iter().map(|id| u64::from(id).into()).collect());
    same(&got, field(field(case, "expected")?, "ok")?)?;
    same(&u64::from(tokenizer.pad_id).into(), field(input, "pad_token_id")?)
}
