//! Options that describe a machine without a config file.

use super::guest::{POWER_OFF, disk};
use super::program::Place;

#[test]
fn options_become_a_machine() {
    let place = Place::new();
    place.write("guest.raw", disk(POWER_OFF));
    std::fs::create_dir(place.file("src")).expect("made");
    let created = place.qemuctl(&[
        "create",
        "web",
        "guest.raw",
        "--linked",
        "--arch",
        "x86_64",
        "--user",
        "alice",
        "--share",
        "src",
        "--share",
        "src:docs",
        "--bridge",
        "br0",
        "--secure-boot",
        "--display",
        "gtk",
    ]);
    assert_eq!(created.code, Some(0), "{created:?}");
    let text = std::fs::read_to_string(place.file("home/machines/web/machine.toml")).expect("text");
    insta::assert_snapshot!(text.replace(&place.file("").display().to_string(), "DIR/"));
    for (args, said) in [
        (["--share", "missing"], "missing is not a directory"),
        (["--share", "/"], "give DIR:TAG"),
        (["--display", "spice"], "possible values: gtk, sdl, none"),
        (["--user", "Alice"], "is not a valid user name"),
    ] {
        let refused = place.qemuctl(&[&["check", "guest.raw", "--arch", "x86_64"][..], &args].concat());
        assert!(refused.code != Some(0) && refused.err.contains(said), "{args:?}: {refused:?}");
    }
}
