//! Section "Network Backends". What a guest gets through each is in `networks`.

use serde_json::json;

use super::{ask, launch, property, refused};
use crate::support::VERSIONS;

/// What QEMU says of its networks.
async fn networks(vm: &qemuctl::Instance) -> String {
    vm.human_monitor("info network").await.expect("told")
}

#[tokio::test]
async fn user_mode_nat() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            [[networks]]
            id = "net0"
            [networks.backend]
            type = "user"
            forwards = ["tcp:127.0.0.1:0-:22", "tcp:127.0.0.1:0-:80"]
            net = "10.0.2.0/24"
            dns = "10.0.2.3"
            restrict = false"#;
        let vm = launch(version, dir.path(), lines).await;
        let text = networks(&vm).await;
        assert!(text.contains("net0: index=0,type=user,net=10.0.2.0,restrict=off"), "{text}");
        let forwards = vm.human_monitor("info usernet").await.expect("told");
        assert_eq!(forwards.matches("HOST_FORWARD").count(), 2, "{forwards}");
    }
}

#[tokio::test]
async fn tap_device() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            [[networks]]
            queues = 4
            backend = { type = "tap", ifname = "qemuctl-no-if", vhost = false }"#;
        // Without the right to make interfaces, or with, QEMU gets the name as it is; scripts are never run.
        let config = super::config(version, dir.path(), lines);
        let options = qemuctl::LaunchOptions { paused: true, ..qemuctl::LaunchOptions::default() };
        match Box::pin(qemuctl::Instance::start_with(&config, &options)).await {
            Ok(vm) => {
                let text = networks(&vm).await;
                assert!(text.contains("ifname=qemuctl-no-if,script=no,downscript=no"), "{text}");
            }
            Err(error) => {
                let text = error.to_string();
                let why = ["/dev/net/tun", "could not configure", "Operation not permitted"];
                assert!(why.iter().any(|why| text.contains(why)), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn socket_backend() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            [[networks]]
            backend = { type = "socket", mode = "listen", address = "127.0.0.1:0" }"#;
        let text = networks(&launch(version, dir.path(), lines).await).await;
        assert!(text.contains("type=socket"), "{text}");
    }
}

#[tokio::test]
async fn stream_backend_unix_socket() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let server = r#"
            name = "server"
            [[networks]]
            backend = { type = "stream", address = "DIR/stream.sock", server = true }"#;
        let client = r#"
            name = "client"
            [[networks]]
            backend = { type = "stream", address = "DIR/stream.sock" }"#;
        let server = launch(version, dir.path(), server).await;
        let mut connected = server.events_of::<qmp_proto::event::NetdevStreamConnected>();
        let _client = launch(version, dir.path(), client).await;
        let connected = tokio::time::timeout(crate::guest_agent::GENEROUS, connected.recv()).await;
        connected.expect("in time").expect("connected");
    }
}

#[tokio::test]
async fn stream_backend_tcp_with_reconnect() {
    // QEMU 7.2 cannot, and says so before anything starts.
    let lines = r#"
        [[networks]]
        backend = { type = "stream", address = "127.0.0.1:1", server = false, reconnect_ms = 10000 }"#;
    for version in ["10.0", "11.1"] {
        let dir = tempfile::tempdir().expect("a directory");
        let text = networks(&launch(version, dir.path(), lines).await).await;
        assert!(text.contains("type=stream"), "{text}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let error = refused("7.2", dir.path(), lines).await;
    assert!(error.contains("8.0"), "{error}");
}

#[tokio::test]
async fn bridge_helper() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            sandbox = { allow_spawn = true, allow_elevate = true }
            [[networks]]
            backend = { type = "bridge", bridge = "br0", helper = "/no/such/helper" }"#;
        let error = refused(version, dir.path(), lines).await;
        assert!(error.contains("bridge helper failed"), "{version}: {error}");
    }
}

#[tokio::test]
async fn vde() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            [[networks]]
            backend = { type = "vde", socket = "DIR/none.ctl" }"#;
        let error = refused(version, dir.path(), lines).await;
        assert!(error.contains("Could not open vde"), "{version}: {error}");
    }
}

#[tokio::test]
async fn multiple_network_backends() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            networks = [
                "user",
                { backend = { type = "socket", mode = "listen", address = "127.0.0.1:0" } },
                { backend = { type = "stream", address = "DIR/s.sock", server = true } },
                { backend = { type = "dgram", local = "DIR/a.sock", remote = "DIR/b.sock" } },
            ]"#;
        let vm = launch(version, dir.path(), lines).await;
        let macs: std::collections::BTreeSet<String> = [
            property(&vm, "/machine/peripheral/net0", "mac").await,
            property(&vm, "/machine/peripheral/net1", "mac").await,
            property(&vm, "/machine/peripheral/net2", "mac").await,
            property(&vm, "/machine/peripheral/net3", "mac").await,
        ]
        .map(|mac| mac.to_string())
        .into();
        assert_eq!(macs.len(), 4, "each has an address of its own");
        assert!(ask(&vm, "query-rx-filter", json!({})).await.as_array().is_some_and(|list| list.len() == 4));
    }
}
