//! A machine while it is being put together: parts, names, descriptors and problems so far.
//!
//! Every part comes in through one of the `add_…` functions, which hold what is true of all parts: names are unique
//! in QEMU's namespaces and made of harmless characters, no text has a NUL, JSON has no path that is not UTF-8.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::board::Board;
use crate::config::{TlsEndpoint, VmConfig};
use crate::endpoints::Endpoints;
use crate::error::{At, Fault, Problem, short};
use crate::parts::{
    BlockNode, CharNode, CliOption, Device, FdRole, FdSlot, Netdev, Object, OptionValue, PlannedSocket,
    SocketRole,
};
use crate::plan::Plan;
use crate::plan::ids::{self, OwnId, stable_hash};
use crate::plan::topology::{Connector, DeviceRequest};
use crate::target::{Accelerator, Target, Version};
use crate::value::{Props, Value};

/// The namespaces of QEMU in which a name must be unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Space {
    Device,
    Object,
    Node,
    Netdev,
    Chardev,
}

impl Space {
    const fn what(self) -> &'static str {
        match self {
            Self::Device => "the device id",
            Self::Object => "the object id",
            Self::Node => "the block node name",
            Self::Netdev => "the network backend id",
            Self::Chardev => "the character device id",
        }
    }
}

pub(crate) struct Draft<'c> {
    pub(crate) config: &'c VmConfig,
    pub(crate) target: &'c Target,
    pub(crate) endpoints: &'c Endpoints,
    pub(crate) board: Board,
    pub(crate) name: Cow<'c, str>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) options: Vec<CliOption>,
    pub(crate) objects: Vec<Object>,
    pub(crate) chardevs: Vec<CharNode>,
    pub(crate) nodes: Vec<BlockNode>,
    pub(crate) netdevs: Vec<Netdev>,
    pub(crate) devices: Vec<Device>,
    /// For each device that waits for a place: its index in `devices`, its request, its place in the configuration.
    pub(crate) requests: Vec<(usize, DeviceRequest, String)>,
    pub(crate) sockets: Vec<PlannedSocket>,
    pub(crate) fds: Vec<FdSlot>,
    /// Properties of `-machine` that devices and firmware add.
    pub(crate) machine: Props,
    /// What the sandbox must let through.
    pub(crate) sandbox: SandboxNeeds,
    /// Whether a helper process must see guest memory.
    pub(crate) shared_memory: bool,
    /// The names that an earlier plan chose, and those that this one does.
    earlier_ids: &'c [OwnId],
    pub(crate) own_ids: Vec<OwnId>,
    boot_indexes: Vec<(u32, String)>,
    names: BTreeMap<(Space, String), String>,
    /// Whether QEMU runs already, and gets descriptors by name.
    pub(crate) running: bool,
}

/// What chosen devices need of QEMU's sandbox beyond running the guest.
#[derive(Clone, Copy, Default)]
pub(crate) struct SandboxNeeds {
    /// Starting a program.
    pub(crate) spawn: bool,
    /// Starting a program that gains privileges.
    pub(crate) elevate: bool,
}

/// Descriptors 0 to 2 are the standard ones.
const FIRST_FREE_FD: u32 = 3;

impl<'c> Draft<'c> {
    pub(crate) fn new(
        config: &'c VmConfig,
        target: &'c Target,
        endpoints: &'c Endpoints,
        earlier_ids: &'c [OwnId],
    ) -> Self {
        let kind = config.machine.kind.as_deref().unwrap_or_else(|| target.arch.default_machine());
        let kind = target.machines.get(kind).map_or(kind, String::as_str);
        Self {
            config,
            target,
            endpoints,
            board: Board::new(target.arch, kind, &config.machine),
            name: config.name.as_deref().map_or(Cow::Borrowed("vm"), Cow::Borrowed),
            problems: Vec::new(),
            options: Vec::with_capacity(16),
            objects: Vec::new(),
            chardevs: Vec::new(),
            nodes: Vec::new(),
            netdevs: Vec::new(),
            devices: Vec::new(),
            requests: Vec::new(),
            sockets: Vec::new(),
            fds: Vec::new(),
            machine: Props::new(),
            sandbox: SandboxNeeds::default(),
            shared_memory: false,
            earlier_ids,
            own_ids: Vec::new(),
            boot_indexes: Vec::new(),
            names: BTreeMap::new(),
            running: false,
        }
    }

