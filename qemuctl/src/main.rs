//! The `qemuctl` program.

fn main() {}
