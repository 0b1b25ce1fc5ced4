//! Descriptions that are changed, machines that are renamed and copied.

use std::os::unix::fs::PermissionsExt;

use super::super::guest::{OBEDIENT, POWER_OFF};
use super::{create, done, info, json, place_with};

#[test]
fn settings_change_and_nothing_else_does() {
    let place = place_with("web", OBEDIENT);
    let path = place.file("home/machines/web/machine.toml");
    let read = || std::fs::read_to_string(&path).expect("text");
    std::fs::write(&path, format!("# the web server\n{}", read())).expect("written");
    let before = read();
    done(&place, &["set", "web", "memory=128MiB", "cpus=2"]);
    assert_eq!(read(), before.replace("64MiB", "128MiB").replace("\n\n[machine]", "\ncpu = 2\n\n[machine]"));
    let changed = read();
    for (setting, said) in [
        ("memory=lots", "memory"),
        ("memroy=1GiB", "did you mean"),
        ("keep.restart=often", "on-failure"),
        ("name=other", "name is that of its folder"),
    ] {
        let refused = place.qemuctl(&["set", "web", setting]);
        assert_eq!(refused.code, Some(4), "{refused:?}");
        assert!(refused.err.contains(said) && refused.err.contains("was not changed"), "{refused:?}");
        assert_eq!(read(), changed);
    }
}

