//! What an ELF file needs: the libraries of a program, the other modules of a kernel module.

use std::path::Path;

use anyhow::{Context, Result};
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, elf};

/// What a program or library asks the dynamic linker for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The linker itself, such as `/lib64/ld-linux-x86-64.so.2`; libraries name none.
    pub interpreter: Option<String>,
    /// Libraries by name.
    pub libraries: Vec<String>,
    /// Whether the file says itself where its libraries lie (`DT_RUNPATH`).
    pub has_search_path: bool,
}

/// Reads what the program or library at `path` asks the dynamic linker for.
pub fn needs(path: &Path) -> Result<Needs> {
    let data = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse_needs(&data).with_context(|| format!("{} is no 64-bit ELF file that can be read", path.display()))
}

fn parse_needs(data: &[u8]) -> Result<Needs> {
    let header = elf::FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let mut needs = Needs::default();
    for segment in header.program_headers(endian, data)? {
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            needs.interpreter = Some(text(interpreter)?);
        }
    }
    let sections = header.sections(endian, data)?;
    if let Some((entries, strings)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        for entry in entries {
            match entry.tag(endian) {
                elf::DT_NEEDED => needs.libraries.push(text(entry.string(endian, strings)?)?),
                elf::DT_RUNPATH => needs.has_search_path = true,
                _ => {}
            }
        }
    }
    Ok(needs)
}

/// What the build of a kernel module noted in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ModuleInfo {
    /// The modules that must be loaded before, in the kernel's spelling: `_`, where a file has `-`.
    pub depends: Vec<String>,
    /// Patterns of the devices it drives, and other names it is asked for by.
    pub aliases: Vec<String>,
}

/// Reads the section `.modinfo` of the kernel module in `data`.
pub fn module_info(data: &[u8]) -> Result<ModuleInfo> {
    let file = ElfFile64::<Endianness>::parse(data).context("no 64-bit ELF file")?;
    let section = file.section_by_name(".modinfo").context("no kernel module: it has no .modinfo")?.data()?;
    let mut info = ModuleInfo::default();
    for entry in section.split(|byte| *byte == 0) {
        if let Some(names) = entry.strip_prefix(b"depends=") {
            info.depends = text(names)?.split(',').filter(|name| !name.is_empty()).map(kernel_name).collect();
        } else if let Some(alias) = entry.strip_prefix(b"alias=") {
            info.aliases.push(text(alias)?);
        }
    }
    Ok(info)
}

/// The kernel's spelling of a module's name.
pub fn kernel_name(name: &str) -> String {
    name.replace('-', "_")
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).context("a name in an ELF file is not UTF-8")
}
