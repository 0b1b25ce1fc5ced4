//! What is found on small hosts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

struct Host(tempfile::TempDir, Places);

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        Self(dir, places)
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.1.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn program(self, path: &str, mode: u32) -> Self {
        let host = self.file(path, "#!/bin/sh\necho 'this is no QEMU' >&2\nexit 3\n");
        fs::set_permissions(host.1.at(path), fs::Permissions::from_mode(mode)).unwrap();
        host
    }

    fn told(&self, checks: &[Check]) -> String {
        let line = |check: &Check| {
            let remedy = check.remedy.as_deref().map(|remedy| format!(" -> {remedy}")).unwrap_or_default();
            format!("{:?} {}: {}{remedy}", check.verdict, check.name, check.detail)
        };
        checks.iter().map(line).collect::<Vec<_>>().join("\n").replace(self.0.path().to_str().unwrap(), "")
    }
}

#[tokio::test]
async fn a_bare_host_is_told_what_it_lacks() {
    let host = Host::new().file("/etc/os-release", "ID=debian\n");
    let checks =
        examine_in(&host.1, &Subject { socket_dir: Some(host.0.path().join("run")), qemu: None }).await;
    // The folder of the test takes up most of a socket's path on some hosts.
    let checks: Vec<Check> = checks.into_iter().filter(|check| check.name != "socket directory").collect();
    insta::assert_snapshot!(host.told(&checks), @r"
    Problem qemu: no QEMU for x86_64 guests -> install it with `apt install qemu-system-x86`
    Warning acceleration: kvm is not usable, so guests run slowly (TCG): /dev/kvm is missing -> `sudo modprobe kvm`
    Warning qemu-img: not found, so disk images cannot be created or converted -> install qemu-utils (Debian) or qemu-img (Fedora)
    Warning bridge helper: not found, so guests cannot join a bridge without root -> install the QEMU package that provides qemu-bridge-helper
    Warning tun: /dev/net/tun is missing, so tap networks do not work -> `sudo modprobe tun`; in a container: `--device /dev/net/tun`
    Warning vhost-net: /dev/vhost-net is missing, so tap networks are slower -> `sudo modprobe vhost_net`
    Ok hugepages: none reserved; transparent huge pages: not supported
    Warning user namespaces: not supported by this kernel, so helpers such as virtiofsd and passt cannot sandbox themselves
    Warning seccomp: the kernel does not support system call filters, so -sandbox does not work -> use a kernel with CONFIG_SECCOMP_FILTER
    Ok cache: /home/user/.cache/qemuctl/discovery
    ");
    assert_eq!(worst(&checks), Verdict::Problem);
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_program_that_is_no_qemu_is_told() {
    let host =
        Host::new().program("/usr/bin/qemu-system-x86_64", 0o755).program("/usr/bin/qemu-system-arm", 0o755);
    let checks = qemu::checks(&host.1, None).await;
    insta::assert_snapshot!(host.told(&checks), @r"
    Problem qemu: /usr/bin/qemu-system-x86_64 does not answer like QEMU: this is no QEMU
    Warning acceleration: kvm is not usable, so guests run slowly (TCG): /dev/kvm is missing -> `sudo modprobe kvm`
    ");
}

#[test]
fn a_well_kept_host_is_told_so() {
    let host = Host::new()
        .file("/dev/net/tun", "")
        .file("/dev/vhost-net", "")
        .file("/etc/qemu/bridge.conf", "# bridges\nallow br0\nallow virbr0\n")
        .file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n")
        .file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "60\n")
        .file("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n")
        .file("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0\n")
        .file("/proc/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n")
        .file("/proc/sys/user/max_user_namespaces", "15000\n")
        .file("/proc/self/status", "Name:\ta\nSeccomp:\t0\n")
        .file(
            "/proc/self/limits",
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max file size             unlimited            unlimited            bytes     \n\
             Max open files            4096                 1048576              files     \n\
             Max locked memory         8388608              8388608              bytes     \n",
        )
        .program("/usr/lib/qemu/qemu-bridge-helper", 0o4755)
        .program("/usr/bin/qemu-img", 0o755);
    let places = &host.1;
    let mut checks = vec![
        storage::disk_tools(places),
        network::tun(places),
        network::vhost_net(places),
        host::hugepages(places),
        host::user_namespaces(places),
        host::seccomp(places),
        storage::cache(places),
    ];
    checks.extend(host::limits(places));
    insta::assert_snapshot!(host.told(&checks), @r"
    Ok qemu-img: /usr/bin/qemu-img
    Ok tun: /dev/net/tun opens
    Ok vhost-net: /dev/vhost-net opens
    Ok hugepages: 60 of 64 of 2 MiB free
    Ok user namespaces: up to 15000
    Ok seccomp: the kernel supports system call filters
    Ok cache: /home/user/.cache/qemuctl/discovery
    Ok open files: 4096 per process
    Ok locked memory: 8 MiB; passthrough devices and mem-lock require the size of the guest's memory
    ");
    // Who may use the helper depends on who asks.
    if nix::unistd::Uid::effective().is_root() {
        insta::assert_snapshot!(host.told(&[network::bridge_helper(places)]), @"Ok bridge helper: /usr/lib/qemu/qemu-bridge-helper; allowed: br0, virbr0");
    }
}

#[test]
fn kernels_that_forbid_are_told_apart() {
    let restricted = |path: &str, value: &str| {
        let host = Host::new().file("/proc/sys/user/max_user_namespaces", "15000\n").file(path, value);
        host.told(&[host::user_namespaces(&host.1)])
    };
    insta::assert_snapshot!([
        restricted("/proc/sys/kernel/unprivileged_userns_clone", "0\n"),
        restricted("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"),
        restricted("/proc/sys/user/max_user_namespaces", "0\n"),
    ].join("\n"), @r"
    Warning user namespaces: not allowed for unprivileged users, so helpers such as virtiofsd and passt cannot sandbox themselves -> `sudo sysctl kernel.unprivileged_userns_clone=1`
    Warning user namespaces: only allowed for programs with an AppArmor profile, so helpers such as virtiofsd and passt cannot sandbox themselves -> add a profile, or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`
    Warning user namespaces: disabled, so helpers such as virtiofsd and passt cannot sandbox themselves -> `sudo sysctl user.max_user_namespaces=15000`
    ");
}

#[test]
fn socket_folders_must_be_private_and_short() {
    let host = Host::new();
    let dir = host.0.path().join("s");
    let told = |path: &Path| host.told(&[storage::socket_dir(path)]);
    let mut lines = vec![told(&dir)];
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
    lines.push(told(&dir));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    lines.push(told(&dir));
    fs::write(host.0.path().join("f"), "").unwrap();
    lines.push(told(&host.0.path().join("f")));
    lines.push(told(Path::new("/a/very/long/folder/that/leaves/hardly/any/room/for/the/name/of/a/machine")));
    insta::assert_snapshot!(lines.join("\n"), @r"
    Ok socket directory: /s will be created
    Ok socket directory: /s
    Problem socket directory: /s is writable by other users (mode 0777) -> `chmod 700 /s`
    Problem socket directory: /f: /f is not writable -> choose another directory, or ask its owner to change it
    Warning socket directory: /a/very/long/folder/that/leaves/hardly/any/room/for/the/name/of/a/machine has 73 bytes, which leaves little room for names in a socket path (107 bytes) -> choose a shorter path
    ");
}
