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

/// The words that people know from QEMU and other tools: taken, or answered with the right ones.
#[test]
fn words_of_other_tools_are_taken_or_answered() {
    let taken =
        |text: &str| toml::from_str::<VmConfig>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let answered = |text: &str| {
        let error = toml::from_str::<VmConfig>(text).expect_err(text).to_string();
        error.lines().last().unwrap_or_default().to_owned()
    };
    for (word, same) in [
        ("vnc = ':1'", "vnc = { listen = { type = 'inet', port = 5901 } }"),
        ("firmware = 'OVMF.fd'", "firmware = { type = 'bios', path = 'OVMF.fd' }"),
        ("firmware = 'none'", "firmware = { type = 'none' }"),
        (
            "cpu = 'host,l3-cache=off,-pdpe1gb,phys-bits=40,+x2apic'",
            "cpu = { model = 'host', features = { x2apic = true, pdpe1gb = false, l3-cache = false, phys-bits = 40 } }",
        ),
        (
            "networks = [{ backend = { type = 'user', forwards = ['2222:22'] } }]",
            "networks = [{ backend = { type = 'user', forwards = ['tcp:127.0.0.1:2222-:22'] } }]",
        ),
        ("video = ['std']", "video = ['vga']"),
        ("rng = { address = '0x6' }", "rng = { address = '06.0' }"),
        ("rng = { address = '0x6.0x1' }", "rng = { address = '06.1' }"),
        ("machine = { accel = 'kvm:tcg' }", "machine = { accel = 'auto' }"),
        ("memory = 2048", "memory = '2GiB'"),
    ] {
        assert_eq!(taken(word), taken(same), "{word}");
    }
    let answers: Vec<_> = [
        "networks = ['tap']",
        "networks = ['bridge']",
        "networks = ['none']",
        "serials = ['none']",
        "video = ['none']",
        "video = ['virtio']",
        "firmware = 'default'",
        "firmware = 'bios'",
    ]
    .map(|text| format!("{text}: {}", answered(text)))
    .into();
    insta::assert_snapshot!(answers.join("\n"));
}
