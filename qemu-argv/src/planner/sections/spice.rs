//! `-spice`.

use crate::config::{
    SpiceAuto, SpiceCompression, SpiceInet, SpiceListen, SpiceStreaming, SpiceUnix, VmConfig,
};
use crate::plan::SocketRole;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

pub(super) fn spice(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(spice) = &config.spice else { return };
    let at = At::section("spice");
    let mut props = listen(builder, at, &spice.listen, spice.x509_dir.is_some());
    if let Some(dir) = &spice.x509_dir {
        let dir = builder.raw_path(at.field("x509_dir"), dir);
        props.set("x509-dir", dir);
    }
    if let Some(ciphers) = &spice.tls_ciphers {
        if spice.x509_dir.is_none() {
            builder.conflict(at.field("tls_ciphers"), "`tls_ciphers` requires `x509_dir`");
        }
        props.set("tls-ciphers", ciphers);
    }
    if let Some(secret) = &spice.password_secret {
        builder.secret(at.field("password_secret"), secret);
        props.set("password-secret", secret);
        if spice.disable_ticketing {
            builder.conflict(
                at.field("disable_ticketing"),
                "`password_secret` conflicts with `disable_ticketing`",
            );
        }
    }
    let on = |flag: bool| flag.then_some(true);
    let auto = |word: Option<SpiceAuto>| {
        word.map(|word| match word {
            SpiceAuto::Auto => "auto",
            SpiceAuto::Never => "never",
            SpiceAuto::Always => "always",
        })
    };
    let compression = spice.image_compression.map(|kind| match kind {
        SpiceCompression::AutoGlz => "auto_glz",
        SpiceCompression::AutoLz => "auto_lz",
        SpiceCompression::Quic => "quic",
        SpiceCompression::Glz => "glz",
        SpiceCompression::Lz => "lz",
        SpiceCompression::Off => "off",
    });
    let streaming = spice.streaming_video.map(|kind| match kind {
        SpiceStreaming::Off => "off",
        SpiceStreaming::All => "all",
        SpiceStreaming::Filter => "filter",
    });
    if spice.gl && matches!(spice.listen, SpiceListen::Inet(SpiceInet { .. })) {
        builder.conflict(at.field("gl"), "`gl` requires a Unix socket");
    }
    props = props
        .with_some("disable-ticketing", on(spice.disable_ticketing))
        .with_some("sasl", on(spice.sasl))
        .with_some("image-compression", compression)
        .with_some("jpeg-wan-compression", auto(spice.jpeg_wan_compression))
        .with_some("zlib-glz-wan-compression", auto(spice.zlib_glz_wan_compression))
        .with_some("streaming-video", streaming)
        .with_some("playback-compression", spice.playback_compression)
        .with_some("agent-mouse", spice.agent_mouse)
        .with_some("seamless-migration", on(spice.seamless_migration))
        .with_some("disable-copy-paste", spice.copy_paste.map(|on| !on))
        .with_some("disable-agent-file-xfer", spice.file_transfer.map(|on| !on))
        .with_some("gl", on(spice.gl));
    if let Some(node) = &spice.render_node {
        let node = builder.raw_path(at.field("render_node"), node);
        props.set("rendernode", node);
    }
    builder.option(at, "-spice", props);
}

fn listen(builder: &mut Builder<'_>, at: At<'_>, listen: &SpiceListen, certificates: bool) -> Props {
    let at = at.field("listen");
    match listen {
        // Without any option QEMU would read the empty text as no SPICE at all.
        SpiceListen::None => Props::new().with("agent-mouse", true),
        SpiceListen::Unix(SpiceUnix { path }) => {
            builder.check_socket_path(at.field("path"), path);
            builder.known_socket(at, SocketRole::Spice, path.clone());
            Props::new().with("unix", true).with("addr", builder.raw_path(at.field("path"), path))
        }
        SpiceListen::Inet(SpiceInet { host, port, tls_port }) => {
            if port.is_none() && tls_port.is_none() {
                builder.conflict(at, "set `port` or `tls_port`");
            }
            if tls_port.is_some() && !certificates {
                builder.conflict(at.field("tls_port"), "`tls_port` requires `x509_dir`");
            }
            let host = host.clone().unwrap_or_else(|| "127.0.0.1".into());
            // The brackets of an IPv6 address are for texts with a port; here it stands alone.
            builder.host(at.field("host"), &host);
            Props::new().with("addr", host).with_some("port", *port).with_some("tls-port", *tls_port)
        }
    }
}
