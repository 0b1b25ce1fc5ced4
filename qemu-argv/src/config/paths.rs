//! All host paths in a config, so that a launcher can resolve relative ones.

use std::path::{Path, PathBuf};

use super::{
    AudioBackend, Backing, CharBackend, ConnectNet, DbusDisplay, DiskBackend, Display, EglHeadlessDisplay,
    FileChardev, FileDisk, FileMemory, Firmware, HostDeviceDisk, ListenNet, McastNet, MemoryBackend, NbdDisk,
    NetBackend, NinePShare, ParallelChardev, PipeChardev, RandomSource, RbdDisk, RngSource, SerialChardev,
    Share, SocketAddress, SocketChardev, SocketNet, SpiceListen, SpiceUnix, UdpChardev, UdpNet, UnixAddress,
    UsbKind, UsbRedirection, VirtiofsShare, VmConfig, VncListen, VncUnix, WavAudio,
};
use crate::value::Value;

type Visit<'a> = dyn FnMut(&mut PathBuf) + 'a;

impl VmConfig {
    /// Calls `visit` on all host paths: images, kernels, sockets, devices, programs, directories.
    ///
    /// A program given by a bare name is skipped, since it is looked up in `PATH`. `extra_args` and properties that are
    /// passed on unchanged may contain paths, too, but only QEMU knows which; those of a few drivers are known.
    pub fn for_each_path(&mut self, visit: &mut dyn FnMut(&mut PathBuf)) {
        self.qemu.iter_mut().for_each(|path| program(path, visit));
        self.socket_dir.iter_mut().for_each(&mut *visit);
        if let MemoryBackend::File(FileMemory { path, .. }) = &mut self.memory.backend {
            visit(path);
        }
        let boot = &mut self.boot;
        for path in [&mut boot.kernel, &mut boot.initrd, &mut boot.dtb, &mut boot.splash] {
            path.iter_mut().for_each(&mut *visit);
        }
        self.data_dirs.iter_mut().for_each(&mut *visit);
        self.boot.modules.iter_mut().for_each(|module| visit(&mut module.path));
        self.firmware.iter_mut().for_each(|image| firmware(image, visit));
        for disk in &mut self.disks {
            disk_backend(&mut disk.backend, visit);
            backing(&mut disk.backing, visit);
        }
        self.cdroms
            .iter_mut()
            .flat_map(|drive| &mut drive.medium)
            .for_each(|medium| disk_backend(medium, visit));
        for network in &mut self.networks {
            net_backend(&mut network.backend, visit);
            network.capture.iter_mut().for_each(&mut *visit);
        }
        self.screens(visit);
        self.streams(visit);
        self.debugging(visit);
        self.properties(visit);
        if let Some(RngSource::Random(RandomSource { path })) = self.rng.as_mut().map(|rng| &mut rng.source) {
            visit(path);
        }
        self.smbios.iter_mut().flat_map(|smbios| &mut smbios.oem_files).for_each(&mut *visit);
        self.fw_cfg.iter_mut().flat_map(|entry| &mut entry.file).for_each(&mut *visit);
        if let Some(guest) = &mut self.guest {
            guest.user_data.iter_mut().for_each(&mut *visit);
            guest.files.iter_mut().flat_map(|file| &mut file.source).for_each(&mut *visit);
        }
        self.secrets.iter_mut().flat_map(|secret| &mut secret.file).for_each(&mut *visit);
        self.tls.iter_mut().for_each(|tls| visit(&mut tls.dir));
        self.tpm.iter_mut().for_each(|tpm| visit(&mut tpm.socket));
        for share in &mut self.shares {
            match share {
                Share::Virtiofs(VirtiofsShare { socket: path, .. })
                | Share::NineP(NinePShare { path, .. }) => visit(path),
            }
        }
        for device in &mut self.host_devices {
            [&mut device.sysfs, &mut device.rom_file].into_iter().flatten().for_each(&mut *visit);
        }
    }

