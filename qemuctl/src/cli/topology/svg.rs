//! Draws the tree as SVG boxes, from the machine on the left to the devices on the right, coloured by kind.

use svg::Document;
use svg::node::element::{Path, Rectangle, Text};

use super::picture::{Kind, Node, Picture};

const ROW: f64 = 34.0;
const HEIGHT: f64 = 26.0;
const GAP: f64 = 56.0;
const MARGIN: f64 = 24.0;
/// Room for the legend above the tree.
const TOP: f64 = 64.0;
/// The width of a character.
const LETTER: f64 = 7.3;
const PADDING: f64 = 10.0;

/// The kinds in the legend: fill, outline and name.
const KINDS: [(Kind, &str, &str, &str); 8] = [
    (Kind::Bus, "#1f2937", "#1f2937", "bus"),
    (Kind::Board, "#e5e7eb", "#9ca3af", "board"),
    (Kind::Port, "#dbeafe", "#3b82f6", "port"),
    (Kind::FreePort, "#ffffff", "#3b82f6", "free port"),
    (Kind::Controller, "#ede9fe", "#8b5cf6", "controller"),
    (Kind::Disk, "#dcfce7", "#22c55e", "disk"),
    (Kind::Network, "#ffedd5", "#f97316", "network"),
    (Kind::Other, "#fef9c3", "#ca8a04", "other"),
];

/// A node with its position.
struct Box<'a> {
    node: &'a Node,
    depth: usize,
    y: f64,
    parent: Option<usize>,
}

pub(super) fn draw(picture: &Picture) -> String {
    let mut boxes = Vec::new();
    let mut next = TOP;
    lay_out(&picture.root, 0, None, &mut next, &mut boxes);

    let depths = boxes.iter().map(|each| each.depth + 1).max().unwrap_or(1);
    let widths: Vec<f64> = (0..depths)
        .map(|depth| {
            boxes.iter().filter(|each| each.depth == depth).map(|each| width(each.node)).fold(0.0, f64::max)
        })
        .collect();
    let lefts: Vec<f64> = (0..depths)
        .map(|depth| MARGIN + widths[..depth].iter().map(|width| width + GAP).sum::<f64>())
        .collect();
    let right = lefts.last().zip(widths.last()).map_or(0.0, |(left, width)| left + width) + MARGIN;
    let paper = (right.max(legend_width()), next + MARGIN);

    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, paper.0.ceil(), paper.1.ceil()))
        .set("width", paper.0.ceil())
        .set("height", paper.1.ceil())
        .set("font-family", "DejaVu Sans Mono, Menlo, Consolas, monospace")
        .set("font-size", 12)
        .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "#ffffff"));
    document = legend(document);
    for each in &boxes {
        if let Some(parent) = each.parent.map(|index| &boxes[index]) {
            document = document
                .add(line((lefts[parent.depth] + width(parent.node), parent.y), (lefts[each.depth], each.y)));
        }
    }
    boxes
        .iter()
        .fold(document, |document, each| label(document, each.node, lefts[each.depth], each.y))
        .to_string()
}

/// Gives each leaf a row, and each other node the middle of its children. Parents come before their children.
fn lay_out<'a>(
    node: &'a Node,
    depth: usize,
    parent: Option<usize>,
    next: &mut f64,
    boxes: &mut Vec<Box<'a>>,
) -> f64 {
    let index = boxes.len();
    boxes.push(Box { node, depth, y: 0.0, parent });
    let rows: Vec<f64> =
        node.children.iter().map(|child| lay_out(child, depth + 1, Some(index), next, boxes)).collect();
    let y = if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        f64::midpoint(*first, *last)
    } else {
        *next += ROW;
        *next - ROW / 2.0
    };
    boxes[index].y = y;
    y
}

fn text(node: &Node) -> String {
    // SVG makes several spaces one, unless they do not break.
    const BETWEEN: &str = "\u{a0}\u{a0}";
    let parts = [&node.place, &node.name, &node.what];
    parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(BETWEEN)
}

fn width(node: &Node) -> f64 {
    text_width(&text(node))
}

fn text_width(text: &str) -> f64 {
    // Exact for all texts that fit on paper.
    let letters = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    f64::from(letters) * LETTER + 2.0 * PADDING
}

fn line((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Path {
    let middle = x2 - GAP / 2.0;
    Path::new()
        .set("d", format!("M{x1:.1} {y1:.1} H{middle:.1} V{y2:.1} H{x2:.1}"))
        .set("fill", "none")
        .set("stroke", "#9ca3af")
}

fn label(document: Document, node: &Node, x: f64, y: f64) -> Document {
    boxed(document, node.kind, &text(node), x, y)
}

fn boxed(document: Document, kind: Kind, words: &str, x: f64, y: f64) -> Document {
    let (_, fill, stroke, _) = KINDS.iter().find(|known| known.0 == kind).copied().unwrap_or(KINDS[7]);
    let outline = Rectangle::new()
        .set("x", x)
        .set("y", y - HEIGHT / 2.0)
        .set("width", text_width(words))
        .set("height", HEIGHT)
        .set("rx", 5)
        .set("fill", fill)
        .set("stroke", stroke);
    let outline = if kind == Kind::FreePort { outline.set("stroke-dasharray", "4 3") } else { outline };
    let color = if kind == Kind::Bus { "#ffffff" } else { "#111827" };
    let words = Text::new(words).set("x", x + PADDING).set("y", y + 4.0).set("fill", color);
    document.add(outline).add(words)
}

fn legend(document: Document) -> Document {
    let mut x = MARGIN;
    KINDS.iter().fold(document, |document, (kind, _, _, name)| {
        let at = x;
        x += text_width(name) + 8.0;
        boxed(document, *kind, name, at, 30.0)
    })
}

fn legend_width() -> f64 {
    2.0 * MARGIN + KINDS.iter().map(|(_, _, _, name)| text_width(name) + 8.0).sum::<f64>()
}
