//! Hotplug of CPUs and memory.

use qemu_argv::Size;
use qmp_proto::{DeviceAdd, QomList, QueryHotpluggableCpus};
use serde_json::json;

use crate::error::Error;
use crate::instance::Instance;

use super::commands::{DEVICES, memory_of};

/// # Adding CPUs and memory
impl Instance {
    /// Adds `count` CPUs to the running VM, up to the config's [`Cpu::max`](qemu_argv::Cpu::max), and returns their
    /// ids.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if that would exceed the maximum; none is added then. Otherwise as
    /// [`execute`](Self::execute).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some may have been added.
    pub async fn plug_cpus(&self, count: usize) -> Result<Vec<String>, Error> {
        let _changing = self.plans().change().await?;
        let mut free = self.execute(QueryHotpluggableCpus {}).await?;
        free.retain(|cpu| cpu.qom_path.is_none());
        // QEMU lists them in descending order.
        free.reverse();
        if count > free.len() {
            return Err(Error::Unsupported {
                action: "adding CPUs to",
                name: self.name().to_owned(),
                reason: format!("only {} can be added, not {count}; raise `cpu.max`", free.len()),
            });
        }
        let taken = self.device_ids().await?;
        let mut names = (0..).map(|number| format!("cpu{number}")).filter(|name| !taken.contains(name));
        let mut ids = Vec::new();
        for cpu in free.into_iter().take(count) {
            let mut command = DeviceAdd::new(cpu.r#type);
            let id = names.next().unwrap_or_default();
            command.id = Some(id.clone());
            let props = &cpu.props;
            let numbers = [
                ("node-id", props.node_id),
                ("drawer-id", props.drawer_id),
                ("book-id", props.book_id),
                ("socket-id", props.socket_id),
                ("die-id", props.die_id),
                ("cluster-id", props.cluster_id),
                ("module-id", props.module_id),
                ("core-id", props.core_id),
                ("thread-id", props.thread_id),
            ];
            let given =
                numbers.into_iter().filter_map(|(key, number)| Some((key.to_owned(), number?.into())));
            command.properties.extend(given);
            self.execute(command).await?;
            ids.push(id);
        }
        Ok(ids)
    }

    /// Adds memory to the running VM, up to the config's [`Memory::max`](qemu_argv::Memory::max), and returns the
    /// module's id. QEMU requires a multiple of 2 MiB, a Linux guest on x86 one of 128 MiB.
    ///
    /// # Errors
    ///
    /// [`Error::Qmp`] if there is no room or no free slot; nothing is left behind.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the memory may have been allocated without being added.
    pub async fn plug_memory(&self, size: Size) -> Result<String, Error> {
        let _changing = self.plans().change().await?;
        let taken = self.device_ids().await?;
        let mut names = (0..).map(|number| format!("dimm{number}")).filter(|name| !taken.contains(name));
        let id = names.next().unwrap_or_default();
        let backend = memory_of(&id);
        let object = json!({ "qom-type": "memory-backend-ram", "id": backend, "size": size.to_bytes() });
        self.execute_raw("object-add", Some(object)).await?;
        let mut command = DeviceAdd::new("pc-dimm");
        command.id = Some(id.clone());
        command.properties.insert("memdev".to_owned(), backend.clone().into());
        if let Err(error) = self.execute(command).await {
            // The error of the device is the one to tell.
            let _ = self.execute_raw("object-del", Some(json!({ "id": backend }))).await;
            return Err(error);
        }
        Ok(id)
    }

    /// Returns the ids of the devices that have one.
    async fn device_ids(&self) -> Result<Vec<String>, Error> {
        let listed = self.execute(QomList::new(DEVICES)).await?;
        Ok(listed.into_iter().map(|property| property.name).collect())
    }
}