#[test]
fn changes_at_the_same_time_are_all_made() {
    let place = place_with("web", OBEDIENT);
    let keys =
        ["cpus=2", "memory=96MiB", "hotplug_ports=2", "guest_agent=false", "paused=true", "restart=always"];
    let children: Vec<_> = keys
        .iter()
        .map(|key| place.command(&["set", "web", key, "--quiet"]).spawn().expect("the program starts"))
        .collect();
    for child in children {
        assert!(child.wait_with_output().expect("it ends").status.success());
    }
    let text = std::fs::read_to_string(place.file("home/machines/web/machine.toml")).expect("text");
    for part in [
        "cpu = 2",
        "96MiB",
        "hotplug_ports = 2",
        "guest_agent = false",
        "paused = true",
        "restart = \"always\"",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_description_is_edited_and_saved_only_if_it_is_right() {
    let place = place_with("web", OBEDIENT);
    let path = place.file("home/machines/web/machine.toml");
    let edit = |script: &str| {
        let editor = place.write("editor", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).expect("ours");
        let output = place
            .command(&["edit", "web"])
            .env_remove("VISUAL")
            .env("EDITOR", format!("'{}' -n", editor.display()))
            .output();
        place.answer(&output.expect("the program starts"))
    };
    let changed = edit("sed -i s/64MiB/96MiB/ \"$2\"");
    assert_eq!((changed.code, changed.err.as_str()), (Some(0), "changed web\n"));
    let text = std::fs::read_to_string(&path).expect("text");
    assert!(text.contains("96MiB"), "{text}");
    assert_eq!(edit("true").err, "web is unchanged\n");
    let wrong = edit("sed -i s/96MiB/much/ \"$2\"");
    assert_eq!(wrong.code, Some(4), "{wrong:?}");
    assert!(wrong.err.contains("your text is in"), "{wrong:?}");
    assert_eq!(edit("exit 3").code, Some(1));
    assert_eq!(std::fs::read_to_string(&path).expect("text"), text);
    let overtaken =
        edit(&format!("sed -i s/96MiB/80MiB/ \"$2\"; sed -i s/96MiB/72MiB/ '{}'", path.display()));
    assert_eq!(overtaken.code, Some(1), "{overtaken:?}");
    assert!(std::fs::read_to_string(&path).expect("text").contains("72MiB"));
}

#[test]
fn a_renamed_machine_is_the_same() {
    let place = place_with("web", POWER_OFF);
    create(&place, "db", POWER_OFF, "10.0");
    let taken = place.qemuctl(&["rename", "web", "db"]);
    assert_eq!(taken.code, Some(1), "{taken:?}");
    done(&place, &["run", "web"]);
    done(&place, &["rename", "web", "www"]);
    assert_eq!(done(&place, &["list", "--all", "--names"]).out, "db\nwww\n");
    assert_eq!(info(&place, "www")["ended"], "guest shut down");
    done(&place, &["run", "www"]);
    let unknown = place.qemuctl(&["info", "web"]);
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    assert!(unknown.err.contains("help: the machines are: db, www"), "{unknown:?}");
}

#[test]
fn clones_run_beside_each_other() {
    let place = place_with("web", OBEDIENT);
    done(&place, &["set", "web", "uuid=11111111-1111-4111-8111-111111111111"]);
    done(&place, &["clone", "web", "copy"]);
    done(&place, &["clone", "web", "linked", "--linked"]);
    let backing = |name: &str| {
        let disk = format!("home/machines/{name}/disks/disk0.qcow2");
        json(&place, &["image", "info", &disk])[0]["backing"].clone()
    };
    assert_eq!(backing("copy"), serde_json::Value::Null);
    let base = backing("web");
    assert!(base.as_str().is_some_and(|path| path.contains("/home/bases/web-disk0-")), "{base}");
    assert_eq!(backing("linked"), base);
    let uuid = |name: &str| {
        let text =
            std::fs::read_to_string(place.file(&format!("home/machines/{name}/machine.toml"))).expect("text");
        text.lines().find(|line| line.starts_with("uuid")).expect("a uuid").to_owned()
    };
    assert!(uuid("web") != uuid("copy") && uuid("web") != uuid("linked") && uuid("copy") != uuid("linked"));
    done(&place, &["start", "web", "copy", "linked"]);
    done(&place, &["stop", "--all"]);
    for name in ["web", "copy", "linked"] {
        assert_eq!(info(&place, name)["ended"], "guest shut down");
    }
    // A clone is in nobody's way.
    done(&place, &["rm", "web", "--yes"]);
    done(&place, &["start", "linked"]);
    done(&place, &["stop", "linked"]);

    place.write("shared.raw", super::disk(OBEDIENT));
    done(&place, &["set", "copy", &format!("disks=[\"{}\"]", place.file("shared.raw").display())]);
    let shared = place.qemuctl(&["clone", "copy", "other"]);
    assert_eq!(shared.code, Some(1), "{shared:?}");
    assert!(shared.err.contains("both machines would write to it"), "{shared:?}");
    assert!(place.qemuctl(&["info", "other"]).code == Some(3));
}

#[test]
fn disks_are_kept_when_they_are_to_be() {
    let place = place_with("web", OBEDIENT);
    let asked = place.qemuctl(&["rm", "web"]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.err.contains("confirm with --yes"), "{asked:?}");
    let removed = done(&place, &["rm", "web", "--yes", "--keep-disks"]);
    assert_eq!(removed.err, "removed web; its disks are in DIR/home/disks/web\n");
    assert!(place.file("home/disks/web/disk0.qcow2").exists());
    create(&place, "web", OBEDIENT, "10.0");
    done(&place, &["rm", "web", "--yes", "--keep-disks"]);
    assert!(place.file("home/disks/web.2/disk0.qcow2").exists());
}

#[test]
fn the_base_of_clones_goes_with_the_last_of_them() {
    let place = place_with("web", POWER_OFF);
    let bases = || std::fs::read_dir(place.file("home/bases")).map_or(0, Iterator::count);
    done(&place, &["clone", "web", "one", "--linked"]);
    // Its disk rests on a base that rests on the first.
    done(&place, &["clone", "one", "two", "--linked"]);
    assert_eq!(bases(), 2);
    done(&place, &["rm", "web", "one", "--yes"]);
    assert_eq!(bases(), 2, "two rests on both");
    done(&place, &["run", "two", "--no-console"]);
    done(&place, &["rm", "two", "--yes", "--keep-disks"]);
    assert_eq!(bases(), 2, "its disk is kept");
    std::fs::remove_dir_all(place.file("home/disks")).expect("removed");
    create(&place, "other", POWER_OFF, "10.0");
    done(&place, &["rm", "other", "--yes"]);
    assert_eq!(bases(), 0);
}
