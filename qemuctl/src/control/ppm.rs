//! Converts portable pixmaps (`P6`, eight bits per colour), which `screendump` writes if QEMU was built without PNG.

/// Converts an image to PNG.
pub(super) fn to_png(picture: &[u8]) -> Result<Vec<u8>, String> {
    let (width, height, pixels) = parse(picture).ok_or("QEMU wrote an invalid image")?;
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(pixels).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(png)
}

/// Returns width, height and pixels, if the image is complete.
fn parse(picture: &[u8]) -> Option<(u32, u32, &[u8])> {
    let mut rest = picture.strip_prefix(b"P6")?;
    let mut numbers = [0_u32; 3];
    for number in &mut numbers {
        rest = rest.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        *number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        rest = &rest[digits..];
    }
    let [width, height, 255] = numbers else { return None };
    let pixels = rest.get(1..)?;
    let size = u64::from(width) * u64::from(height) * 3;
    (size > 0 && pixels.len() as u64 == size).then_some((width, height, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixmap_becomes_the_same_picture() {
        let pixels = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 10, 32];
        let mut picture = b"P6\n2 2\n255\n".to_vec();
        picture.extend_from_slice(&pixels);
        let png = to_png(&picture).expect("converted");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
        let mut decoded = [0; 12];
        reader.next_frame(&mut decoded).expect("a frame");
        assert_eq!(decoded, pixels);
    }

    #[test]
    fn anything_else_is_refused() {
        for picture in [
            &b""[..],
            b"P6",
            b"P6 1 1 255",
            b"P6 0 0 255\n",
            b"P6 1 1 65535\n123456",
            b"P6 2 1 255\n123",
            b"P5 1 1 255\n1",
        ] {
            assert!(to_png(picture).is_err(), "{picture:?}");
        }
    }
}
