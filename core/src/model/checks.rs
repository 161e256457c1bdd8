//! What transformers checks of config.json when it makes a configuration of it, beyond what a decoder is read from.
//!
//! [docs/loading.md](../../../docs/loading.md) lists all of it. transformers 5 checks the type of each field that its class
//! declares; other names it sets as attributes, which is harmless where they hide none of its own.

use serde_json::Value;

use super::arch::Decoder;
use super::family::Family;
use super::fields::Fields;
use super::rotary::{rope_group, rope_type};
use crate::Result;

/// What config.json alone says about whether transformers loads the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loading {
    /// What keeps it from loading, a sentence each.
    pub faults: Vec<String>,
    /// What is not modelled here, a sentence each: whether it loads, or what it then computes, stays open.
    pub doubts: Vec<String>,
}

const INT: u8 = 1;
const FLOAT: u8 = 2;
const BOOL: u8 = 4;
const TEXT: u8 = 8;
const NULL: u8 = 16;
const INTS: u8 = 32;
const TEXTS: u8 = 64;
pub(super) const OBJECT: u8 = 128;
/// What the kinds are called, in the order of their bits.
const KINDS: [&str; 8] =
    ["int", "float", "bool", "string", "null", "list of int", "list of string", "object"];

/// An object of config.json, and the class that transformers makes of it. The numbers are columns of [`TYPES`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Qwen3 = 0,
    Qwen35Text = 1,
    Llama = 2,
    /// `Qwen3_5Config`, which holds a text and a vision configuration.
    Qwen35 = 3,
    Vision = 4,
}

impl Class {
    fn is_decoder(self) -> bool {
        !matches!(self, Self::Qwen35 | Self::Vision)
    }
}

/// The same kinds in every class.
const fn all(kinds: u8) -> [u8; 5] {
    [kinds; 5]
}

/// The same kinds in every decoder.
const fn decoders(kinds: u8) -> [u8; 5] {
    [kinds, kinds, kinds, 0, 0]
}

/// The kinds that transformers 5.24 takes for each field that a class declares; 0 where it declares none.
const TYPES: [(&str, [u8; 5]); 54] = [
    ("architectures", all(TEXTS | NULL)),
    ("attention_bias", decoders(BOOL)),
    ("attention_dropout", [FLOAT | INT, FLOAT | INT, FLOAT | INT | NULL, 0, 0]),
    ("bos_token_id", decoders(INT | NULL)),
    ("chunk_size_feed_forward", all(INT)),
    ("depth", [0, 0, 0, 0, INT]),
    ("dtype", all(TEXT | NULL)),
    ("eos_token_id", decoders(INT | INTS | NULL)),
    ("head_dim", [INT, INT, INT | NULL, 0, 0]),
    ("hidden_act", [TEXT, TEXT, TEXT, 0, TEXT]),
    ("hidden_size", [INT, INT, INT, 0, INT]),
    ("id2label", all(OBJECT | NULL)),
    ("image_token_id", [0, 0, 0, INT, 0]),
    ("in_channels", [0, 0, 0, 0, INT]),
    ("initializer_range", [FLOAT, FLOAT, FLOAT, 0, FLOAT]),
    ("intermediate_size", [INT, INT, INT, 0, INT]),
    ("is_encoder_decoder", all(BOOL)),
    ("label2id", all(OBJECT | NULL)),
    ("layer_types", decoders(TEXTS | NULL)),
    ("linear_conv_kernel_dim", [0, INT, 0, 0, 0]),
    ("linear_key_head_dim", [0, INT, 0, 0, 0]),
    ("linear_num_key_heads", [0, INT, 0, 0, 0]),
    ("linear_num_value_heads", [0, INT, 0, 0, 0]),
    ("linear_value_head_dim", [0, INT, 0, 0, 0]),
    ("max_position_embeddings", decoders(INT)),
    ("max_window_layers", [INT, 0, 0, 0, 0]),
    ("mlp_bias", [0, 0, BOOL, 0, 0]),
    ("num_attention_heads", decoders(INT)),
    ("num_heads", [0, 0, 0, 0, INT]),
    ("num_hidden_layers", decoders(INT)),
    ("num_key_value_heads", [INT | NULL, INT, INT | NULL, 0, 0]),
    ("num_position_embeddings", [0, 0, 0, 0, INT]),
    ("out_hidden_size", [0, 0, 0, 0, INT]),
    ("output_hidden_states", all(BOOL | NULL)),
    ("pad_token_id", decoders(INT | NULL)),
    ("patch_size", [0, 0, 0, 0, INT | INTS]),
    ("pretraining_tp", [0, 0, INT | NULL, 0, 0]),
    ("return_dict", all(BOOL | NULL)),
    ("rms_norm_eps", decoders(FLOAT)),
    ("rope_parameters", [OBJECT | NULL, OBJECT | NULL, OBJECT | NULL, 0, OBJECT | NULL]),
    ("sliding_window", [INT | NULL, 0, 0, 0, 0]),
    ("spatial_merge_size", [0, 0, 0, 0, INT]),
    ("temporal_patch_size", [0, 0, 0, 0, INT | INTS]),
    ("text_config", [0, 0, 0, OBJECT, 0]),
    ("tie_word_embeddings", [BOOL, BOOL, BOOL, BOOL, 0]),
    ("torch_dtype", all(TEXT | NULL)),
    ("transformers_version", all(TEXT | NULL)),
    ("use_cache", decoders(BOOL)),
    ("use_sliding_window", [BOOL, 0, 0, 0, 0]),
    ("video_token_id", [0, 0, 0, INT, 0]),
    ("vision_config", [0, 0, 0, OBJECT | NULL, 0]),
    ("vision_end_token_id", [0, 0, 0, INT, 0]),
    ("vision_start_token_id", [0, 0, 0, INT, 0]),
    ("vocab_size", decoders(INT)),
];

