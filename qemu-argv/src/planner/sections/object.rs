//! Objects without a section of their own.

use super::host_device::check_driver;
use crate::config::VmConfig;
use crate::planner::at::At;
use crate::planner::builder::Builder;

/// Objects without a section of their own.
pub(super) fn objects(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, object) in config.objects.iter().enumerate() {
        let at = At::entry("objects", index);
        builder.check_id(at.field("id"), &object.id);
        check_driver(builder, at.field("type"), &object.kind);
        let properties_at = at.field("properties");
        builder.check_keys(properties_at, &object.properties);
        let (kind, id) = (object.kind.as_str().into(), object.id.as_str().into());
        builder.typed_object(at, kind, id, object.properties.clone());
    }
}
