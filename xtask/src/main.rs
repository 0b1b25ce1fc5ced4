//! The workshop: `cargo xtask demo`, `cargo xtask test` and the smaller jobs they are made of.

fn main() {}
