//! The built program, as people and scripts use it.

mod boots;
mod configs;
mod control;
mod crowd;
pub mod cycles;
mod ends;
mod foreign;
mod given;
mod guest;
mod home;
mod images;
mod import;
mod input;
mod inside;
mod jobs;
mod leftovers;
mod mistakes;
mod plans;
mod program;
mod run;
mod screen;
mod setup;
mod terminal;
mod throwaway;
mod unseen;
mod visitors;
mod ways;