    /// A draft of what comes to a machine that runs: its names and its places in the boot order are taken.
    pub(crate) fn joining(
        plan: &Plan,
        config: &'c VmConfig,
        target: &'c Target,
        endpoints: &'c Endpoints,
    ) -> Self {
        let mut draft = Self::new(config, target, endpoints, &[]);
        draft.running = true;
        draft.board =
            Board { kind: plan.machine().to_owned(), machine: plan.topology().machine(), arch: plan.arch() };
        let devices = plan.devices().iter().map(|part| (Space::Device, &part.id));
        let objects = plan.objects().iter().map(|part| (Space::Object, &part.id));
        let nodes = plan.block_nodes().iter().map(|part| (Space::Node, &part.node_name));
        let netdevs = plan.netdevs().iter().map(|part| (Space::Netdev, &part.id));
        let chardevs = plan.chardevs().iter().map(|part| (Space::Chardev, &part.id));
        // A backend without a device has the id that a device could have been given.
        let without = plan.netdevs().iter().map(|part| (Space::Device, &part.id));
        for (space, name) in devices.chain(objects).chain(nodes).chain(netdevs).chain(chardevs).chain(without)
        {
            draft.names.insert((space, name.clone()), "the running machine".to_owned());
        }
        for device in plan.devices() {
            let Some(&Value::Uint(index)) = device.props.get("bootindex") else { continue };
            if let Ok(index) = u32::try_from(index) {
                draft.boot_indexes.push((index, format!("{} of the running machine", device.id)));
            }
        }
        draft
    }

    /// The accelerator: the one asked for by name, else the target's.
    pub(crate) fn accel(&self) -> Accelerator {
        self.config.machine.accel.named().unwrap_or(self.target.accel)
    }

    // Problems

    pub(crate) fn fault(&mut self, at: At<'_>, fault: Fault) {
        self.problems.push(Problem { path: at.to_string(), fault });
    }

    pub(crate) fn invalid(&mut self, at: At<'_>, value: &str, why: impl Into<String>) {
        self.fault(at, Fault::Invalid { value: short(value), why: why.into() });
    }

    pub(crate) fn conflict(&mut self, at: At<'_>, why: impl Into<String>) {
        self.fault(at, Fault::Conflict { why: why.into() });
    }

    /// Whether the target is at least `major.minor`; a problem that names `feature` if not.
    pub(crate) fn needs(&mut self, at: At<'_>, feature: &str, major: u32, minor: u32) -> bool {
        let since = Version::new(major, minor);
        let target = self.target.version;
        if target < since {
            self.fault(at, Fault::Needs { feature: feature.to_owned(), since, target });
        }
        target >= since
    }

    /// Whether the target is older than `major.minor`.
    pub(crate) fn before(&self, major: u32, minor: u32) -> bool {
        self.target.version < Version::new(major, minor)
    }

    pub(crate) fn not_here(&mut self, at: At<'_>, feature: &str, hint: &'static str) {
        let machine = self.board.kind.clone();
        self.fault(at, Fault::NotOnMachine { feature: feature.to_owned(), machine, hint });
    }

    // Names

    /// The ids of a list: those given; for the others the id that an earlier plan gave the same element, else `PREFIX0`,
    /// `PREFIX1`, … by position, skipping names in use.
    pub(crate) fn ids<T: Serialize>(
        &mut self,
        list: &'static str,
        prefix: &str,
        items: &[T],
        given: impl Fn(&T) -> Option<&str>,
    ) -> Vec<String> {
        for (index, item) in items.iter().enumerate() {
            if let Some(id) = given(item) {
                self.check_id(At::ROOT.item(list, index).field("id"), id);
            }
        }
        let print = |item: &T| {
            given(item).is_none().then(|| stable_hash(&[&serde_json::to_vec(item).unwrap_or_default()]))
        };
        let prints: Vec<_> = items.iter().map(print).collect();
        let mut ids = ids::kept(list, &prints, self.earlier_ids);
        for (index, item) in items.iter().enumerate() {
            if let Some(id) = given(item) {
                ids[index] = Some(id.to_owned());
            }
        }
        let named: Vec<_> = (0..items.len())
            .map(|index| {
                let id = ids[index].clone().unwrap_or_else(|| {
                    let free = |id: &String| {
                        !ids.iter().flatten().any(|other| other == id) && !self.has(Space::Device, id)
                    };
                    let mut names = (index..).map(|number| format!("{prefix}{number}"));
                    names.find(free).unwrap_or_default()
                });
                ids[index] = Some(id.clone());
                id
            })
            .collect();
        for (print, id) in prints.into_iter().zip(&named) {
            if let Some(print) = print {
                self.own_ids.push(OwnId { list: list.into(), print, id: id.clone() });
            }
        }
        named
    }

