//! What `qemu-img` reports about images, in its own words.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a check of an image's own tables found. What a format does not know is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct CheckReport {
    /// How often the check itself failed, such as by a read error.
    pub check_errors: u64,
    /// Clusters that are damaged and were not mended.
    pub corruptions: u64,
    /// Clusters that are lost and were not mended; they only waste space.
    pub leaks: u64,
    /// Clusters that were damaged and are mended.
    pub corruptions_fixed: u64,
    /// Clusters that were lost and are free again.
    pub leaks_fixed: u64,
    /// How many clusters the image's size makes.
    pub total_clusters: u64,
    /// How many of them are allocated.
    pub allocated_clusters: u64,
    /// How many of those are not behind their predecessor.
    pub fragmented_clusters: u64,
    /// How many of those are compressed.
    pub compressed_clusters: u64,
    /// Where the last cluster ends, in bytes.
    pub image_end_offset: u64,
}

impl CheckReport {
    /// Whether nothing is wrong, or not any more.
    pub fn is_clean(&self) -> bool {
        (self.check_errors, self.corruptions, self.leaks) == (0, 0, 0)
    }
}

/// A run of bytes that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Extent {
    /// Where it begins for the guest, in bytes.
    pub start: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Whether it holds data.
    pub data: bool,
    /// Whether it reads as zeroes.
    pub zero: bool,
    /// Whether any image of the chain has it. It is absent where all of them are silent.
    pub present: bool,
    /// Which image has it: 0 is this one, 1 the one that it rests on, and so on.
    pub depth: u64,
    /// Where it begins in that image's file, in bytes, if it is there as it is.
    pub offset: Option<u64>,
    /// That file, if `offset` is known.
    pub filename: Option<PathBuf>,
}

/// How large a copy would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Measurement {
    /// How many bytes the copy takes.
    pub required: u64,
    /// How many bytes it takes once the guest has written everywhere.
    pub fully_allocated: u64,
}
