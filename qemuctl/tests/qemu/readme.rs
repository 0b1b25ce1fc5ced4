//! The README's machine is the same in Rust and in TOML.

use qemuctl::{
    VmConfig,
    config::{Disk, Memory, Network, Size},
};

#[test]
fn the_toml_example_is_the_machine_of_the_rust_example() {
    let readme = include_str!("../../../README.md");
    let (_, block) = readme.split_once("```toml\n").expect("the README has a TOML block");
    let (file, _) = block.split_once("```").expect("the block ends");
    let config: VmConfig = toml::from_str(file).expect("the README's machine is valid");
    // As the README's Rust example, which runs as a doctest, writes it.
    let expected = VmConfig {
        name: Some("web".into()),
        memory: Memory::new(Size::gib(2)),
        disks: vec![Disk::file("/vm/web.qcow2")],
        networks: vec![Network::default()],
        ..VmConfig::default()
    };
    assert_eq!(config, expected);
}