    /// QEMU's rule for ids. Before 11.1 it does not check those of JSON devices, and `a/b` aborts it.
    pub(crate) fn check_id(&mut self, at: At<'_>, id: &str) -> bool {
        let mut bytes = id.bytes();
        let good = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && id.len() <= 64;
        if !good {
            self.invalid(
                at,
                id,
                "is no id: a letter first, then letters, digits, `-`, `.` and `_`, at most 64 in all",
            );
        }
        good
    }

    fn claim(&mut self, at: At<'_>, space: Space, name: &str) {
        let path = at.to_string();
        match self.names.entry((space, name.to_owned())) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(path);
            }
            std::collections::btree_map::Entry::Occupied(entry) => {
                let first = entry.get().clone();
                self.fault(at, Fault::Duplicate { what: space.what(), value: short(name), first });
            }
        }
    }

    /// Whether something of that name has been added.
    pub(crate) fn has(&self, space: Space, name: &str) -> bool {
        self.names.contains_key(&(space, name.to_owned()))
    }

    /// Checks that `id` is one of `known`; a problem that lists them if not.
    pub(crate) fn refer<'a>(
        &mut self,
        at: At<'_>,
        kind: &'static str,
        id: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> bool {
        if known.clone().any(|other| other == id) {
            return true;
        }
        let list: Vec<_> = known.take(8).collect();
        let known =
            if list.is_empty() { "there is none".to_owned() } else { format!("known: {}", list.join(", ")) };
        self.fault(at, Fault::UnknownReference { kind, id: short(id), known });
        false
    }

    /// Checks that a secret is there.
    pub(crate) fn secret(&mut self, at: At<'_>, id: &str) {
        let config = self.config;
        self.refer(at, "secret", id, config.secrets.iter().map(|secret| secret.id.as_str()));
    }

    /// Checks that TLS credentials for a client are there.
    pub(crate) fn tls_client(&mut self, at: At<'_>, id: &str) {
        self.tls(at, id, TlsEndpoint::Client);
    }

    /// Checks that TLS credentials for a server are there.
    pub(crate) fn tls_server(&mut self, at: At<'_>, id: &str) {
        self.tls(at, id, TlsEndpoint::Server);
    }

    fn tls(&mut self, at: At<'_>, id: &str, end: TlsEndpoint) {
        let config = self.config;
        if !self.refer(at, "TLS credentials", id, config.tls.iter().map(|tls| tls.id.as_str())) {
            return;
        }
        if config.tls.iter().any(|tls| tls.id == id && tls.endpoint != end) {
            self.conflict(at, format!("the TLS credentials {id:?} are for the other end of a connection"));
        }
    }

    /// Checks that an audio backend is there.
    pub(crate) fn audio(&mut self, at: At<'_>, id: &str) {
        let config = self.config;
        let known: Vec<_> = config
            .audio
            .iter()
            .enumerate()
            .map(|(index, audio)| audio.id.clone().unwrap_or_else(|| format!("audio{index}")))
            .collect();
        self.refer(at, "audio", id, known.iter().map(String::as_str));
    }

    /// The host of a listener whose address QEMU reads as one text: an IPv6 address gets its brackets.
    pub(crate) fn host(&mut self, at: At<'_>, host: &str) -> String {
        if host.parse::<std::net::Ipv6Addr>().is_ok() {
            return format!("[{host}]");
        }
        let good = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if !good {
            self.invalid(at, host, "is no address or host name");
        }
        host.to_owned()
    }

    /// Claims a place in the boot order, which only one device can have.
    pub(crate) fn boot_index(&mut self, at: At<'_>, index: u32) {
        let at = at.field("boot_index");
        match self.boot_indexes.iter().find(|(other, _)| *other == index) {
            Some((_, first)) => {
                let first = first.clone();
                self.fault(at, Fault::Duplicate { what: "the boot index", value: index.to_string(), first });
            }
            None => self.boot_indexes.push((index, at.to_string())),
        }
        if i32::try_from(index).is_err() {
            self.invalid(at, &index.to_string(), "is too large for a boot index");
        }
    }

    // Texts and paths

    /// A path for JSON, which must be UTF-8.
    pub(crate) fn path(&mut self, at: At<'_>, path: &Path) -> Value {
        let Some(text) = path.to_str() else {
            self.fault(at, Fault::NotUtf8 { path: path.display().to_string() });
            return Value::Str(Cow::Borrowed(""));
        };
        if text.is_empty() {
            self.invalid(at, text, "is no path");
        }
        Value::Str(Cow::Owned(text.to_owned()))
    }

    /// A path for an option that is not JSON, where any bytes but NUL will do.
    pub(crate) fn raw_path(&mut self, at: At<'_>, path: &Path) -> Value {
        #[cfg(unix)]
        if path.to_str().is_none() {
            use std::os::unix::ffi::OsStrExt;
            return Value::Bytes(path.as_os_str().as_bytes().to_vec());
        }
        self.path(at, path)
    }

    /// The path of a Unix socket: what fits into `sun_path`.
    pub(crate) fn check_socket_path(&mut self, at: At<'_>, path: &Path) {
        const SUN_PATH: usize = 108;
        let length = path.as_os_str().len();
        if length >= SUN_PATH {
            self.invalid(
                at,
                &path.display().to_string(),
                format!("is {length} bytes long; the path of a Unix socket has room for {}", SUN_PATH - 1),
            );
        }
    }

    /// Refuses a NUL in any text: it would end the text early, or the argument altogether.
    fn check_texts(&mut self, at: At<'_>, props: &Props, json: bool) {
        let mut nul = false;
        let mut bytes = false;
        for (_, value) in props.iter() {
            value.each_text(&mut |text| nul |= text.contains(&0));
            bytes |= json && value.has_bytes();
        }
        if nul {
            self.conflict(at, "a text has a NUL character inside");
        }
        if bytes {
            self.conflict(at, "a path that is not UTF-8 stands where QEMU takes only text");
        }
    }

    /// Names of properties that people choose themselves.
    pub(crate) fn check_keys(&mut self, at: At<'_>, props: &Props) {
        for (key, _) in props.iter() {
            let good = key.starts_with(|first: char| first.is_ascii_alphanumeric())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            if !good || matches!(key, "driver" | "id" | "bus" | "addr" | "help") {
                self.invalid(at, key, "is no property that can be set here");
            }
        }
    }

    // Parts

    pub(crate) fn flag(&mut self, name: &'static str) {
        self.options.push(CliOption { name: Cow::Borrowed(name), value: OptionValue::Flag });
    }

    pub(crate) fn plain(&mut self, at: At<'_>, name: &'static str, value: impl Into<Value>) {
        let value = value.into();
        let mut nul = false;
        value.each_text(&mut |text| nul |= text.contains(&0));
        if nul {
            self.conflict(at, "a text has a NUL character inside");
        }
        self.options.push(CliOption { name: Cow::Borrowed(name), value: OptionValue::Plain(value) });
    }

    pub(crate) fn option(&mut self, at: At<'_>, name: &'static str, props: Props) {
        self.check_texts(at, &props, false);
        self.options.push(CliOption { name: Cow::Borrowed(name), value: OptionValue::KeyValue(props) });
    }

    pub(crate) fn json_option(&mut self, at: At<'_>, name: &'static str, props: Props) {
        self.check_texts(at, &props, true);
        self.options.push(CliOption { name: Cow::Borrowed(name), value: OptionValue::Json(props) });
    }

    pub(crate) fn object(&mut self, at: At<'_>, qom_type: &'static str, id: impl Into<String>, props: Props) {
        let id = id.into();
        self.check_texts(at, &props, true);
        self.claim(at, Space::Object, &id);
        self.objects.push(Object { qom_type: Cow::Borrowed(qom_type), id, props });
    }

    pub(crate) fn node(&mut self, at: At<'_>, driver: &'static str, node_name: String, props: Props) {
        // QEMU's limit, and a name longer than it comes from an id of ours with an ending.
        const LONGEST: usize = 31;
        if node_name.len() > LONGEST {
            self.invalid(
                at,
                &node_name,
                format!("is too long for a block node, {LONGEST} bytes at most: shorten the id"),
            );
        }
        self.check_texts(at, &props, true);
        self.claim(at, Space::Node, &node_name);
        self.nodes.push(BlockNode { driver: Cow::Borrowed(driver), node_name, props });
    }

    pub(crate) fn netdev(&mut self, at: At<'_>, kind: &'static str, id: &str, props: Props) {
        self.check_texts(at, &props, true);
        self.claim(at, Space::Netdev, id);
        self.netdevs.push(Netdev { kind: Cow::Borrowed(kind), id: id.to_owned(), props });
    }

    pub(crate) fn chardev(&mut self, at: At<'_>, node: CharNode) {
        self.check_texts(at, &node.props, false);
        self.claim(at, Space::Chardev, &node.id);
        self.chardevs.push(node);
    }

    /// Adds a device that sits on a bus which the driver finds by itself, or has none.
    pub(crate) fn fixed_device(
        &mut self,
        at: At<'_>,
        driver: impl Into<Cow<'static, str>>,
        id: &str,
        props: Props,
    ) -> usize {
        let driver = driver.into();
        self.check_texts(at, &props, true);
        self.claim(at, Space::Device, id);
        if self.target.devices.as_ref().is_some_and(|known| !known.contains(driver.as_ref())) {
            self.fault(at, Fault::NotBuilt { feature: format!("device {driver}") });
        }
        self.devices.push(Device { driver, id: id.to_owned(), place: Props::new(), props });
        self.devices.len() - 1
    }

    /// Adds a device that the topology finds a place for.
    pub(crate) fn device(
        &mut self,
        at: At<'_>,
        driver: impl Into<Cow<'static, str>>,
        id: &str,
        props: Props,
        connector: Connector,
    ) {
        self.request(at, driver, id, props, DeviceRequest::new(id, connector));
    }

    /// Adds a device that the topology finds a place for, and that may bring a bus along.
    pub(crate) fn request(
        &mut self,
        at: At<'_>,
        driver: impl Into<Cow<'static, str>>,
        id: &str,
        props: Props,
        request: DeviceRequest,
    ) {
        let index = self.fixed_device(at, driver, id, props);
        self.requests.push((index, request, at.to_string()));
    }

    // What the outside has to do with

    /// A descriptor that QEMU will inherit.
    pub(crate) fn fd(&mut self, role: FdRole) -> u32 {
        let taken = |fd: u32| self.endpoints.qmp_fd == Some(fd);
        let mut fd = self.fds.iter().map(|slot| slot.fd + 1).max().unwrap_or(0).max(FIRST_FREE_FD);
        while taken(fd) {
            fd += 1;
        }
        self.fds.push(FdSlot { fd, role });
        fd
    }

    /// The same, as an option writes it: by number, or by the name that a running QEMU gets it under.
    pub(crate) fn fd_text(&mut self, role: FdRole) -> String {
        let slot = FdSlot { fd: self.fd(role.clone()), role };
        if self.running { slot.monitor_name() } else { slot.fd.to_string() }
    }

    /// A socket `SOCKET_DIR/NAME.ENDING`, when the launcher wants one.
    pub(crate) fn socket(&mut self, role: SocketRole, ending: &str) -> Option<std::path::PathBuf> {
        let dir = self.endpoints.socket_dir.as_ref()?;
        let path = dir.join(format!("{}{ending}", self.name));
        self.check_socket_path(At::ROOT.field("name"), &path);
        self.sockets.push(PlannedSocket { role, path: path.clone() });
        Some(path)
    }
}