/// Fields of the class that all others are made from: whether a value of another type is refused depends on the version
/// (5.17 refuses it, 5.24 does not).
const OF_ALL: [&str; 10] = [
    "architectures",
    "chunk_size_feed_forward",
    "dtype",
    "id2label",
    "is_encoder_decoder",
    "label2id",
    "output_hidden_states",
    "return_dict",
    "torch_dtype",
    "transformers_version",
];

/// Fields that change what is loaded or computed, unless they are null, false or empty.
const CHANGING: [&str; 11] = [
    "chunk_size_feed_forward",
    "compression_config",
    "experts_implementation",
    "is_encoder_decoder",
    "original_max_position_embeddings",
    "output_attentions",
    "per_layer_config",
    "problem_type",
    "pruned_heads",
    "torchscript",
    "transformers_weights",
];

/// Fields that go into the settings of text generation, which transformers checks, or that name another configuration.
const ELSEWHERE: [&str; 12] = [
    "assistant_ensemble_weight",
    "cache_implementation",
    "compile_config",
    "decoder",
    "early_stopping",
    "generator",
    "max_new_tokens",
    "num_return_sequences",
    "suppress_tokens",
    "text_config",
    "text_encoder",
    "watermarking_config",
];

/// How the fields begin that hide an attribute or an argument of transformers' class, or that other code of it looks for:
/// whether attention is causal, another configuration's file, kinds of layers, layers that share their cache.
const ATTRIBUTES: &str = "allow_global_ attention_chunk attribute_map base_ configuration_files convert_ default_ dict_ extra_ from_ \
    fusion_ get_ gradient_check ignore_keys is_c is_h is_r kv_sharing mlp_layer mtp_layer nested_ number_of_ \
    per_layer_attributes push_ register_ save_ self serialize_ standardize_ sub_configs to_ update use_return_dict validate";

/// Fields that begin with an underscore and that published files have.
const PRIVATE: [&str; 3] = ["_name_or_path", "_commit_hash", "_attn_implementation_autoset"];

impl Loading {
    /// Checks config.json; `text` are the fields that the decoder was read from.
    pub(super) fn of(
        model_type: &str,
        decoder: &Decoder,
        is_packed: bool,
        outer: &Fields<'_>,
        text: Option<&Fields<'_>>,
    ) -> Result<Self> {
        let mut loading = Self::default();
        let class = match decoder.family {
            Family::Qwen3 => Class::Qwen3,
            Family::Qwen35 => Class::Qwen35Text,
            Family::Llama => Class::Llama,
        };
        let is_nested = model_type != decoder.family.decoder_type();
        if is_nested {
            loading.check(Class::Qwen35, outer);
            if let Some(vision) = outer.object("vision_config")? {
                loading.check(Class::Vision, &vision);
            }
            match text {
                Some(text) => {
                    loading.check(class, text);
                    for name in ["auto_map", "quantization_config"] {
                        loading.doubt(text.get(name).is_some(), || format!("`text_config.{name}`"));
                    }
                }
                None => loading
                    .doubts
                    .push("without `text_config` transformers takes the sizes of its class".to_owned()),
            }
        } else {
            loading.check(class, outer);
        }
        loading.check_decoder(decoder, is_packed, text.unwrap_or(outer))?;
        Ok(loading)
    }

