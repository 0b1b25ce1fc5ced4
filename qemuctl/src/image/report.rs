//! The reports of `qemu-img`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The result of a check. Values that a format does not support are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct CheckReport {
    /// The number of failures of the check itself, such as read errors.
    pub check_errors: u64,
    /// Corrupt clusters that were not repaired.
    pub corruptions: u64,
    /// Leaked clusters that were not repaired; they only waste space.
    pub leaks: u64,
    /// Corrupt clusters that were repaired.
    pub corruptions_fixed: u64,
    /// Leaked clusters that were freed.
    pub leaks_fixed: u64,
    /// The total number of clusters.
    pub total_clusters: u64,
    /// The number of allocated clusters.
    pub allocated_clusters: u64,
    /// The number of fragmented clusters.
    pub fragmented_clusters: u64,
    /// The number of compressed clusters.
    pub compressed_clusters: u64,
    /// The end of the last cluster, in bytes.
    pub image_end_offset: u64,
}

impl CheckReport {
    /// Whether there are no errors, or all were repaired.
    pub fn is_clean(&self) -> bool {
        (self.check_errors, self.corruptions, self.leaks) == (0, 0, 0)
    }
}

/// A range of bytes with the same properties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Extent {
    /// The guest's address of the beginning, in bytes.
    pub start: u64,
    /// The length in bytes.
    pub length: u64,
    /// Whether it contains data.
    pub data: bool,
    /// Whether it reads as zeroes.
    pub zero: bool,
    /// Whether any image of the chain has it allocated.
    pub present: bool,
    /// The image that has it: 0 for this one, 1 for its backing file, and so on.
    pub depth: u64,
    /// The offset in that image's file, in bytes, if it is stored there uncompressed.
    pub offset: Option<u64>,
    /// That file, if `offset` is known.
    pub filename: Option<PathBuf>,
}

/// The size of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Measurement {
    /// The size of the copy, in bytes.
    pub required: u64,
    /// The size in bytes when fully allocated.
    pub fully_allocated: u64,
}
