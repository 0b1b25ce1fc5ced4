//! Command lines as people write them: what becomes of each is a snapshot, and planning it works.

use std::fmt::Write as _;

use qemu_argv::import::{Outcome, import, script_words};
use qemu_argv::{Endpoints, Target, Version, plan};

/// What is imported, as a reader sees it: the config without what is by default, then the notes, then what is rendered.
fn shown(script: &str) -> String {
    let words = script_words(script).expect("it is a command line");
    let imported = import(&words).expect("QEMU would take it");
    let default = serde_json::to_value(qemu_argv::VmConfig::default()).expect("is JSON");
    let config = serde_json::to_value(&imported.config).expect("is JSON");
    let mut shown = format!("{}\n\n", script.trim());
    for (key, value) in config.as_object().expect("is a table") {
        if default.get(key) != Some(value) {
            let mut value = value.clone();
            tidy(&mut value);
            writeln!(shown, "{key} = {value}").expect("a String takes it");
        }
    }
    for note in &imported.notes {
        let outcome = match &note.outcome {
            Outcome::Kept(range) => format!("kept as {range:?}"),
            Outcome::Dropped => "dropped".into(),
            _ => "changed".into(),
        };
        writeln!(shown, "{} {} {outcome}: {}", note.index, note.argument, note.reason)
            .expect("a String takes it");
    }
    let config = imported.config;
    let target = Target::new(Version::new(10, 0), config.arch.expect("is told"));
    match plan(&config, &target, &Endpoints::default()) {
        Ok(plan) => writeln!(shown, "\n{}", plan.command_line()),
        Err(error) => writeln!(shown, "\n{error}"),
    }
    .expect("a String takes it");
    shown
}

