//! The renderer against real QEMUs: what it plans is accepted, means what it says, and can neither be injected into nor leaks.

mod accepted;
mod again;
mod come_and_go;
mod facts;
mod hostile;
mod meaning;
mod outside;
mod secrets;
mod texts;
mod world;
