//! The boards of one version, which are tried in every run (those of the others by `cargo xtask boards`), and what `check` says of
//! boards that do not start.

use qemu_argv::{AccelChoice, Arch, Cpu, Endpoints, Machine, Props, VmConfig, plan};
use qemuctl::launch::{Qemu, check_board};

use super::support::{VERSIONS, qemu};

#[tokio::test(flavor = "multi_thread")]
async fn every_board_of_one_version_starts_or_is_refused() {
    super::boards::every_board("10.0").await;
}

/// What the check says of a machine; empty: that it starts.
async fn said(version: &str, arch: Arch, kind: &str, cpu: Cpu, options: Props) -> String {
    let program = qemu(version, &format!("qemu-system-{}", arch.qemu_name()));
    let machine = Machine { kind: Some(kind.into()), accel: AccelChoice::Tcg, options, ..Machine::default() };
    let config = VmConfig { arch: Some(arch), qemu: Some(program), machine, cpu, ..VmConfig::default() };
    let found = Qemu::find(&config).await.expect("found");
    let plan = plan(&config, &found.target, &Endpoints::default()).expect("a plan");
    match check_board(&found, &config, &plan).await {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_check_knows_what_this_qemu_knows() {
    let none = Props::new;
    for version in VERSIONS {
        let model = |model: &str| Cpu { model: Some(model.into()), ..Cpu::default() };
        for (arch, kind, cpu, options, parts) in [
            (
                Arch::X86_64,
                "micorvm",
                Cpu::default(),
                none(),
                &["machine.type", "\"micorvm\"", "did you mean `microvm`?"][..],
            ),
            (Arch::X86_64, "q35", model("Hasvell"), none(), &["cpu.model", "did you mean `Haswell`?"]),
            (
                Arch::M68k,
                "mcf5208evb",
                Cpu::default(),
                none(),
                &["machine:", "Kernel image must be specified"],
            ),
            (Arch::X86_64, "pc", Cpu::default(), none().with("nonsense", true), &["machine:", "nonsense"]),
            (Arch::Arm, "raspi2b", Cpu::new(1), none(), &["cpu.count:", "raspi2b", "4"]),
            (Arch::Arm, "raspi2b", Cpu::default(), none(), &[]),
        ] {
            let said = said(version, arch, kind, cpu, options).await;
            assert_eq!(said.is_empty(), parts.is_empty(), "{kind} on {version}: {said}");
            for part in parts {
                assert!(said.contains(part), "{part:?} is not said of {kind} on {version}: {said}");
            }
        }
    }
}
