//! The files of `-readconfig`: sections of options, in the manner of an INI file.

use super::options::Options;

/// One section: its group, such as `chardev`, and its options, the id included.
pub(super) type Section = (String, Options);

/// Reads such a file. What is not understood is passed over: QEMU has started with it, so it is not ours to refuse.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let (group, id) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
            let id = id.trim().trim_matches('"');
            let options = if id.is_empty() { Vec::new() } else { vec![("id".to_owned(), id.to_owned())] };
            sections.push((group.to_owned(), options));
        } else if let (Some((key, value)), Some((_, options))) = (line.split_once('='), sections.last_mut())
            && !line.starts_with('#')
        {
            options.push((key.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
        }
    }
    sections.into_iter().map(|(group, options)| (group, Options::from_pairs(options))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_a_group_an_id_and_options() {
        let text = "# a comment = nothing\n[chardev \"m\"]\n  backend = \"socket\"\n  path = \"/a b\"\n\n[machine]\n type=\"q35\"\n";
        let read = sections(text);
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].0.as_str(), read[0].1.get("id"), read[0].1.get("path")),
            ("chardev", Some("m"), Some("/a b"))
        );
        assert_eq!(
            (read[1].0.as_str(), read[1].1.get("id"), read[1].1.get("type")),
            ("machine", None, Some("q35"))
        );
    }
}
