#!/usr/bin/env bash
# flate2 1.1.11 and zip 9.4.1 (Rust): a dependency on zip, unused, changes the bytes that flate2 compresses to.
#
# flate2 alone compresses with miniz_oxide. zip's feature `deflate` asks flate2 for its zlib-rs backend, cargo unifies
# features over the whole program, and where both backends are there zlib-rs wins. So the same source writes other
# files as soon as anything below it depends on zip: at level 1 half as large again, at level 6 a little larger. A
# program and its own WebAssembly build, of which only the first has zip, compress and inflate by different decoders.
# Hashes of compressed output, and measurements of its size, hold for a dependency tree, not for a version of flate2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for name in alone with_zip; do
  mkdir -p "$folder/$name/src"
  cat >"$folder/$name/Cargo.toml" <<TOML
[package]
name = "$name"
version = "0.0.0"
edition = "2021"

[dependencies]
flate2 = "=1.1.11"
miniz_oxide = "=0.9.1"
zlib-rs = { version = "=0.6.8", optional = true }
TOML
  cat >"$folder/$name/src/main.rs" <<'RUST'
use std::io::Write;

fn main() {
    let text: Vec<u8> =
        (0..20_000_u32).flat_map(|n| format!("{} {}\n", n, n * n % 9973).into_bytes()).collect();
    for level in [1, 6, 9] {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(&text).unwrap();
        println!("level {level}: {} bytes", encoder.finish().unwrap().len());
    }
}
RUST
done
sed -i '/^zlib-rs/d' "$folder/alone/Cargo.toml"
sed -i 's/, optional = true//' "$folder/with_zip/Cargo.toml"
echo 'zip = { version = "=9.4.1", default-features = false, features = ["deflate"] }' >>"$folder/with_zip/Cargo.toml"

cat >"$folder/expected" <<'OUTPUT'
alone
level 1: 99765 bytes
level 6: 89983 bytes
level 9: 89983 bytes
with_zip
level 1: 145038 bytes
level 6: 92115 bytes
level 9: 89867 bytes
OUTPUT
for name in alone with_zip; do
  echo "$name"
  (cd "$folder/$name" && CARGO_TARGET_DIR="$folder/target" cargo run --quiet)
done | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