    /// Properties of devices and objects that are known to be files of the host.
    fn properties(&mut self, visit: &mut Visit<'_>) {
        let loaders = self.devices.iter_mut().filter(|device| device.driver == "loader");
        let devices = loaders.map(|device| (&mut device.properties, "file"));
        let objects = self.objects.iter_mut().filter_map(|object| match object.kind.as_str() {
            "memory-backend-file" => Some((&mut object.properties, "mem-path")),
            "input-linux" => Some((&mut object.properties, "evdev")),
            "filter-dump" => Some((&mut object.properties, "file")),
            _ => None,
        });
        for (properties, key) in devices.chain(objects) {
            let Some(text) = properties.get_str(key) else { continue };
            let mut path = PathBuf::from(text);
            visit(&mut path);
            // As a property it must be UTF-8, which is told when the machine is planned.
            let text =
                path.to_str().map_or(Value::Bytes(path.as_os_str().as_encoded_bytes().to_vec()), Value::from);
            properties.set(key, text);
        }
    }

    fn debugging(&mut self, visit: &mut Visit<'_>) {
        self.debug.log_file.iter_mut().for_each(&mut *visit);
        self.debug.gdb.iter_mut().for_each(|at| address(at, visit));
        self.debug.plugins.iter_mut().for_each(|plugin| visit(&mut plugin.path));
        let replay = self.debug.icount.iter_mut().filter_map(|icount| icount.replay.as_mut());
        replay.for_each(|replay| visit(&mut replay.file));
    }

    fn screens(&mut self, visit: &mut Visit<'_>) {
        if let Display::EglHeadless(EglHeadlessDisplay { render_node })
        | Display::Dbus(DbusDisplay { render_node, .. }) = &mut self.display
        {
            render_node.iter_mut().for_each(&mut *visit);
        }
        if let Some(VncListen::Unix(VncUnix { path })) = self.vnc.as_mut().map(|vnc| &mut vnc.listen) {
            visit(path);
        }
        if let Some(spice) = &mut self.spice {
            [&mut spice.x509_dir, &mut spice.render_node].into_iter().flatten().for_each(&mut *visit);
            if let SpiceListen::Unix(SpiceUnix { path }) = &mut spice.listen {
                visit(path);
            }
        }
        for audio in &mut self.audio {
            if let AudioBackend::Wav(WavAudio { path }) = &mut audio.backend {
                visit(path);
            }
        }
    }

    fn streams(&mut self, visit: &mut Visit<'_>) {
        for serial in &mut self.serials {
            char_backend(&mut serial.backend, visit);
            serial.log.iter_mut().for_each(&mut *visit);
        }
        for chardev in &mut self.chardevs {
            char_backend(&mut chardev.backend, visit);
            chardev.log.iter_mut().for_each(&mut *visit);
        }
        self.monitors.iter_mut().for_each(|monitor| char_backend(&mut monitor.backend, visit));
        self.channels.iter_mut().for_each(|channel| char_backend(&mut channel.backend, visit));
        for device in &mut self.usb_devices {
            if let UsbKind::Redirection(UsbRedirection { backend: Some(backend) }) = &mut device.device {
                char_backend(backend, visit);
            }
        }
    }
}

fn program(path: &mut PathBuf, visit: &mut Visit<'_>) {
    if path.as_path() != Path::new(path.file_name().unwrap_or_default()) {
        visit(path);
    }
}

fn firmware(image: &mut Firmware, visit: &mut Visit<'_>) {
    match image {
        Firmware::None => {}
        Firmware::Bios(bios) => visit(&mut bios.path),
        Firmware::Uefi(uefi) => {
            let paths = [&mut uefi.code, &mut uefi.vars, &mut uefi.vars_template];
            paths.into_iter().flatten().for_each(&mut *visit);
        }
    }
}

fn address(address: &mut SocketAddress, visit: &mut Visit<'_>) {
    if let SocketAddress::Unix(UnixAddress { path }) = address {
        visit(path);
    }
}

fn disk_backend(backend: &mut DiskBackend, visit: &mut Visit<'_>) {
    match backend {
        DiskBackend::File(FileDisk { path }) | DiskBackend::HostDevice(HostDeviceDisk { path }) => {
            visit(path);
        }
        DiskBackend::Nbd(NbdDisk { server, .. }) => address(server, visit),
        DiskBackend::Rbd(RbdDisk { conf, monitors, .. }) => {
            conf.iter_mut().for_each(&mut *visit);
            for monitor in monitors {
                address(monitor, visit);
            }
        }
        // Paths on other hosts are skipped.
        _ => {}
    }
}

