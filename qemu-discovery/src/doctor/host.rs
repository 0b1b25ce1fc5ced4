//! Kernel features and limits.

use std::fs;

use super::check::Check;
use crate::Places;

pub(super) fn hugepages(places: &Places) -> Check {
    const NAME: &str = "hugepages";
    let folder = places.at("/sys/kernel/mm/hugepages");
    let mut pools: Vec<(u64, u64, u64)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let size_kib = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let number = |file: &str| fs::read_to_string(entry.path().join(file)).ok()?.trim().parse().ok();
            Some((size_kib, number("free_hugepages")?, number("nr_hugepages")?))
        })
        .filter(|(_, _, total)| *total > 0)
        .collect();
    pools.sort_unstable();
    if pools.is_empty() {
        // Transparent huge pages are sufficient for most machines.
        let transparent = places.text("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        let chosen =
            transparent.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(word, _)| word);
        return Check::ok(
            NAME,
            format!("none reserved; transparent huge pages: {}", chosen.unwrap_or("not supported")),
        );
    }
    let pools: Vec<String> = pools
        .iter()
        .map(|(size, free, total)| format!("{free} of {total} of {} MiB free", size / 1024))
        .collect();
    let mounted = places
        .text("/proc/mounts")
        .is_some_and(|mounts| mounts.lines().any(|line| line.contains(" hugetlbfs ")));
    if mounted {
        Check::ok(NAME, pools.join(", "))
    } else {
        Check::warning(NAME, format!("{}, but hugetlbfs is not mounted", pools.join(", ")))
            .remedy("`sudo mount -t hugetlbfs hugetlbfs /dev/hugepages`, or use memory-backend-memfd")
    }
}

pub(super) fn user_namespaces(places: &Places) -> Check {
    const NAME: &str = "user namespaces";
    let is = |path, value| places.text(path).is_some_and(|text| text.trim() == value);
    let without = "so helpers such as virtiofsd and passt cannot sandbox themselves";
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return Check::warning(NAME, format!("not allowed for unprivileged users, {without}"))
            .remedy("`sudo sysctl kernel.unprivileged_userns_clone=1`");
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return Check::warning(
            NAME,
            format!("only allowed for programs with an AppArmor profile, {without}"),
        )
        .remedy("add a profile, or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`");
    }
    match places.text("/proc/sys/user/max_user_namespaces").map(|text| text.trim().to_owned()) {
        Some(limit) if limit == "0" => Check::warning(NAME, format!("disabled, {without}"))
            .remedy("`sudo sysctl user.max_user_namespaces=15000`"),
        Some(limit) => Check::ok(NAME, format!("up to {limit}")),
        None => Check::warning(NAME, format!("not supported by this kernel, {without}")),
    }
}

pub(super) fn seccomp(places: &Places) -> Check {
    const NAME: &str = "seccomp";
    let status = places.text("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.starts_with("Seccomp:")) {
        Check::ok(NAME, "the kernel supports system call filters")
    } else {
        Check::warning(NAME, "the kernel does not support system call filters, so -sandbox does not work")
            .remedy("use a kernel with CONFIG_SECCOMP_FILTER")
    }
}

/// Checks limits that affect machines: file descriptors, locked memory and the size of files.
pub(super) fn limits(places: &Places) -> Vec<Check> {
    let Some(text) = places.text("/proc/self/limits") else { return Vec::new() };
    let soft = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next().map(str::to_owned)
    };
    let number =
        |value: &str| if value == "unlimited" { u64::MAX } else { value.parse().unwrap_or(u64::MAX) };
    let mut checks = Vec::new();
    if let Some(files) = soft("Max open files") {
        let check = if number(&files) < 1024 {
            Check::warning(
                "open files",
                format!("{files} per process, which may be too few for a VM with many disks and networks"),
            )
            .remedy("`ulimit -n 4096`")
        } else {
            Check::ok("open files", format!("{files} per process"))
        };
        checks.push(check);
    }
    if let Some(locked) = soft("Max locked memory") {
        let amount = match number(&locked) {
            u64::MAX => "unlimited".to_owned(),
            bytes => format!("{} MiB", bytes >> 20),
        };
        checks.push(Check::ok(
            "locked memory",
            format!("{amount}; passthrough devices and mem-lock require the size of the guest's memory"),
        ));
    }
    if let Some(size) = soft("Max file size").filter(|size| size != "unlimited") {
        checks.push(
            Check::problem(
                "file size",
                format!("at most {size} bytes; QEMU is killed by SIGXFSZ when a disk image grows beyond"),
            )
            .remedy("`ulimit -f unlimited`"),
        );
    }
    checks
}
