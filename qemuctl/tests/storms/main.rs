//! What only shows after thousands of rounds, or after minutes. `cargo xtask storm` runs it.

mod all_boards;
#[path = "../qemu/boards.rs"]
mod boards;
#[path = "../qemu/boot_sector.rs"]
#[expect(dead_code, reason = "one guest is enough here")]
mod boot_sector;
#[path = "../qemu/cli"]
mod cli {
    pub mod crowd;
    pub mod cycles;
    #[expect(dead_code, reason = "not every guest is needed here")]
    pub mod guest;
    #[expect(dead_code, reason = "not every way to run the program is needed here")]
    pub mod program;
}
mod corpus;
mod cycles;
mod minutes;
#[path = "../qemu/own_process.rs"]
#[expect(dead_code, reason = "nobody counts descriptors here")]
mod own_process;
#[path = "../qemu/support.rs"]
mod support;
mod visitors;
