//! The tour that `cargo xtask demo` gives: a Linux guest is started, watched, asked, photographed
//! and shut down.
//!
//! `demo QEMU GUEST PICTURE`: a `qemu-system-x86_64`, a directory with `vmlinuz` and `initramfs`, and
//! where to put the screenshot.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use qemuctl::qmp_client::Options;
use qemuctl::qmp_client::agent::Agent;
use qemuctl::qmp_proto::qga::GuestGetOsinfo;
use qemuctl::qmp_proto::{ImageFormat, QueryStatus, QueryVersion, Screendump};
use qemuctl::{
    Instance, VmConfig,
    config::{Arch, Boot, Memory, Network, Size, Video, VideoModel},
    guest::ConsoleReader,
};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// How long the guest may take to boot, and to power off: a loaded machine without KVM is slow.
const PATIENCE: Duration = Duration::from_secs(120);

type AnyError = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), AnyError> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [qemu, guest, picture] = &arguments[..] else {
        return Err("usage: demo QEMU GUEST PICTURE".into());
    };
    let config = VmConfig {
        name: Some(format!("demo-{}", std::process::id())),
        arch: Some(Arch::X86_64),
        qemu: Some(qemu.clone()),
        memory: Memory::new(Size::mib(512)),
        boot: Boot {
            kernel: Some(guest.join("vmlinuz")),
            initrd: Some(guest.join("initramfs")),
            append: Some("console=tty0 console=ttyS0".to_owned()),
            ..Boot::default()
        },
        networks: vec![Network::default()],
        video: vec![Video::new(VideoModel::Vga)],
        ..VmConfig::default()
    }
    .with_guest_agent();

    let began = Instant::now();
    let step = |text: &str| println!("[{:5.1} s] {text}", began.elapsed().as_secs_f32());
    let vm = Instance::start(&config).await?;
    let version = vm.execute(QueryVersion {}).await?.qemu;
    step(&format!(
        "QEMU {}.{}.{} runs as process {}",
        version.major,
        version.minor,
        version.micro,
        vm.pid().map_or_else(|| "?".to_owned(), |pid| pid.to_string())
    ));
    for warning in vm.warnings() {
        step(&format!("warning: {warning}"));
    }

    timeout(PATIENCE, show_until(vm.console().await?.reader_with_history(), "guest ready")).await??;
    step(&format!("the guest is up; QMP says {:?}", vm.execute(QueryStatus {}).await?.status));

    let agent = vm.agent_socket().ok_or("the plan has no guest agent")?;
    let agent = Agent::connect(agent, &Options::default()).await?;
    agent.wait_ready(PATIENCE).await?;
    let system = agent.execute(GuestGetOsinfo {}).await?;
    step(&format!(
        "the guest agent says: kernel {} on {}",
        system.kernel_release.as_deref().unwrap_or("?"),
        system.machine.as_deref().unwrap_or("?")
    ));

    vm.execute(Screendump {
        format: Some(ImageFormat::Png),
        ..Screendump::new(picture.to_str().ok_or("the picture's path is not UTF-8")?)
    })
    .await?;
    step(&format!("screenshot: {}", picture.display()));

    vm.shutdown().await?;
    step("power button pressed");
    let reason = timeout(PATIENCE, vm.wait()).await?;
    step(&format!("exit reason: {reason}"));
    Ok(())
}

/// Prints what the guest prints, up to and with the line that begins with `last`.
async fn show_until(mut console: ConsoleReader, last: &str) -> Result<(), AnyError> {
    let mut line = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = console.read(&mut buffer).await?;
        if count == 0 {
            return Err(format!("the guest's console ended before it printed {last:?}").into());
        }
        for byte in &buffer[..count] {
            if *byte != b'\n' {
                line.push(*byte);
                continue;
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            writeln!(std::io::stdout(), "          | {text}")?;
            if text.starts_with(last) {
                return Ok(());
            }
        }
    }
}
