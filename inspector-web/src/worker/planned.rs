//! How the worker that measures is to load what is open.

use bitgauge_core::container::{Compression, Need};
use bitgauge_core::format::decode_values;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::plan::Plan;
use bitgauge_core::{Error, ErrorKind, Result};

use super::read::Source;
use super::{PIECE_BYTES, SUBJECT, send};
use crate::protocol::Event;

/// Tells the page.
pub async fn tell() -> Result<()> {
    let subject = SUBJECT.with_borrow(Clone::clone).ok_or_else(|| {
        Error::new(ErrorKind::Missing, "nothing is open that could be measured").hint("open the model again")
    })?;
    let place = |error: Error| error.within(&subject.name);
    let inventory = Inventory::of(&subject.artifact).map_err(place)?;
    let untied = heads_differ(&subject.source, &inventory).await.map_err(place)?;
    let plan = Plan::of(&if untied { inventory.untied() } else { inventory });
    send(&Event::Plan { plan: plan.map_err(place)?.to_json() });
    Ok(())
}

/// Whether a dense model that says its head is its embedding holds two matrices whose values differ: transformers 5 then keeps
/// both.
async fn heads_differ(source: &Source, inventory: &Inventory<'_>) -> Result<bool> {
    let Some(pair) = inventory.tied_pair else { return Ok(false) };
    let [embedding, head] = pair.map(|index| &inventory.artifact.tensors[index]);
    let values = |tensor: &bitgauge_core::container::TensorEntry| tensor.bytes / tensor.dtype.bytes();
    if values(embedding) != values(head) {
        return Ok(true);
    }
    let (count, step) = (values(embedding), u64::from(PIECE_BYTES) / 8);
    for start in (0..count).step_by(step as usize) {
        let mut pieces = Vec::new();
        for tensor in [embedding, head] {
            let member = &inventory.artifact.members[tensor.member];
            if inventory.artifact.compressed.is_some() || member.compression != Compression::Stored {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "a browser does not compare a head with its embedding where they are compressed",
                )
                .within(&tensor.name)
                .expected_found("weights that are stored as they are", "compressed ones")
                .hint("`bitgauge eval` measures it; or unpack it and open the folder here"));
            }
            let (width, some) = (tensor.dtype.bytes(), step.min(count - start));
            let offset = member.offset + tensor.offset + start * width;
            let (_, bytes) = source.range(Need { file: member.file, offset, len: some * width }).await?;
            pieces.push(decode_values(&tensor.name, tensor.dtype, &bytes)?.to_f32());
        }
        // -0 is 0.
        if pieces[0] != pieces[1] {
            return Ok(true);
        }
    }
    Ok(false)
}
