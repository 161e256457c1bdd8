// Staging of dense weights: nothing is held back.

alias Held = u32;

fn hold(place: u32, k: u32) -> Held {
    return 0u;
}

// Columns k .. k + 64 of the row at `place`, from quad `slot` of w_tile on.
fn stage(slot: u32, place: u32, k: u32, half: u32, held: Held) {
    stage_decoded(slot, place, k);
}
