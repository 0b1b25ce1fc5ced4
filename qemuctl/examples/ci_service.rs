//! A CI service: a fresh VM for each job, three at a time, their output as it is written, their exit codes in the end.
//!
//! `ci_service CONFIG SCRIPT`: a machine with a guest agent, and what is to be run in each of three of it by `sh`.
//!
//! The VMs belong to this process. However it ends, also by SIGKILL, the kernel ends them too; what they leave in their
//! socket directory is cleared away by whoever takes their names next.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use qemuctl::{Exec, Instance, VmConfig, guest::Output};
use tokio::task::JoinSet;

/// How long a guest may take to boot, and a job to run.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let [config, script] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: ci_service CONFIG SCRIPT".into());
    };
    let config = qemuctl::config::load(config)?.with_guest_agent();
    let script = std::fs::read_to_string(script)?;
    let codes = serve(&config, vec![script; 3], |line| println!("{line}")).await?;
    Ok(if codes.iter().all(|code| *code == Some(0)) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs each script in a VM of its own, all at the same time. Returns their exit codes; a job without one was killed.
///
/// The first failure of a VM ends the service, and with it all VMs: they are dropped.
///
/// # Errors
///
/// Whatever went wrong on the way.
pub async fn serve(
    machine: &VmConfig,
    scripts: Vec<String>,
    tell: impl Fn(String) + Clone + Send + Sync + 'static,
) -> Result<Vec<Option<i32>>, qemuctl::Error> {
    let mut jobs = JoinSet::new();
    for (number, script) in scripts.into_iter().enumerate() {
        let name = format!("job-{number}");
        let machine = VmConfig { name: Some(name.clone()), ..machine.clone() };
        let tell = tell.clone();
        jobs.spawn(async move { job(&machine, script, |text| tell(format!("{name}: {text}"))).await });
    }
    let mut codes = Vec::new();
    while let Some(ended) = jobs.join_next().await {
        // A job that panicked panics here.
        codes.push(ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?);
    }
    Ok(codes)
}

async fn job(
    machine: &VmConfig,
    script: String,
    tell: impl Fn(&str) + Send + Sync,
) -> Result<Option<i32>, qemuctl::Error> {
    let vm = Instance::start(machine).await?;
    tell(&format!("QEMU is process {}", vm.pid().unwrap_or_default()));
    vm.wait_agent(PATIENCE).await?;
    let shell = Exec { stdin: script.into_bytes(), ..Exec::with_args("sh", ["-e"]) };
    let show = |piece| {
        let (Output::Stdout(bytes) | Output::Stderr(bytes)) = piece;
        String::from_utf8_lossy(&bytes).lines().for_each(&tell);
    };
    let ended = vm.exec_streamed(&shell, PATIENCE, show).await?;
    // Its disks are thrown away with it: there is nothing to shut down in order.
    vm.kill().await?;
    Ok(ended.code)
}
