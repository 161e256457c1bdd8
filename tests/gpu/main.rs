//! The GPU kernels: every shader is valid everywhere, and every kernel agrees with its CPU twin.

mod shaders;

fn main() {
    let (mut passed, mut failed) = (0, 0);
    for (name, result) in shaders::cases() {
        match result {
            Ok(()) => passed += 1,
            Err(why) => {
                failed += 1;
                println!("FAILED {name}\n{why}\n");
            }
        }
    }
    println!("cases: {passed} passed, {failed} failed");
    std::process::exit(i32::from(failed > 0));
}
