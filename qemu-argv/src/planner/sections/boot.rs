//! `-kernel` and its companions, `-boot`.

use crate::config::VmConfig;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::qemu_target::Arch;
use crate::value::{Props, Value};

pub(super) fn boot(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("boot");
    let boot = &config.boot;
    if let Some(kernel) = &boot.kernel {
        let path = builder.raw_path(at.field("kernel"), kernel);
        builder.plain(at, "-kernel", path);
    }
    if let Some(initrd) = &boot.initrd {
        if boot.kernel.is_none() {
            builder.conflict(at.field("initrd"), "`initrd` requires `boot.kernel`");
        }
        let path = builder.raw_path(at.field("initrd"), initrd);
        builder.plain(at, "-initrd", path);
    }
    modules(builder, at, config);
    if let Some(append) = &boot.append {
        if boot.kernel.is_none() {
            builder.conflict(at.field("append"), "`append` requires `boot.kernel`");
        }
        builder.plain(at.field("append"), "-append", append);
    }
    if let Some(dtb) = &boot.dtb {
        let path = builder.raw_path(at.field("dtb"), dtb);
        builder.plain(at, "-dtb", path);
    }
    for (field, letters) in [("order", &boot.order), ("once", &boot.once)] {
        if let Some(letters) = letters {
            let good = !letters.is_empty() && letters.bytes().all(|letter| (b'a'..=b'p').contains(&letter));
            if !good {
                builder.invalid(
                    at.field(field),
                    letters,
                    "is not a valid boot order; expected letters from a to p",
                );
            }
        }
    }
    let mut props = Props::new()
        .with_some("order", boot.order.as_ref())
        .with_some("once", boot.once.as_ref())
        .with_some("menu", boot.menu);
    if let Some(splash) = &boot.splash {
        let path = builder.raw_path(at.field("splash"), splash);
        props.set("splash", path);
    }
    let props = props
        .with_some("splash-time", boot.splash_time_ms)
        .with_some("reboot-timeout", boot.reboot_timeout_ms)
        .with_some("strict", boot.strict);
    if !props.is_empty() {
        builder.option(at, "-boot", props);
    }
    let arch = builder.target.arch;
    let has_prom = matches!(arch, Arch::Ppc | Arch::Ppc64 | Arch::Sparc | Arch::Sparc64);
    if !boot.prom_env.is_empty() && !has_prom {
        builder.not_here(at.field("prom_env"), "`prom_env`", "; it is for SPARC and PowerPC");
    }
    for (name, value) in &boot.prom_env {
        let env_at = at.field("prom_env");
        if name.is_empty() || name.len() > 64 || name.contains(['=', '\0']) {
            builder.invalid(env_at, name, "is not a valid name of a firmware variable");
        }
        builder.plain(env_at.field(name), "-prom-env", format!("{name}={value}"));
    }
    if let Some(resolution) = &boot.resolution {
        let at = at.field("resolution");
        if !(has_prom || arch == Arch::M68k) {
            builder.not_here(at, "`resolution`", "; video devices have `width` and `height`");
        }
        let numbers: Vec<_> = resolution.split('x').collect();
        let good = |number: &&str| {
            (1..=5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !(2..=3).contains(&numbers.len()) || !numbers.iter().all(good) {
            builder.invalid(at, resolution, "is not a valid resolution; expected for example 1024x768x32");
        }
        builder.plain(at, "-g", resolution);
    }
}

/// Modules of a multiboot kernel: `-initrd` takes a list of them, each with its command line behind a space.
fn modules(builder: &mut Builder<'_>, at: At<'_>, config: &VmConfig) {
    let boot = &config.boot;
    if boot.modules.is_empty() {
        return;
    }
    if boot.kernel.is_none() || boot.initrd.is_some() {
        builder.conflict(at.field("modules"), "`modules` requires `boot.kernel`, and replaces `initrd`");
    }
    if !builder.board.is_x86() {
        builder.not_here(at.field("modules"), "multiboot", "; use `initrd`");
    }
    let mut words = String::new();
    for (index, module) in boot.modules.iter().enumerate() {
        let at = at.item("modules", index);
        let Value::Str(path) = builder.path(at.field("path"), &module.path) else { continue };
        if path.contains(' ') {
            builder.invalid(
                at.field("path"),
                &path,
                "cannot be the path of a module: QEMU ends it at a space",
            );
        }
        if !words.is_empty() {
            words.push(',');
        }
        words.push_str(&path.replace(',', ",,"));
        if let Some(args) = &module.args {
            words.push(' ');
            words.push_str(&args.replace(',', ",,"));
        }
    }
    builder.plain(at.field("modules"), "-initrd", words);
}