/// Leaves out what says nothing.
fn tidy(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(tidy);
            map.retain(|_, value| match value {
                Value::Null => false,
                Value::Bool(on) => *on,
                Value::Array(items) => !items.is_empty(),
                Value::Object(map) => !map.is_empty(),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

macro_rules! examples {
    ($($name:ident: $script:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::with_settings!({ omit_expression => true }, {
                insta::assert_snapshot!(shown($script));
            });
        }
    )*};
}

examples! {
    an_image_alone: "qemu-system-x86_64 -m 2G debian.qcow2";
    a_pc_of_today: "qemu-system-x86_64 -name 'web server' -machine q35,accel=kvm -cpu host -smp 4,sockets=1,cores=2,threads=2 -m 4096 \
        -drive file=root.qcow2,if=virtio,format=qcow2,cache=none,aio=native,discard=unmap -cdrom install.iso -boot order=dc,menu=on \
        -nic user,model=virtio-net-pci,hostfwd=tcp::2222-:22 -vga virtio -display gtk,gl=on -usb -device usb-tablet -rtc base=localtime,clock=host";
    everything_by_name: "qemu-system-x86_64 -nodefaults -M q35 -enable-kvm -cpu max,+avx2,-sse4a -m size=1G,slots=2,maxmem=4G -device virtio-scsi-pci,id=s0 \
        -blockdev driver=file,node-name=f0,filename=/vm/a.qcow2,cache.direct=on -blockdev driver=qcow2,node-name=d0,file=f0 \
        -device scsi-hd,drive=d0,bus=s0.0,bootindex=1 -drive if=none,id=cd,media=cdrom,file=/vm/b.iso -device ide-cd,drive=cd \
        -netdev tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=on -device virtio-net-pci,netdev=n0,mac=52:54:00:AB:cd:ef,addr=0x5 \
        -object rng-random,filename=/dev/urandom,id=r0 -device virtio-rng-pci,rng=r0 -device virtio-balloon -device i6300esb -watchdog-action reset \
        -chardev socket,path=/tmp/qga.sock,server=on,wait=off,id=qga0 -device virtio-serial -device virtserialport,chardev=qga0,name=org.qemu.guest_agent.0";
    a_terminal: "qemu-system-x86_64 -nographic -kernel bzImage -initrd initrd.img -append 'console=ttyS0 root=/dev/vda' -hda root.img -snapshot -no-reboot -m 512";
    serial_ports: "qemu-system-x86_64 -nodefaults -serial mon:stdio -serial file:out,put.log -serial tcp:localhost:4444,server=on,wait=off -serial unix:/tmp/s.sock,server,nowait \
        -monitor unix:/tmp/mon.sock,server=on,wait=off -qmp stdio";
    an_arm_board: "qemu-system-aarch64 -M virt,gic-version=3,virtualization=on -cpu cortex-a72 -smp 2 -m 1G \
        -drive if=pflash,format=raw,unit=0,readonly=on,file=/fw/AAVMF_CODE.fd -drive if=pflash,format=raw,unit=1,file=vars.fd \
        -drive file=root.raw,format=raw,if=virtio -nic none -device virtio-gpu-pci -device qemu-xhci -device usb-kbd -device usb-tablet -serial stdio";
    uefi_with_secure_boot: "qemu-system-x86_64 -machine q35,smm=on -global driver=cfi.pflash01,property=secure,value=on \
        -drive if=pflash,format=raw,unit=0,file=/fw/OVMF_CODE.fd,readonly=on -drive if=pflash,format=raw,unit=1,file=/vm/vars.fd \
        -chardev socket,id=chrtpm,path=/run/swtpm.sock -tpmdev emulator,id=tpm0,chardev=chrtpm -device tpm-tis,tpmdev=tpm0";
    screens_and_sound: "qemu-system-x86_64 -M q35 -vnc :1,to=9,password=on -spice port=5930,disable-ticketing=on -k de -device qxl-vga,vgamem_mb=64 \
        -audiodev pa,id=snd0 -device ich9-intel-hda -device hda-duplex,audiodev=snd0";
    shared_folders: "qemu-system-x86_64 -M q35 -m 1G -virtfs local,path=/srv,mount_tag=host0,security_model=mapped,readonly=on \
        -object memory-backend-memfd,id=mem,size=1G,share=on -machine memory-backend=mem \
        -chardev socket,id=c0,path=/run/virtiofs.sock -device vhost-user-fs-pci,chardev=c0,tag=myfs";
    what_the_launcher_does: "sudo /opt/qemu/bin/qemu-system-x86_64 -daemonize -pidfile /run/q.pid -S -s -D /tmp/q.log -d int -monitor stdio \
        -plugin /usr/lib/p.so -object can-bus,id=can0 -device kvaser_pci,canbus=can0 -nic user";
    several_old_networks: "qemu-system-x86_64 -net nic,model=e1000,macaddr=52:54:00:00:00:01 -net user,hostname=old -m 64M";
    a_hub: "qemu-system-x86_64 -net nic -net user -net tap,ifname=tap0 -m 64M";
    servers: "qemu-system-x86_64 -M q35 -nodefaults -drive file=nbd://localhost:10810/root,if=virtio,format=raw -drive file=https://example.org/a.iso,media=cdrom \
        -drive file=ssh://me@host/a.raw,if=virtio,format=raw -object secret,id=s0,data=hunter2 \
        -blockdev driver=raw,node-name=d,file.driver=nbd,file.server.type=unix,file.server.path=/run/nbd.sock -device nvme,drive=d,serial=abc";
    ports_of_its_own: "qemu-system-x86_64 -M q35 -nodefaults -device pcie-root-port,id=port1,chassis=1,slot=1 -netdev user,id=a -device e1000e,netdev=a,bus=port1 \
        -device pxb-pcie,id=far,bus_nr=4 -device pcie-root-port,id=port2,bus=far,chassis=2 -netdev user,id=b -device virtio-net-pci,netdev=b,bus=port2";
    numbers_of_nodes: "qemu-system-x86_64 -M q35 -smp 4 -m 2G -object memory-backend-ram,id=m0,size=1G -object memory-backend-ram,id=m1,size=1G \
        -numa node,nodeid=0,cpus=0-1,memdev=m0 -numa node,nodeid=1,cpus=2-3,memdev=m1 -numa dist,src=0,dst=1,val=30 -smbios type=1,product=Test,uuid=x \
        -smbios type=11,value=one,value=two -fw_cfg name=opt/a,string=b";
    other_boards: "qemu-system-ppc64 -m 1G -nographic -drive file=a.qcow2,if=none,id=d -device virtio-blk-pci,drive=d,physical_block_size=4096,frobnicate=on";
}
