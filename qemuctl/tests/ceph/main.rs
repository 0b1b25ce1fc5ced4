//! Disks on a Ceph of one node: a monitor and a storage daemon, made anew for each test. `cargo xtask ceph` runs them.

#[path = "../qemu/storage/backend.rs"]
mod backend;
mod cluster;
#[path = "../qemu/servers.rs"]
#[expect(dead_code, reason = "Ceph needs a part of what servers need")]
mod servers;
#[path = "../qemu/support.rs"]
#[expect(dead_code, reason = "no guest runs here")]
mod support;

use std::path::Path;

use qemuctl::{
    Instance,
    config::{Disk, DiskBackend, RbdDisk, Secret, SecretFormat, SocketAddress},
    error::Cause,
};

use backend::Backend;
use cluster::{Cluster, MONITOR, USER};
use servers::{GENEROUS, isolated, scratch};
use support::VERSIONS;

/// The disk `image` of the cluster, for its user with this key.
fn disk(cluster: Cluster, image: &str, key: &str, prepare: impl FnOnce(&mut DiskBackend)) -> Backend {
    let mut rbd = DiskBackend::Rbd(RbdDisk {
        pool: cluster::POOL.into(),
        image: image.into(),
        namespace: Some(cluster::NAMESPACE.into()),
        snapshot: None,
        user: Some(USER.into()),
        key_secret: Some("cephx".into()),
        conf: Some(cluster.client_conf()),
        monitors: Vec::new(),
    });
    prepare(&mut rbd);
    let secret = Secret { format: SecretFormat::Base64, ..Secret::new("cephx", key) };
    let image = image.to_owned();
    let Cluster { servers, admin } = cluster;
    let backend = Backend::new(Disk::new(rbd), servers, move |count| {
        let mut bytes = admin.exported(&image);
        bytes.truncate(count);
        bytes
    });
    Backend { secrets: vec![secret], ..backend }
}

/// Looks for the key where others than QEMU could see it.
async fn is_seen_nowhere(key: &str, backend: &Backend, dir: &Path) {
    for version in VERSIONS {
        let config = backend.config(version, dir);
        let vm = Instance::start(&config).await.expect(version);
        let pid = vm.pid().expect("a process");
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{pid}/{file}")).expect("readable");
            assert!(!String::from_utf8_lossy(&text).contains(key), "{version}: {file}");
        }
        vm.quit(GENEROUS).await.expect("it ends");
        assert!(!format!("{config:?} {vm:?} {:?}", vm.output()).contains(key), "{version}");
    }
}

#[test]
fn what_is_written_is_in_the_cluster() {
    isolated(what_is_written_is_in_the_cluster, async {
        let dir = scratch();
        let cluster = Cluster::start(dir.path());
        cluster.admin.create("disk");
        let key = cluster.admin.key();
        let backend = disk(cluster, "disk", &key, |_| {});
        backend.holds_what_is_written(dir.path()).await;
        is_seen_nowhere(&key, &backend, dir.path()).await;
    });
}

#[test]
fn a_snapshot_is_read_by_way_of_a_monitor_that_is_named() {
    isolated(a_snapshot_is_read_by_way_of_a_monitor_that_is_named, async {
        let dir = scratch();
        let cluster = Cluster::start(dir.path());
        cluster.admin.import("disk", 0x5a);
        cluster.admin.snapshot("disk", "before");
        cluster.admin.shrink("disk");
        let key = cluster.admin.key();
        let mut backend = disk(cluster, "disk", &key, |rbd| {
            let DiskBackend::Rbd(RbdDisk { snapshot, conf, monitors, .. }) = rbd else {
                unreachable!("`disk` makes it")
            };
            *snapshot = Some("before".into());
            *conf = None;
            monitors.push(MONITOR.parse::<SocketAddress>().expect("an address"));
        });
        backend.disk.read_only = true;
        backend.gives(dir.path(), 0x5a).await;
    });
}

#[test]
fn a_wrong_key_and_a_user_nobody_knows_are_refused() {
    isolated(a_wrong_key_and_a_user_nobody_knows_are_refused, async {
        let dir = scratch();
        let cluster = Cluster::start(dir.path());
        cluster.admin.create("disk");
        let mut backend = disk(cluster, "disk", &cluster::another_key(), |_| {});
        backend.is_refused(dir.path(), Cause::NotAuthenticated).await;
        let DiskBackend::Rbd(RbdDisk { user, .. }) = &mut backend.disk.backend else {
            unreachable!("`disk` makes it")
        };
        *user = Some("nobody".into());
        backend.is_refused(dir.path(), Cause::NotAuthenticated).await;
    });
}
