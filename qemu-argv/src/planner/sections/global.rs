//! Defaults of drivers' properties: `-global`.

use super::host_device::check_driver;
use crate::config::VmConfig;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

/// Defaults of drivers' properties.
pub(super) fn globals(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("globals");
    for (driver, defaults) in &config.globals {
        let at = at.field(driver);
        check_driver(builder, at, driver);
        builder.check_keys(at, defaults);
        for (property, value) in defaults.iter() {
            if matches!(value, Value::Null | Value::List(_) | Value::Map(_)) {
                builder.conflict(at.field(property), "a default must be a boolean, a number or a text");
                continue;
            }
            let props = Props::new()
                .with("driver", driver)
                .with("property", property.to_owned())
                .with("value", value.clone());
            builder.option(at, "-global", props);
        }
    }
}
