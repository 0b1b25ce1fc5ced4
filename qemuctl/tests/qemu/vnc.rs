//! A VNC client that is not ours, handed over to QEMU: it logs in, sees the screen and types.

use std::path::Path;
use std::time::Duration;

use qemuctl::{
    Console, Instance, VmConfig,
    control::{Authentication, ClientStream, Expiry},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use vnc::{ClientKeyEvent, PixelFormat, VncClient, VncConnector, VncEncoding, VncError, VncEvent, X11Event};

use crate::boot_sector::Guest;
use crate::support::{VERSIONS, qemu};

const GENEROUS: Duration = Duration::from_secs(120);

async fn start(version: &str, dir: &Path) -> Instance {
    let config = Guest::Typist.config(&qemu(version, "qemu-system-x86_64"), dir, "vm");
    let words = ["-vga", "std", "-vnc", "none,password=on"];
    let config = VmConfig { extra_args: words.iter().map(|&word| word.into()).collect(), ..config };
    let vm = Instance::start(&config).await.expect(version);
    let mut console = vm.console().await.expect("it has one").reader_with_history();
    console.expect("R\n", GENEROUS).await.expect("it boots");
    vm
}

/// Logs in with a password, if one is asked for.
async fn log_in<S>(stream: S, password: &'static str) -> Result<VncClient, VncError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let connector = VncConnector::new(stream)
        .set_auth_method(async move { Ok(password.to_owned()) })
        .add_encoding(VncEncoding::Raw)
        .allow_shared(true)
        .set_pixel_format(PixelFormat::bgra())
        .build()?;
    timeout(GENEROUS, connector.try_start()).await.expect("QEMU answers")?.finish()
}

/// The whole screen: its width and height, and red, green and blue of each pixel.
async fn picture(client: &VncClient) -> (u32, u32, Vec<u8>) {
    client.input(X11Event::FullRefresh).await.expect("asked");
    let (mut width, mut height, mut pixels, mut missing) = (0, 0, Vec::new(), usize::MAX);
    while missing > 0 {
        match timeout(GENEROUS, client.recv_event()).await.expect("in time").expect("it goes on") {
            VncEvent::SetResolution(screen) => {
                (width, height) = (usize::from(screen.width), usize::from(screen.height));
                pixels = vec![None; width * height];
                missing = pixels.len();
            }
            VncEvent::RawImage(rect, image) => {
                let rows = image.chunks_exact(usize::from(rect.width) * 4);
                for (row, line) in rows.enumerate() {
                    for (column, pixel) in line.chunks_exact(4).enumerate() {
                        let at = (usize::from(rect.y) + row) * width + usize::from(rect.x) + column;
                        missing -= usize::from(pixels[at].is_none());
                        pixels[at] = Some([pixel[2], pixel[1], pixel[0]]);
                    }
                }
            }
            _ => {}
        }
    }
    let pixels = pixels.into_iter().flatten().flatten().collect();
    (u32::try_from(width).expect("small"), u32::try_from(height).expect("small"), pixels)
}

/// The picture that QEMU takes itself.
async fn screenshot(vm: &Instance) -> (u32, u32, Vec<u8>) {
    let png = vm.screenshot().await.expect("taken");
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("it fits")];
    let info = reader.next_frame(&mut pixels).expect("a frame");
    pixels.truncate(info.buffer_size());
    (info.width, info.height, pixels)
}

/// Types a letter, which the guest says on its serial port.
async fn type_letter(client: &VncClient, console: &Console, letter: char) {
    let mut reader = console.reader();
    for down in [true, false] {
        let key = ClientKeyEvent { keycode: letter.into(), down };
        client.input(X11Event::KeyEvent(key)).await.expect("typed");
    }
    let expected = reader.expect(&letter.to_string(), GENEROUS).await.expect("the guest has heard it");
    assert_eq!(expected.before, "");
}

/// A session over this pair of streams: it sees what QEMU sees, and what it types arrives.
async fn session<S>(vm: &Instance, ours: S, qemus: impl ClientStream, authentication: Authentication)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    vm.add_vnc_client(qemus, authentication).await.expect("handed over");
    let client = log_in(ours, "secret").await.expect("let in");
    vm.pause().await.expect("paused");
    let (width, height, seen) = picture(&client).await;
    let (true_width, true_height, truth) = screenshot(vm).await;
    assert_eq!((width, height, seen.len()), (true_width, true_height, truth.len()));
    // The text cursor blinks, and takes some two hundred pixels.
    let other = seen.chunks(3).zip(truth.chunks(3)).filter(|(one, other)| one != other).count();
    assert!(other < 300, "{other} pixels differ");
    assert!(truth.iter().any(|&colour| colour > 100), "the screen is not black");
    vm.resume().await.expect("it goes on");
    let console = vm.console().await.expect("it has one");
    for letter in ['q', 'e', '7'] {
        type_letter(&client, &console, letter).await;
    }
    client.close().await.expect("closed");
}

#[tokio::test]
async fn a_client_completes_a_session_with_and_without_a_password() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path()).await;
        let (ours, qemus) = tokio::net::UnixStream::pair().expect("a pair");
        session(&vm, ours, qemus, Authentication::Skipped).await;

        vm.set_vnc_password("secret").await.expect("set");
        vm.expire_vnc_password(Expiry::After(Duration::from_secs(3600))).await.expect("set");
        let (ours, qemus) = tokio::net::UnixStream::pair().expect("a pair");
        session(&vm, ours, qemus, Authentication::Required).await;
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_old_one_are_refused() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path()).await;
        vm.set_vnc_password("secret").await.expect("set");
        let hand_over = async || {
            let (ours, qemus) = tokio::net::UnixStream::pair().expect("a pair");
            vm.add_vnc_client(qemus, Authentication::Required).await.expect("handed over");
            ours
        };
        assert!(log_in(hand_over().await, "guess").await.is_err(), "{version}");
        vm.expire_vnc_password(Expiry::Now).await.expect("set");
        assert!(log_in(hand_over().await, "secret").await.is_err(), "{version}");
        vm.expire_vnc_password(Expiry::Never).await.expect("set");
        log_in(hand_over().await, "secret").await.expect("let in");
    }
}

/// A stream that was non-blocking serves QEMU as well as any, and so does one of TCP.
#[tokio::test]
async fn every_kind_of_stream_is_handed_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = start("10.0", dir.path()).await;
    let skipped = Authentication::Skipped;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has one");
    let connect = async || {
        let (ours, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        (ours.expect("connected"), accepted.expect("accepted").0)
    };
    let (ours, qemus) = connect().await;
    session(&vm, ours, qemus, skipped).await;

    let (ours, qemus) = connect().await;
    session(&vm, ours, qemus.into_std().expect("of std"), skipped).await;

    let (ours, qemus) = std::os::unix::net::UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("set");
    qemus.set_nonblocking(true).expect("set");
    let ours = tokio::net::UnixStream::from_std(ours).expect("of tokio");
    session(&vm, ours, qemus, skipped).await;

    let (ours, qemus) = tokio::net::UnixStream::pair().expect("a pair");
    let qemus = std::os::fd::OwnedFd::from(qemus.into_std().expect("of std"));
    session(&vm, ours, qemus, skipped).await;
}
