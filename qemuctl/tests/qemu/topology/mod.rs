//! Every device is where the plan says, on real boards and in real guests.

mod boards;
mod frozen;
mod guest;
mod many;
mod mixes;
mod tree;