    fn fault(&mut self, is_one: bool, what: impl FnOnce() -> String) {
        if is_one {
            self.faults.push(what());
        }
    }

    /// Notes what is not modelled.
    fn doubt(&mut self, is_one: bool, what: impl FnOnce() -> String) {
        if is_one {
            self.doubts
                .push(format!("config.json sets {}, whose effect in transformers is not known here", what()));
        }
    }

    /// Checks each field of an object by itself.
    fn check(&mut self, class: Class, fields: &Fields<'_>) {
        for (name, value) in fields.all() {
            let name = name.as_str();
            let kinds = TYPES.iter().find(|(known, _)| *known == name).map_or(0, |row| row.1[class as usize]);
            if kinds != 0 && kinds_of(value) & kinds == 0 {
                let wanted = (0..8).filter(|bit| kinds >> bit & 1 == 1).map(|bit| KINDS[bit]);
                let wanted = wanted.collect::<Vec<_>>().join(" or ");
                let place = if OF_ALL.contains(&name) { &mut self.doubts } else { &mut self.faults };
                place.push(format!(
                    "transformers 5 takes {wanted} for `{}` and finds {value:.40}",
                    fields.name(name)
                ));
            }
            let is_hidden = match name {
                "torch_dtype" | "dtype" => !is_one_of(value, &["float32", "float16", "bfloat16", "float64"]),
                "attn_implementation" => !is_one_of(value, &["eager", "sdpa"]),
                "num_labels" => !value.is_u64() && !value.is_null(),
                "id2label" => {
                    let mut keys = value.as_object().into_iter().flat_map(|labels| labels.keys());
                    keys.any(|key| key.parse::<u32>().is_err())
                }
                _ if CHANGING.contains(&name) => !is_off(value),
                _ if ELSEWHERE.contains(&name) => kinds == 0 && !value.is_null(),
                // Checked wherever they stand, though the class has none.
                "layer_types" | "rope_parameters" | "rope_scaling" if !class.is_decoder() => {
                    kinds == 0 && !value.is_null()
                }
                _ if name.starts_with('_') => !PRIVATE.contains(&name),
                _ => hides_attribute(name),
            };
            self.doubt(is_hidden, || format!("`{}`", fields.name(name)));
        }
        let return_dict = fields.get("return_dict");
        self.fault(
            fields.is_null("return_dict") || return_dict.is_some_and(|value| value.as_bool() == Some(false)),
            || {
                "with `return_dict` off the model gives no logits by name, which the validator asks for"
                    .into()
            },
        );
    }

    /// Checks what depends on the sizes.
    fn check_decoder(&mut self, decoder: &Decoder, is_packed: bool, fields: &Fields<'_>) -> Result<()> {
        let rows = decoder.vocabulary as i64;
        let pad = fields.get("pad_token_id").filter(|pad| pad.is_number());
        let is_outside = |pad: &Value| pad.as_i64().is_none_or(|pad| pad >= rows || pad < -rows);
        self.fault(pad.is_some_and(is_outside), || {
            format!("`pad_token_id` is outside the {rows} rows of the embedding, which torch refuses")
        });
        let range = fields.get("initializer_range").and_then(Value::as_f64);
        self.fault(is_packed && range.is_some_and(|range| range < 0.0), || {
            "`initializer_range` is below 0, which torch refuses when it makes the model".into()
        });
        self.fault(
            decoder.family == Family::Llama
                && (!decoder.hidden.is_multiple_of(decoder.heads)
                    || range.is_some_and(|range| !(0.0..=1.0).contains(&range))),
            || {
                "LlamaConfig takes a `hidden_size` that is a multiple of `num_attention_heads` and an \
                 `initializer_range` from 0 to 1"
                    .into()
            },
        );
        let lists_window = fields.get("layer_types").is_some_and(|list| list.to_string().contains("sliding"));
        self.doubt(lists_window && !fields.flag("use_sliding_window")?, || {
            "layers with a sliding window, but no window".into()
        });
        let has_interval = decoder.delta_net.is_some() && fields.get("layer_types").is_none();
        self.fault(has_interval && fields.is_null("full_attention_interval"), || {
            "`full_attention_interval` is null".into()
        });
        let is_partial = decoder.family.defaults().partial_rotary_factor.is_some();
        self.doubt(!is_partial && fields.get("partial_rotary_factor").is_some(), || {
            "`partial_rotary_factor`".into()
        });
        self.check_rotary(decoder.family, fields)
    }

