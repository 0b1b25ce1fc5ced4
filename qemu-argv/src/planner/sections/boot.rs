//! `-kernel` and its companions, `-boot`.

use crate::config::VmConfig;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

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
}
