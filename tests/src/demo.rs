//! The demo's report, as the command makes it.

use bitgauge_core::contract::Rules;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::Report;
use bitgauge_core::scan::Scan;
use native_eval::Source;

const DEMO: &[u8] = include_bytes!("../../demo/model.zip");

/// Inspects the demo.
pub fn report() -> Report {
    let mut source = Source::from_bytes("model.zip", DEMO).expect("the demo");
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).expect("the demo");
    let mut scan = Scan::new(&inventory);
    scan.begin_file(0).expect("the demo");
    source.stream_file(0, &mut |bytes| scan.push(bytes)).expect("the demo");
    inspect::report("model.zip", &inventory, Rules::Binary, Some(&scan.finish().expect("the demo")))
}
