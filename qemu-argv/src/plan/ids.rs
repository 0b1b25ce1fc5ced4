//! Names and numbers that must be the same every time.

/// FNV-1a over all parts, each ended by a byte that no text has, so that `("a", "b")` and `("ab", "")` differ.
///
/// Not `std`'s hasher: its result may change with the compiler, and MAC addresses must not.
pub(crate) fn stable_hash(parts: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = OFFSET;
    for part in parts {
        for &byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    // The first octets are used for addresses; folding brings the entropy of the last ones there.
    hash ^ (hash << 29) ^ (hash >> 31)
}
