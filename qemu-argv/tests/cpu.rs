//! `-cpu`: what the configuration says, and what discovery found for it.

use qemu_argv::{
    AccelChoice, Accelerator, Arch, Cpu, Endpoints, Machine, Props, Target, TargetCpu, Version, VmConfig,
    plan,
};

/// The argument of `-cpu`, or why there is none.
fn rendered(accel: Accelerator, found: Option<&TargetCpu>, cpu: Cpu) -> String {
    let target = Target { accel, cpu: found.cloned(), ..Target::new(Version::new(10, 0), Arch::X86_64) };
    let machine = Machine { accel: AccelChoice::Auto, ..Machine::default() };
    let config = VmConfig { machine, cpu, ..VmConfig::default() };
    match plan(&config, &target, &Endpoints::default()) {
        Err(error) => error.to_string(),
        Ok(plan) => {
            let line = plan.command_line().to_string();
            let line = line.lines().find_map(|line| line.strip_prefix("-cpu "));
            line.unwrap_or("no -cpu").trim_end_matches([' ', '\\']).to_owned()
        }
    }
}

#[test]
fn what_discovery_found_joins_what_was_asked_for() {
    use Accelerator::{Kvm, Tcg};
    let found = TargetCpu::new("host").with(&Props::new().with("arch-capabilities", false));
    let max = TargetCpu::new("max");
    let named = |model: &str| -> Cpu { model.parse().expect("any text") };
    let features = Props::new().with("vmx", false).with("phys-bits", 40_u8);
    let with = |cpu: Cpu| Cpu { features: features.clone(), ..cpu };
    let opposite = Cpu { features: Props::new().with("arch-capabilities", true), ..Cpu::default() };
    let bad = TargetCpu::new("host,-arch-capabilities");
    let cases = [
        ("kvm, nothing found", rendered(Kvm, None, Cpu::default())),
        ("kvm, left out", rendered(Kvm, Some(&found), Cpu::default())),
        ("kvm, host", rendered(Kvm, Some(&found), named("host"))),
        ("kvm, host with features", rendered(Kvm, Some(&found), with(named("host")))),
        ("kvm, the opposite feature", rendered(Kvm, Some(&found), opposite)),
        ("kvm, named", rendered(Kvm, Some(&found), with(named("Haswell")))),
        ("tcg, left out", rendered(Tcg, Some(&max), with(Cpu::default()))),
        ("tcg, host", rendered(Tcg, Some(&max), named("host"))),
        ("found with a comma", rendered(Kvm, Some(&bad), Cpu::default())),
    ];
    let shown: Vec<_> = cases.iter().map(|(case, shown)| format!("{case}: {shown}")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    kvm, nothing found: host
    kvm, left out: host,arch-capabilities=off
    kvm, host: host,arch-capabilities=off
    kvm, host with features: host,arch-capabilities=off,vmx=off,phys-bits=40
    kvm, the opposite feature: host,arch-capabilities=on
    kvm, named: Haswell,vmx=off,phys-bits=40
    tcg, left out: max,vmx=off,phys-bits=40
    tcg, host: max
    found with a comma: cannot plan the machine: cpu.model: "host,-arch-capabilities" cannot be written into `-cpu`
    "#);
}
