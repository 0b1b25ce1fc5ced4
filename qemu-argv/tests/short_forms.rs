//! Short forms in files.

use qemu_argv::{Memory, Size, VmConfig};

#[test]
fn a_number_of_memory_is_mebibytes() {
    let memory = |text: &str| toml::from_str::<VmConfig>(text).map(|config| config.memory);
    for (text, size) in [
        ("memory = 2048", Size::gib(2)),
        ("memory = '2048'", Size::gib(2)),
        ("memory = { size = 64 }", Size::mib(64)),
        ("memory = '16KiB'", Size::kib(16)),
        ("memory = '1048576B'", Size::mib(1)),
    ] {
        assert_eq!(memory(text).expect(text), Memory::new(size), "{text}");
    }
    let bytes = memory("memory = 2147483648").expect_err("2 PiB").to_string();
    assert!(bytes.contains("for bytes, write \"2147483648B\""), "{bytes}");
}
