//! `-smbios`, `-fw_cfg`, and objects that have a list of their own.

use super::bag::{Bag, Why};
use super::line::Line;
use crate::config::{
    FwCfg, Iothread, Secret, Smbios, SmbiosBios, SmbiosPart, SmbiosSystem, Tls, TlsEndpoint, TlsKind,
    VmConfig,
};
use crate::value::Value;

pub(super) fn smbios(line: &mut Line, config: &mut VmConfig) {
    let mut smbios = Smbios::default();
    line.each("smbios", |_, _, bag| table(&mut smbios, bag));
    if smbios != Smbios::default() {
        config.smbios = Some(Box::new(smbios));
    }
}

fn table(smbios: &mut Smbios, mut bag: Bag) -> Result<(), Why> {
    let number: u8 = bag.number("type")?.ok_or("a config has no field for a table from a file")?;
    match number {
        0 => {
            let bios = SmbiosBios {
                vendor: bag.text("vendor")?,
                version: bag.text("version")?,
                date: bag.text("date")?,
            };
            once(&mut smbios.bios, bios, &bag)
        }
        1 => {
            let system = SmbiosSystem {
                manufacturer: bag.text("manufacturer")?,
                product: bag.text("product")?,
                version: bag.text("version")?,
                serial: bag.text("serial")?,
                sku: bag.text("sku")?,
                family: bag.text("family")?,
            };
            once(&mut smbios.system, system, &bag)
        }
        2 | 3 => {
            let part = SmbiosPart {
                manufacturer: bag.text("manufacturer")?,
                product: if number == 2 { bag.text("product")? } else { None },
                version: bag.text("version")?,
                serial: bag.text("serial")?,
                asset: bag.text("asset")?,
            };
            once(if number == 2 { &mut smbios.baseboard } else { &mut smbios.chassis }, part, &bag)
        }
        11 => {
            let (values, files) = (bag.all("value"), bag.all("path"));
            bag.done()?;
            for file in files {
                let Value::Str(path) = file else { return Err("`path` is not a text".into()) };
                smbios.oem_files.push(path.as_str().into());
            }
            for value in values {
                let Value::Str(text) = value else { return Err("`value` is not a text".into()) };
                smbios.oem_strings.push(text.into());
            }
            Ok(())
        }
        other => Err(format!("a config has no field for SMBIOS tables of type {other}")),
    }
}

/// QEMU takes the last of several tables of a type, and merges them; a config has one.
fn once<T>(field: &mut Option<T>, table: T, bag: &Bag) -> Result<(), Why> {
    bag.done()?;
    if field.is_some() {
        return Err("a config has one table of this type".into());
    }
    *field = Some(table);
    Ok(())
}

pub(super) fn fw_cfg(line: &mut Line, config: &mut VmConfig) {
    let files = &mut config.fw_cfg;
    line.each("fw_cfg", |_, _, mut bag| {
        let name = bag.needed("name")?;
        if !name.starts_with("opt/") {
            return Err("a config has only files whose names begin with opt/".into());
        }
        let (text, file) = (bag.text("string")?, bag.text("file")?.map(Into::into));
        bag.done()?;
        if text.is_some() == file.is_some() {
            return Err("a config has either a text or a file".into());
        }
        files.push(FwCfg { name, text, file });
        Ok(())
    });
}

pub(super) fn objects(line: &mut Line, config: &mut VmConfig) {
    for at in line.open("object") {
        let mut bag = line.bag(at);
        let kind = bag.text("qom-type").ok().flatten().unwrap_or_default();
        let taken = match kind.as_str() {
            "iothread" => iothread(bag).map(|thread| config.iothreads.push(thread)),
            "secret" => secret(bag).map(|secret| {
                if secret.file.is_none() && !line.planned {
                    let what = "its value is not written to the config; store it in a file and set `file`";
                    line.remark(at, what);
                }
                config.secrets.push(secret);
            }),
            "tls-creds-x509" => tls(bag, TlsKind::X509).map(|tls| config.tls.push(tls)),
            "tls-creds-psk" => tls(bag, TlsKind::Psk).map(|tls| config.tls.push(tls)),
            "tls-creds-anon" => tls(bag, TlsKind::Anonymous).map(|tls| config.tls.push(tls)),
            _ => continue,
        };
        match taken {
            Ok(()) => line.typed(at),
            Err(why) => line.extra(at, why),
        }
    }
}

fn iothread(mut bag: Bag) -> Result<Iothread, Why> {
    let thread = Iothread {
        id: bag.needed("id")?,
        poll_max_ns: bag.number("poll-max-ns")?,
        pool_min: bag.number("thread-pool-min")?,
        pool_max: bag.number("thread-pool-max")?,
    };
    bag.done()?;
    Ok(thread)
}

fn secret(mut bag: Bag) -> Result<Secret, Why> {
    let id = bag.needed("id")?;
    let format = bag.same_word("format")?.unwrap_or_default();
    let (file, value) = (bag.text("file")?, bag.text("data")?);
    bag.done()?;
    // A descriptor is the launcher's way to hand over what is not written anywhere.
    let file = file.filter(|file| !file.starts_with("/dev/fd/")).map(Into::into);
    Ok(Secret { id, file, value: value.map(Into::into), format })
}

fn tls(mut bag: Bag, kind: TlsKind) -> Result<Tls, Why> {
    let id = bag.needed("id")?;
    let dir = bag.needed("dir")?;
    let endpoint = bag.same_word("endpoint")?.unwrap_or(TlsEndpoint::Client);
    let tls = Tls {
        kind,
        // By default QEMU checks.
        verify_peer: bag.flag("verify-peer")?.filter(|verify| kind == TlsKind::X509 && !verify),
        password_secret: bag.text("passwordid")?,
        username: bag.text("username")?,
        priority: bag.text("priority")?,
        ..Tls::new(id, dir, endpoint)
    };
    bag.done()?;
    Ok(tls)
}
