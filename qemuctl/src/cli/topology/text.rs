//! Draws the tree as text.

use termtree::Tree;

use super::picture::{Node, Picture};

pub(super) fn draw(picture: &Picture) -> String {
    tree(&picture.root).to_string().trim_end().to_owned()
}

fn tree(node: &Node) -> Tree<String> {
    let parts = [&node.place, &node.name, &node.what];
    let label =
        parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("  ");
    Tree::new(label).with_leaves(node.children.iter().map(tree))
}
