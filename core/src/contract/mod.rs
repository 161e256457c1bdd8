//! The competition's rules, to the bit: budgets and gates, and the validator's own runs.
//!
//! [`judge`] holds an artifact against the gates for the report. The rest is the validator's twin:
//! all in the validator's own words ([`python::Raised`]).

pub mod direct;
pub mod documents;
mod environment;
mod gates;
mod halt;
pub mod numpy;
pub mod proxy;
pub mod python;
mod report_fields;
mod rule_set;
mod rules;

pub use documents::{Selection, choose_documents, select_documents};
pub use environment::Environment;
pub use gates::{Evidence, judge};
pub use halt::Halt;
pub use rule_set::{
    FRACTION_TOLERANCE, Limits, PARAMETER_COUNT_MULTIPLIER, PPL_RESOLUTION_NATS, PROXY_MODEL,
    PROXY_PARAMETERS, REFERENCE_PARAMETERS, RESCUE_QUANTIZATION, RESCUE_SCALE_BITS, RESCUE_SCALE_GROUP,
    RuleSet,
};
pub use rules::Rules;
