//! Only the command line: a machine is planned and printed for a QEMU that need not be there. Nothing is opened, started or
//! asked; where each device sits is known before QEMU runs.

use std::error::Error;

use qemu_argv::{Accelerator, Arch, Disk, Endpoints, Memory, Network, Size, Target, Version, VmConfig, plan};

fn main() -> Result<(), Box<dyn Error>> {
    let (line, buses) = render()?;
    println!("{line}");
    for (id, bus) in buses {
        println!("# {id} is on {bus}");
    }
    Ok(())
}

/// Ids of devices, each with its bus.
pub type Buses = Vec<(String, String)>;

/// The arguments, and the buses of the devices that sit on one.
///
/// # Errors
///
/// Whatever went wrong on the way.
pub fn render() -> Result<(String, Buses), Box<dyn Error>> {
    let config = VmConfig {
        name: Some("web".into()),
        memory: Memory::new(Size::gib(2)),
        disks: vec![Disk::file("/vm/web.qcow2")],
        networks: vec![Network::default()],
        ..VmConfig::default()
    };
    let mut target = Target::new(Version::new(10, 0), Arch::X86_64);
    target.accel = Accelerator::Kvm;
    let endpoints = Endpoints { socket_dir: Some("/run/vms".into()), ..Endpoints::default() };
    let plan = plan(&config, &target, &endpoints)?;
    let placed = plan.devices().filter_map(|device| {
        let bus = plan.topology().placement(&device.id)?.bus()?;
        Some((device.id.to_string(), bus.to_owned()))
    });
    Ok((plan.command_line().to_string(), placed.collect()))
}