    fn check_rotary(&mut self, family: Family, fields: &Fields<'_>) -> Result<()> {
        let is_partial = family.defaults().partial_rotary_factor.is_some();
        let group = rope_group(fields)?;
        let has = |rope: &Fields<'_>, name| rope.get(name).is_some() || rope.is_null(name);
        let in_group = group.filter(|rope| has(rope, "rope_theta")).unwrap_or(*fields);
        self.fault(in_group.is_null("rope_theta"), || "`rope_theta` is null".into());
        let Some(rope) = group else { return Ok(()) };
        // llama has no types of layers, and passes them over.
        let is_by_layer = rope.all().any(|(name, _)| name.ends_with("_attention"));
        self.doubt(is_by_layer && family == Family::Llama, || rope.name("full_attention"));
        self.fault(is_by_layer && family != Family::Llama, || {
            "transformers takes one rotary embedding for all layers here, not one by layer type".into()
        });
        let kind = if has(&rope, "rope_type") { "rope_type" } else { "type" };
        self.fault(rope.is_null(kind), || format!("`{}` is null", rope.name(kind)));
        let original = "original_max_position_embeddings";
        self.fault(matches!(rope_type(&rope)?, "llama3" | "yarn") && rope.is_null(original), || {
            format!("`{}` is null", rope.name(original))
        });
        match rope_type(&rope)? {
            "default" | "llama3" | "linear" | "yarn" => {}
            "dynamic" => self.fault(rope.optional_positive("factor")?.is_none(), || {
                "the dynamic rotary scaling has no `factor`".into()
            }),
            kind @ ("longrope" | "proportional") => {
                self.doubt(true, || format!("the rotary scaling `{kind}`"));
            }
            kind => self.faults.push(format!("transformers knows no rotary scaling `{kind:.40}`")),
        }
        self.doubt(!is_partial && has(&rope, "partial_rotary_factor"), || rope.name("partial_rotary_factor"));
        let sections = rope.get("mrope_section");
        self.doubt(
            sections.is_some_and(|list| kinds_of(list) != INTS || list.as_array().map_or(0, Vec::len) < 3),
            || rope.name("mrope_section"),
        );
        Ok(())
    }
}

/// Whether a name begins like one of these words.
pub(super) fn begins(name: &str, words: &str) -> bool {
    words.split(' ').any(|begin| name.starts_with(begin))
}

/// Whether a name hides an attribute of one of transformers' configurations, or begins like one.
pub(super) fn hides_attribute(name: &str) -> bool {
    begins(name, ATTRIBUTES)
}

/// Whether some class declares a field of this name.
pub(super) fn is_declared(name: &str) -> bool {
    TYPES.iter().any(|(known, _)| *known == name)
}

/// The bits of the kinds that a value is of, to Python.
pub(super) fn kinds_of(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOL,
        Value::Number(number) if number.is_f64() => FLOAT,
        Value::Number(_) => INT,
        Value::String(_) => TEXT,
        Value::Array(list) => {
            let each = list.iter().fold(INT | TEXT, |kinds, item| kinds & kinds_of(item));
            (if each & INT == 0 { 0 } else { INTS }) | (if each & TEXT == 0 { 0 } else { TEXTS })
        }
        Value::Object(_) => OBJECT,
    }
}

fn is_one_of(value: &Value, names: &[&str]) -> bool {
    value.is_null() || names.iter().any(|name| value == name)
}

/// Whether Python would take a value for false.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
    }
}
