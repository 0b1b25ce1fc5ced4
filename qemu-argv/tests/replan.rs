//! A machine that was planned before keeps what guests know it by.

use qemu_argv::{
    Disk, Endpoints, MacAddress, NetBackend, Network, NicModel, Plan, StreamNet, Target, Version, VmConfig,
    plan, replan,
};

fn config() -> VmConfig {
    let stream = |path: &str| {
        let address = qemu_argv::SocketAddress::unix(path);
        Network::new(NetBackend::Stream(StreamNet { address, server: false, reconnect_ms: None }))
    };
    VmConfig {
        disks: vec![Disk::file("/vm/a.raw"), Disk::file("/vm/b.raw")],
        networks: vec![stream("/vm/one.sock"), stream("/vm/two.sock")],
        ..VmConfig::default()
    }
}

fn again(config: &VmConfig, earlier: Option<&Plan>) -> Plan {
    let target = Target::new(Version::new(10, 0), qemu_argv::Arch::X86_64);
    replan(config, &target, &Endpoints::default(), earlier).expect("the machine can be planned")
}

/// What a guest knows a device by, for every device whose backend is there before and after.
fn known(plan: &Plan, backend: &str) -> String {
    let owner = plan
        .netdevs()
        .find(|netdev| netdev.arguments().to_json().contains(backend))
        .map(|netdev| netdev.id.clone())
        .or_else(|| {
            let file = plan.block_nodes().find(|node| node.props.get_str("filename") == Some(backend))?;
            file.node_name.strip_suffix("-file").map(Into::into)
        });
    let owner = owner.unwrap_or_else(|| panic!("nothing is on {backend}"));
    let device = plan.devices().find(|device| device.id == owner).expect("a device");
    device.arguments().to_json()
}

#[test]
fn what_comes_in_the_middle_moves_nothing() {
    let before = again(&config(), None);
    let mut more = config();
    more.networks.insert(1, Network { model: NicModel::E1000e, ..Network::default() });
    more.disks.insert(0, Disk::file("/vm/new.raw"));
    let after = again(&more, Some(&before));
    for backend in ["/vm/one.sock", "/vm/two.sock", "/vm/a.raw", "/vm/b.raw"] {
        assert_eq!(known(&after, backend), known(&before, backend), "{backend}");
    }
    // And what goes leaves the others where they are.
    let back = again(&config(), Some(&after));
    for backend in ["/vm/one.sock", "/vm/two.sock", "/vm/a.raw", "/vm/b.raw"] {
        assert_eq!(known(&back, backend), known(&before, backend), "{backend}");
    }
}

#[test]
fn what_is_edited_in_place_stays_there() {
    let before = again(&config(), None);
    let mut edited = config();
    edited.networks[0].mtu = Some(1400);
    edited.disks[1].discard = true;
    let after = again(&edited, Some(&before));
    let ids = |plan: &Plan| plan.devices().map(|device| device.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(known(&after, "/vm/two.sock"), known(&before, "/vm/two.sock"));
}

#[test]
fn addresses_made_from_names_are_the_same_every_time() {
    let target = Target::new(Version::new(10, 0), qemu_argv::Arch::X86_64);
    let first = plan(&config(), &target, &Endpoints::default()).expect("a plan");
    let mac: MacAddress = "52:54:00:d8:dd:22".parse().expect("an address");
    let mut named = config();
    named.name = Some("web".into());
    let named = plan(&named, &target, &Endpoints::default()).expect("a plan");
    assert!(known(&named, "/vm/one.sock").contains(&mac.to_string()), "{}", known(&named, "/vm/one.sock"));
    assert_ne!(known(&first, "/vm/one.sock"), known(&named, "/vm/one.sock"));
}
