//! A large file goes into a Linux guest and comes back.

use qemuctl::{
    VmConfig,
    config::{Memory, Size},
    guest::GuestChecksum,
};

use crate::guest_agent::{boot, linux};

const MIB: usize = 1 << 20;
const LENGTH: usize = 100 * MIB;

/// Bytes without a pattern, the same in each run.
fn noise(length: usize) -> Vec<u8> {
    // Marsaglia's xorshift64.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    words.flatten().take(length).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_mib_go_in_and_out_with_equal_checksums() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = VmConfig { memory: Memory::new(Size::mib(768)), ..linux("10.0", "x86_64", dir.path()) };
    let vm = boot(&config).await;
    // Zeros in between, because an agent under TCG takes a second or two for a mebibyte that has none.
    let mut content = vec![0; LENGTH];
    for (place, piece) in content.chunks_exact_mut(10 * MIB).zip(noise(LENGTH / 10).chunks_exact(MIB)) {
        place[MIB / 3..][..MIB].copy_from_slice(piece);
    }
    let mut told = Vec::new();
    let copied =
        vm.copy_in(&mut &content[..], "/tmp/large", |bytes| told.push(bytes)).await.expect("copied in");
    assert_eq!((copied.bytes, copied.guest), (LENGTH as u64, GuestChecksum::Same));
    assert_eq!(told.last(), Some(&copied.bytes));
    assert!(told.is_sorted(), "{told:?}");
    let mut back = Vec::with_capacity(LENGTH);
    let returned = vm.copy_out("/tmp/large", &mut back, |_| ()).await.expect("copied out");
    assert_eq!(returned, copied);
    assert!(back == content, "{} bytes came back, or others", back.len());
    vm.kill().await.expect("killed");
}
