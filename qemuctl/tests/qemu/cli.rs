//! The built program, as people and scripts use it.

mod control;
mod guest;
mod guide;
mod input;
mod inside;
mod program;
mod run;
