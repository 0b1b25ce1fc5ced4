//! Examples of each subcommand, for the man pages.

/// A command line, and what it does.
type Example = (&'static str, &'static str);

/// Returns the examples of a subcommand; of the program if `subcommand` is empty.
pub(crate) fn of(subcommand: &str) -> &'static [Example] {
    EXAMPLES.iter().find(|(name, _)| *name == subcommand).map_or(&[], |(_, examples)| examples)
}

/// Returns the names of the subcommands.
pub(crate) fn subcommands() -> impl Iterator<Item = &'static str> {
    EXAMPLES.iter().map(|(name, _)| *name).filter(|name| !name.is_empty())
}

const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            (
                "qemuctl run debian.qcow2 -m 2G -p 2222:22",
                "Boots an image in the foreground, and forwards port 2222 to the guest's SSH port.",
            ),
            ("qemuctl create web debian.qcow2 -m 2G", "Creates a machine with a copy of the image."),
            ("qemuctl start web", "Starts it in the background."),
        ],
    ),
    (
        "run",
        &[
            (
                "qemuctl run debian.qcow2 -m 2G -c 2 -p 2222:22",
                "Boots an image with 2 GiB of memory and two CPUs.",
            ),
            (
                "qemuctl run debian.qcow2 --user alice",
                "Boots a cloud image with a user, whom `qemuctl ssh debian` logs in as.",
            ),
            ("qemuctl run web.toml", "Runs the VM that a config file describes."),
            ("qemuctl run rescue.iso --disk installed.qcow2", "Boots an ISO image, with a disk attached."),
        ],
    ),
    (
        "ssh",
        &[
            ("qemuctl ssh web", "Logs in to the guest."),
            (
                "qemuctl ssh web -- systemctl is-active nginx",
                "Runs a command there, and exits with its code.",
            ),
        ],
    ),
    (
        "forward",
        &[
            (
                "qemuctl forward add web 8080:80",
                "Makes the guest's port 80 available as port 8080 of 127.0.0.1.",
            ),
            ("qemuctl forward remove web 8080", "Stops that."),
        ],
    ),
    ("nic", &[("qemuctl nic add web --bridge br0", "Adds a network interface on the bridge br0.")]),
    ("usb", &[("qemuctl usb add web 046d:c52b", "Passes a USB device of the host through to the guest.")]),
    (
        "memory",
        &[
            ("qemuctl memory web 1GiB", "Asks the guest to use no more than 1 GiB."),
            ("qemuctl memory web", "Shows how much memory the VM has."),
        ],
    ),
    ("cpus", &[("qemuctl cpus web 4", "Gives the VM four CPUs.")]),
    (
        "ssh-config",
        &[(
            "qemuctl ssh-config > ~/.ssh/qemuctl",
            "Writes settings that `Include qemuctl` in ~/.ssh/config reads.",
        )],
    ),
    (
        "create",
        &[
            (
                "qemuctl create web debian.qcow2 --size 20GiB",
                "Creates a machine with a copy of the image, enlarged to 20 GiB.",
            ),
            (
                "qemuctl create web --image debian-13 --size 20GiB --user alice",
                "Creates a machine from a downloaded cloud image, with a user to log in as.",
            ),
            (
                "qemuctl create web --disk 20GiB --iso debian.iso",
                "Creates a machine with an empty disk and an installer.",
            ),
        ],
    ),
    (
        "save",
        &[
            ("qemuctl save web", "Saves a machine; `qemuctl start web` goes on where it was."),
            ("qemuctl save web web.state", "Saves a VM to a file."),
        ],
    ),
    ("restore", &[("qemuctl restore web.state", "Starts a VM where it was saved.")]),
    (
        "snapshot",
        &[
            ("qemuctl snapshot create web before-update", "Saves the disks, and the memory if it runs."),
            ("qemuctl snapshot list web", "Lists the snapshots."),
            ("qemuctl snapshot revert web before-update", "Goes back to it; everything since then is lost."),
        ],
    ),
    (
        "start",
        &[
            ("qemuctl start web db", "Starts two machines in the background."),
            ("qemuctl start web.toml", "Starts the VM that a config file describes."),
        ],
    ),
    (
        "list",
        &[
            ("qemuctl list", "Lists the running VMs."),
            ("qemuctl list --all --json", "Prints running VMs and stopped machines as JSON."),
        ],
    ),
    ("status", &[("qemuctl status web", "Shows the VM's state, its disks and how to connect to it.")]),
    ("info", &[("qemuctl info web", "Shows the machine and how its last run ended.")]),
    (
        "logs",
        &[
            (
                "qemuctl logs web -n 20 --follow",
                "Prints the last 20 lines of the console, and new output until the machine ends.",
            ),
            ("qemuctl logs web --events", "Prints the machine's events."),
        ],
    ),
    (
        "stop",
        &[
            ("qemuctl stop web --timeout 2m", "Shuts the guest down, and stops QEMU after two minutes."),
            ("qemuctl stop --all", "Shuts all running VMs down."),
        ],
    ),
    ("restart", &[("qemuctl restart web", "Shuts the machine down and starts it again.")]),
    ("kill", &[("qemuctl kill web", "Kills the VM, like a power cut.")]),
    (
        "set",
        &[
            ("qemuctl set web memory=4GiB cpus=2", "Changes the memory size and the number of CPUs."),
            ("qemuctl set web disks.0.read_only=true", "Changes a setting of the first disk."),
            ("qemuctl set web machine.type=", "Restores the default of a setting."),
        ],
    ),
    ("edit", &[("qemuctl edit web", "Edits the machine's config.")]),
    ("rename", &[("qemuctl rename web www", "Renames the machine web to www.")]),
    (
        "clone",
        &[("qemuctl clone web test --linked", "Creates a copy that shares the disks' current content.")],
    ),
    ("rm", &[("qemuctl rm test --yes", "Removes the machine and its disks without asking.")]),
    ("adopt", &[("qemuctl adopt web", "Starts a new keeper for the machine.")]),
    ("pause", &[("qemuctl pause web", "Pauses the VM.")]),
    ("resume", &[("qemuctl resume web", "Resumes the VM.")]),
    ("reset", &[("qemuctl reset web", "Resets the VM.")]),
    ("wake", &[("qemuctl wake web", "Wakes the guest from suspend.")]),
    (
        "wait",
        &[
            ("qemuctl wait web", "Waits until the VM ends."),
            (
                "qemuctl wait web --for agent --timeout 3m",
                "Waits up to three minutes for the guest agent to answer.",
            ),
        ],
    ),
    ("events", &[("qemuctl events web --until SHUTDOWN", "Prints events until the guest shuts down.")]),
    (
        "qmp",
        &[
            ("qemuctl qmp web query-status", "Sends a command without arguments."),
            (
                "qemuctl qmp web set_link '{\"name\": \"net0\", \"up\": false}'",
                "Sends a command with arguments.",
            ),
        ],
    ),
    ("hmp", &[("qemuctl hmp web info network", "Prints the networks.")]),
    (
        "exec",
        &[
            ("qemuctl exec web -- uname -a", "Runs a program in the guest."),
            (
                "qemuctl exec web --stdin -- tar -x -C /tmp < app.tar",
                "Passes standard input on to the program.",
            ),
        ],
    ),
    (
        "cp",
        &[
            ("qemuctl cp app.tar web:/tmp/", "Copies a file into the guest."),
            ("qemuctl cp web:/etc/hostname .", "Copies a file out of the guest."),
        ],
    ),
    ("console", &[("qemuctl console web", "Connects to the serial console; Ctrl-] leaves it.")]),
    ("screenshot", &[("qemuctl screenshot web screen.png", "Saves the screen to a file.")]),
    ("send-key", &[("qemuctl send-key web ctrl alt delete", "Sends a key combination.")]),
    ("type", &[("qemuctl type web root --enter", "Types a user name and presses Enter.")]),
    (
        "block",
        &[
            ("qemuctl block insert web cdrom0 install.iso", "Inserts an image into a CD-ROM drive."),
            ("qemuctl block add web data.qcow2", "Attaches a disk."),
            ("qemuctl block resize web disk0 40G", "Enlarges a disk."),
        ],
    ),
    ("throttle", &[("qemuctl throttle web disk0 --bytes 50M", "Limits a disk to 50 MiB per second.")]),
    (
        "image",
        &[
            ("qemuctl image create data.qcow2 20G", "Creates an empty image."),
            ("qemuctl image create test.qcow2 --backing debian.qcow2", "Creates an overlay."),
            ("qemuctl image convert disk.vmdk disk.qcow2", "Converts an image."),
        ],
    ),
    ("vnc", &[("qemuctl vnc web", "Prints the address of the VNC server.")]),
    (
        "import",
        &[
            ("qemuctl import run.sh --output web.toml", "Makes a config from a script that starts QEMU."),
            (
                "qemuctl import -- qemu-system-x86_64 -m 2G disk.qcow2",
                "Prints the config for a command line.",
            ),
        ],
    ),
    ("argv", &[("qemuctl argv web.toml", "Prints QEMU's command line.")]),
    ("check", &[("qemuctl check web.toml", "Reports all problems of a config.")]),
    ("topology", &[("qemuctl topology web.toml --svg web.svg", "Draws the VM's buses and devices.")]),
    ("schema", &[("qemuctl schema > vm-1.json", "Saves the JSON Schema for an editor.")]),
    ("doctor", &[("qemuctl doctor", "Checks the host.")]),
    ("completions", &[("qemuctl completions bash", "Prints the completion script of bash.")]),
    ("man", &[("qemuctl man run | man -l -", "Shows the man page of a subcommand.")]),
    (
        "help",
        &[
            ("qemuctl help run", "Prints the help of a subcommand."),
            ("qemuctl help config disks.cache", "Describes a config field."),
        ],
    ),
];

#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXAMPLES.iter().flat_map(|(name, examples)| examples.iter().map(|(command, _)| (*name, *command)))
}
