//! Section "Display Configuration".

use serde_json::json;

use super::{ask, driver, launch};
use crate::support::VERSIONS;

#[tokio::test]
async fn vnc_listen_none_password_secret_and_lossy() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            secrets = [{ id = "vnc-pw", value = "secret" }]
            vnc = { listen = { type = "none" }, password_secret = "vnc-pw", lossy = true }
            video = [{ model = "virtio-vga" }]"#;
        let vm = launch(version, dir.path(), lines).await;
        let servers = ask(&vm, "query-vnc-servers", json!({})).await;
        assert_eq!((&servers[0]["auth"], &servers[0]["server"]), (&json!("vnc"), &json!([])), "{version}");
        assert_eq!(driver(&vm, "video0").await, "virtio-vga");
    }
}

#[tokio::test]
async fn vnc_websocket() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = probe.local_addr().expect("it has one").port();
        drop(probe);
        let lines = format!(
            "vnc = {{ listen = {{ type = \"inet\", port = 5950, last_port = 5999 }}, websocket_port = {port} }}"
        );
        let vm = launch(version, dir.path(), &lines).await;
        let servers = ask(&vm, "query-vnc-servers", json!({})).await.to_string();
        assert!(servers.contains(&format!("\"service\":\"{port}\"")), "{servers}");
        assert!(servers.contains("\"websocket\":true"), "{servers}");
    }
}

#[tokio::test]
async fn vnc_video_vga_mem() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm =
            launch(version, dir.path(), "vnc = {}\nvideo = [{ model = \"vga\", vga_memory = \"64MiB\" }]")
                .await;
        assert_eq!(driver(&vm, "video0").await, "VGA");
        assert_eq!(super::property(&vm, "/machine/peripheral/video0", "vgamem_mb").await, 64, "{version}");
    }
}

#[tokio::test]
async fn spice_unix_ticketing_password_secret_and_compression() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            secrets = [{ id = "spice-pw", value = "secret" }]
            spice_agent = true
            video = [{ model = "qxl-vga", vga_memory = "64MiB", ram = "128MiB", vram = "128MiB" }]
            [spice]
            listen = { type = "unix", path = "DIR/spice.sock" }
            disable_ticketing = false
            password_secret = "spice-pw"
            image_compression = "auto_glz"
            playback_compression = true
            seamless_migration = true"#;
        let vm = launch(version, dir.path(), lines).await;
        assert_eq!(ask(&vm, "query-spice", json!({})).await["auth"], "spice");
        let video = "/machine/peripheral/video0";
        assert_eq!(super::property(&vm, video, "vram_size").await, 128 << 20, "{version}");
        std::os::unix::net::UnixStream::connect(dir.path().join("spice.sock")).expect("it listens");
    }
}

#[tokio::test]
async fn spice_agent_for_copy_and_paste() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "spice = {}\nspice_agent = true").await;
        let chardevs = ask(&vm, "query-chardev", json!({})).await.to_string();
        assert!(chardevs.contains("spicevmc"), "{version}: {chardevs}");
    }
}
