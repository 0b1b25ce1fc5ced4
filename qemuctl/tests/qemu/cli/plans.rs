//! Plans that are written down and read back by the program.

use serde_json::Value;

use super::program::Place;

/// The place of each device on the machine's buses, by id.
fn places(plan: &str) -> Vec<(String, Value)> {
    let plan: Value = serde_json::from_str(plan).expect("a plan is JSON");
    let bundles = plan["bundles"].as_array().expect("it has bundles").iter();
    let devices = bundles.filter_map(|bundle| bundle["devices"].as_array()).flatten();
    devices
        .map(|device| (device["id"].as_str().expect("an id").to_owned(), device["place"].clone()))
        .collect()
}

#[test]
fn a_kept_plan_keeps_every_address() {
    let place = Place::new();
    let qemu = crate::support::qemu("10.0", "qemu-system-x86_64");
    let config = |networks: &str| {
        let qemu = qemu.display();
        format!(
            "name = \"web\"\nqemu = \"{qemu}\"\nmachine = {{ accel = \"tcg\" }}\nnetworks = [{networks}]\n"
        )
    };
    place.write("web.toml", config(r#"{ id = "lan" }, { id = "wan" }"#));
    let first = place.qemuctl(&["argv", "--plan", "web.toml"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    place.write("web.plan", &first.out);

    place.write("web.toml", config(r#"{ id = "lan" }, { id = "new" }, { id = "wan" }"#));
    let kept = place.qemuctl(&["argv", "--plan", "--from-plan", "web.plan", "web.toml"]);
    let kept = places(&kept.out);
    for device in places(&first.out) {
        assert!(kept.contains(&device), "{device:?} is not in {kept:?}");
    }
    // It is the earlier plan that keeps them.
    let fresh = places(&place.qemuctl(&["argv", "--plan", "web.toml"]).out);
    assert_ne!(fresh, kept);

    place.write("web.plan", "no plan");
    let refused = place.qemuctl(&["argv", "--from-plan", "web.plan", "web.toml"]);
    insta::assert_snapshot!(refused.whole());
}
