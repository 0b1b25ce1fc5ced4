//! `nic` and `usb`: network interfaces and USB devices of a running VM.

use qemu_argv::{MacAddress, NetBackend, Network, UsbDevice, UsbHost, UsbKind};
use qemuctl::{Error, Instance};

use super::super::context::Context;
use super::super::duration::Span;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::progress::Progress;
use super::super::vm::Vm;

/// Add and remove network interfaces of a running VM
#[derive(clap::Args, Debug)]
pub(crate) struct Nics {
    #[command(subcommand)]
    action: NicAction,
}

#[derive(clap::Subcommand, Debug)]
enum NicAction {
    /// Add a network interface. The change is not written to the config
    Add(AddNic),
    /// Remove a network interface, which the guest has to release
    Remove(Remove),
}

#[derive(clap::Args, Debug)]
struct AddNic {
    #[command(flatten)]
    vm: Vm,

    /// Connect it to this bridge of the host [default: a user-mode network]
    #[arg(long, value_name = "NAME")]
    bridge: Option<String>,

    /// MAC address [default: derived from the VM's name and the interface's id]
    #[arg(long, value_name = "ADDRESS")]
    mac: Option<MacAddress>,

    /// The interface's id [default: the next free one, such as net1]
    #[arg(long)]
    id: Option<String>,
}

/// Add and remove USB devices of a running VM
#[derive(clap::Args, Debug)]
pub(crate) struct Usb {
    #[command(subcommand)]
    action: UsbAction,
}

#[derive(clap::Subcommand, Debug)]
enum UsbAction {
    /// Add a USB device. The change is not written to the config
    Add(AddUsb),
    /// Remove a USB device
    Remove(Remove),
}

#[derive(clap::Args, Debug)]
struct AddUsb {
    #[command(flatten)]
    vm: Vm,

    /// Vendor and product of a device of the host as `lsusb` prints them, such as 1d6b:0002; or tablet, mouse, keyboard
    #[arg(value_name = "DEVICE", value_parser = usb)]
    device: UsbKind,

    /// The device's id [default: the next free one, such as usbdev1]
    #[arg(long)]
    id: Option<String>,
}

#[derive(clap::Args, Debug)]
struct Remove {
    #[command(flatten)]
    vm: Vm,

    /// The id that `add` printed
    id: String,

    /// How long to wait for the guest to release it
    #[arg(short, long, value_name = "DURATION", default_value = "30s")]
    timeout: Span,
}

/// Parses `VENDOR:PRODUCT` or a kind of device.
fn usb(text: &str) -> Result<UsbKind, String> {
    let Some((vendor, product)) = text.split_once(':') else { return text.parse() };
    let number = |text: &str| {
        let is_hex = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(text, 16).ok()).flatten()
    };
    match (number(vendor), number(product)) {
        (vendor @ Some(_), product @ Some(_)) => {
            Ok(UsbKind::Host(UsbHost { vendor, product, ..UsbHost::default() }))
        }
        _ => Err("expected four hexadecimal digits each, such as 1d6b:0002".to_owned()),
    }
}

pub(crate) async fn nics(args: Nics, context: &Context) -> Result<Exit, Failure> {
    let args = match args.action {
        NicAction::Add(args) => args,
        NicAction::Remove(args) => return remove(args, context).await,
    };
    let backend = match args.bridge {
        Some(bridge) => NetBackend::Bridge(qemu_argv::BridgeNet::new(bridge)),
        None => NetBackend::User(qemu_argv::UserNet::default()),
    };
    let vm = args.vm.attach(context).await?;
    let network = Network { id: args.id, mac: args.mac, ..Network::new(backend) };
    let id = vm.plug(&network).await?;
    added(&vm, &id, context)
}

pub(crate) async fn usb_devices(args: Usb, context: &Context) -> Result<Exit, Failure> {
    let args = match args.action {
        UsbAction::Add(args) => args,
        UsbAction::Remove(args) => return remove(args, context).await,
    };
    let vm = args.vm.attach(context).await?;
    let id = vm.plug(&UsbDevice { id: args.id, ..UsbDevice::new(args.device) }).await?;
    added(&vm, &id, context)
}

fn added(vm: &Instance, id: &str, context: &Context) -> Result<Exit, Failure> {
    if context.json {
        context.print_json(&serde_json::json!({ "id": id }))?;
    } else {
        context.note(format_args!("added {id} to {}", vm.name()));
    }
    Ok(Exit::Done)
}

async fn remove(args: Remove, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let progress = Progress::start(context, format!("waiting for the guest to release {}", args.id));
    let removed = vm.unplug(&args.id, args.timeout.0).await;
    progress.finish();
    match removed {
        Ok(()) => {
            context.note(format_args!("removed {} from {}", args.id, vm.name()));
            Ok(Exit::Done)
        }
        Err(error @ Error::StillPlugged { .. }) => Err(Failure::from(error).with_help(
            "a guest without a running operating system never releases a device; try again later",
        )),
        Err(error) => Err(error.into()),
    }
}
