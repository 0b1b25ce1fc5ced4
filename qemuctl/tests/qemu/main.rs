//! Tests that drive a real QEMU. They fail, saying what is missing, where it is not there.

mod client;
mod support;