fn backing(of: &mut Backing, visit: &mut Visit<'_>) {
    if let Backing::Image(image) = of {
        disk_backend(&mut image.backend, visit);
        backing(&mut image.backing, visit);
    }
}

fn net_backend(backend: &mut NetBackend, visit: &mut Visit<'_>) {
    match backend {
        NetBackend::User(user) => {
            [&mut user.tftp, &mut user.smb].into_iter().flatten().for_each(&mut *visit);
        }
        NetBackend::Tap(tap) => {
            [&mut tap.script, &mut tap.down_script]
                .into_iter()
                .flatten()
                .for_each(|path| program(path, visit));
        }
        NetBackend::Bridge(bridge) => bridge.helper.iter_mut().for_each(|path| program(path, visit)),
        NetBackend::Socket(socket) => match socket {
            SocketNet::Listen(ListenNet { address: at })
            | SocketNet::Connect(ConnectNet { address: at })
            | SocketNet::Mcast(McastNet { address: at, .. }) => address(at, visit),
            SocketNet::Udp(UdpNet { address: at, local }) => {
                address(at, visit);
                address(local, visit);
            }
        },
        NetBackend::Stream(stream) => address(&mut stream.address, visit),
        NetBackend::Dgram(dgram) => {
            dgram.local.iter_mut().for_each(|local| address(local, visit));
            address(&mut dgram.remote, visit);
        }
        NetBackend::Vde(vde) => vde.socket.iter_mut().for_each(visit),
        NetBackend::Passt(passt) => passt.path.iter_mut().for_each(|path| program(path, visit)),
        NetBackend::VhostUser(user) => visit(&mut user.path),
        NetBackend::VhostVdpa(vdpa) => visit(&mut vdpa.device),
        _ => {}
    }
}

fn char_backend(backend: &mut CharBackend, visit: &mut Visit<'_>) {
    match backend {
        CharBackend::File(FileChardev { path, .. })
        | CharBackend::Pipe(PipeChardev { path })
        | CharBackend::Serial(SerialChardev { path })
        | CharBackend::Parallel(ParallelChardev { path }) => visit(path),
        CharBackend::Socket(SocketChardev { address: at, .. }) => address(at, visit),
        CharBackend::Udp(UdpChardev { remote, local }) => {
            address(remote, visit);
            if let Some(local) = local {
                address(local, visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// A path field that is not visited is a relative path that means something else each time.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "reads this crate's own source")]
    fn every_path_field_is_visited() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
        let mut fields = Vec::new();
        for entry in std::fs::read_dir(folder).expect("the sources are there") {
            let path = entry.expect("readable").path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            let file = path.file_stem().expect("a file").to_string_lossy().into_owned();
            let declared = text.lines().filter_map(|line| {
                let (name, kind) = line.trim().trim_start_matches("pub ").split_once(": ")?;
                let is_path = matches!(kind, "PathBuf," | "Option<PathBuf>," | "Vec<PathBuf>,");
                is_path.then(|| format!("{file}.{name}"))
            });
            fields.extend(declared);
        }
        fields.sort();
        // Before a line is added here, `for_each_path` must visit the new field.
        insta::assert_snapshot!(fields.join("\n"), @"
        address.path
        audio.path
        boot.dtb
        boot.initrd
        boot.kernel
        boot.path
        boot.splash
        char_backends.path
        char_backends.path
        char_backends.path
        char_backends.path
        chardev.log
        debug.log_file
        disk_backends.conf
        disk_backends.path
        disk_backends.path
        display.render_node
        display.render_node
        firmware.code
        firmware.path
        firmware.vars
        firmware.vars_template
        guest.source
        guest.user_data
        host_device.rom_file
        host_device.sysfs
        memory.path
        netdev.device
        netdev.down_script
        netdev.helper
        netdev.path
        netdev.path
        netdev.script
        netdev.socket
        network.capture
        replay.file
        replay.path
        rng.path
        secret.file
        serial.log
        share.path
        share.socket
        spice.path
        spice.render_node
        spice.x509_dir
        tables.file
        tables.oem_files
        tls.dir
        tpm.socket
        user_net.smb
        user_net.tftp
        vm.data_dirs
        vm.qemu
        vm.socket_dir
        vnc.path
        ");
    }
}
