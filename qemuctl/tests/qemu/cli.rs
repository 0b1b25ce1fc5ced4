//! The built program, as people and scripts use it.

mod guest;
mod input;
mod program;
mod run;
