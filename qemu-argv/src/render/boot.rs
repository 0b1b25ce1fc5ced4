//! `-kernel` and its companions, `-boot`.

use crate::draft::Draft;
use crate::error::At;
use crate::value::Props;

pub(super) fn boot(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let at = root.field("boot");
    let boot = &draft.config.boot;
    if let Some(kernel) = &boot.kernel {
        let path = draft.raw_path(at.field("kernel"), kernel);
        draft.plain(at, "-kernel", path);
    }
    if let Some(initrd) = &boot.initrd {
        if boot.kernel.is_none() {
            draft.conflict(at.field("initrd"), "an initial RAM disk needs `boot.kernel`");
        }
        let path = draft.raw_path(at.field("initrd"), initrd);
        draft.plain(at, "-initrd", path);
    }
    if let Some(append) = &boot.append {
        if boot.kernel.is_none() {
            draft.conflict(at.field("append"), "a kernel command line needs `boot.kernel`");
        }
        draft.plain(at.field("append"), "-append", append);
    }
    if let Some(dtb) = &boot.dtb {
        let path = draft.raw_path(at.field("dtb"), dtb);
        draft.plain(at, "-dtb", path);
    }
    for (field, letters) in [("order", &boot.order), ("once", &boot.once)] {
        if let Some(letters) = letters {
            let good = !letters.is_empty() && letters.bytes().all(|letter| (b'a'..=b'p').contains(&letter));
            if !good {
                draft.invalid(at.field(field), letters, "is no boot order: letters from a to p");
            }
        }
    }
    let mut props = Props::new()
        .with_some("order", boot.order.as_ref())
        .with_some("once", boot.once.as_ref())
        .with_some("menu", boot.menu);
    if let Some(splash) = &boot.splash {
        let path = draft.raw_path(at.field("splash"), splash);
        props.set("splash", path);
    }
    let props = props
        .with_some("splash-time", boot.splash_time_ms)
        .with_some("reboot-timeout", boot.reboot_timeout_ms)
        .with_some("strict", boot.strict);
    if !props.is_empty() {
        draft.option(at, "-boot", props);
    }
}
