//! Exceptions to the rules, as rows of data, each with its reason.

/// The width of integers that only 11.1 has: its manual and introspection say `int` for all.
/// Owner, member, type. Sizes, addresses and counters of the whole unsigned range.
pub const INTEGERS: &[(&str, &str, &str)] = &[
    ("BlockLimitsInfo", "max-hw-transfer", "uint64"),
    ("BlockLimitsInfo", "max-transfer", "uint64"),
    ("BlockLimitsInfo", "min-mem-alignment", "uint64"),
    ("BlockLimitsInfo", "opt-mem-alignment", "uint64"),
    ("CXLDRAMEvent", "dpa", "uint64"),
    ("CXLGeneralMediaEvent", "dpa", "uint64"),
    ("GuestPanicInformationSev", "code", "uint64"),
    ("GuestPanicInformationSev", "set", "uint64"),
    ("GuestPanicInformationTdx", "error-code", "uint64"),
    ("GuestPanicInformationTdx", "gpa", "uint64"),
    ("MigrationInfo", "postcopy-latency", "uint64"),
    ("MigrationInfo", "postcopy-latency-dist", "[uint64]"),
    ("MigrationInfo", "postcopy-non-vcpu-latency", "uint64"),
    ("MigrationInfo", "postcopy-vcpu-latency", "[uint64]"),
    ("MigrationInfo", "remaining", "uint64"),
    ("MigrationParameters", "x-rdma-chunk-size", "uint64"),
    ("SgxEpcSection", "size", "uint64"),
    ("SpMemDeviceInfo", "addr", "uint64"),
    ("SpMemDeviceInfo", "size", "uint64"),
    ("TdxGuestProperties", "attributes", "uint64"),
];

/// Unions that are a struct here, with the members of all branches as optional ones, and why.
pub const FLAT_UNIONS: &[(&str, &str)] =
    &[("SevInfo", "7.2 has the members of the branch `sev` without the discriminator")];

/// Members that hold a secret, which `Debug` must not show: the type or command, the member.
pub const SECRETS: &[(&str, &str)] = &[
    ("BlockdevOptionsCurlHttp", "cookie"),
    ("BlockdevOptionsCurlHttps", "cookie"),
    ("SecretProperties", "data"),
    ("SetPasswordOptions", "password"),
    ("change-vnc-password", "password"),
    ("guest-set-user-password", "password"),
    ("sev-inject-launch-secret", "secret"),
];

/// Types with another name in Rust: QEMU's, ours, why.
pub const TYPE_NAMES: &[(&str, &str, &str)] = &[
    ("GuestExec", "GuestExecReply", "the command `guest-exec` has the name"),
    ("GuestExecStatus", "GuestExecStatusReply", "the command `guest-exec-status` has the name"),
    ("GuestFileRead", "GuestFileReadReply", "the command `guest-file-read` has the name"),
    ("GuestFileSeek", "GuestFileSeekReply", "the command `guest-file-seek` has the name"),
    ("GuestFileWrite", "GuestFileWriteReply", "the command `guest-file-write` has the name"),
    ("GuestFsfreezeStatus", "GuestFsfreezeState", "the command `guest-fsfreeze-status` has the name"),
    ("String", "QapiString", "Rust's prelude has the name"),
];

/// Words of enums whose variant does not follow the rule: the word, the variant, why.
pub const VARIANT_NAMES: &[(&str, &str, &str)] =
    &[("unknown", "UnknownWord", "`Unknown` holds the words that this crate does not know")];

/// Types written by hand in `qmp-proto/src/wire.rs`, with their names there, because the envelope needs
/// them whatever features are chosen.
pub const HAND_WRITTEN: &[(&str, &str)] =
    &[("QapiErrorClass", "ErrorClass"), ("VersionInfo", "VersionInfo"), ("VersionTriple", "VersionTriple")];

/// Errors that have a class of their own: the class, when it comes, the commands. Seen on 7.2, 10.0 and 11.1 by
/// giving every command names that nothing has. Any command may fail with `GenericError`, or with
/// `CommandNotFound` where this QEMU does not have it or does not permit it now.
pub const ERRORS: &[(&str, &str, &[&str])] = &[
    (
        "DeviceNotFound",
        "if there is no such device",
        &[
            "block-commit",
            "block-latency-histogram-set",
            "block_set_io_throttle",
            "blockdev-change-medium",
            "blockdev-close-tray",
            "blockdev-insert-medium",
            "blockdev-open-tray",
            "blockdev-remove-medium",
            "device_del",
            "eject",
            "netdev_del",
            "set_link",
        ],
    ),
    ("DeviceNotFound", "if there is no such object", &["qom-get", "qom-list", "qom-list-get", "qom-set"]),
    ("DeviceNotFound", "if there is no such type", &["device-list-properties", "qom-list-properties"]),
    (
        "DeviceNotActive",
        "if there is no such job",
        &[
            "block-job-cancel",
            "block-job-change",
            "block-job-complete",
            "block-job-dismiss",
            "block-job-finalize",
            "block-job-pause",
            "block-job-resume",
            "block-job-set-speed",
        ],
    ),
    ("DeviceNotActive", "if the machine has no balloon", &["balloon", "query-balloon"]),
];

/// The QAPI modules that a manager of virtual machines needs; the rest are opt-in features.
pub const DEFAULT_MODULES: &[&str] = &[
    "accelerator",
    "block",
    "block-core",
    "block-export",
    "char",
    "control",
    "dump",
    "introspect",
    "job",
    "machine",
    "migration",
    "misc",
    "net",
    "pci",
    "qdev",
    "qom",
    "run-state",
    "stats",
    "transaction",
    "ui",
    "yank",
];
