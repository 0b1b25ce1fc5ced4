//! The built program, as people and scripts use it.

mod control;
mod guest;
mod input;
mod inside;
mod mistakes;
mod plans;
mod program;
mod run;
mod screen;
mod terminal;
