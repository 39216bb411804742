//! The picture as SVG: one file, light and dark by the reader's system, nothing fetched.

use std::fmt::{Arguments, Write as _};

use super::{ChannelLine, Drawing, shown};

/// Colours and letters; the same as the dashboard's.
const STYLE: &str = "\
text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#52606d}
.name{font-size:13px;font-weight:600;fill:#17202a}
.box{fill:#fff;stroke:#c3cbd5}.source{stroke:#2f5fd0}
.line{fill:none;stroke:#aab4c0;stroke-width:2}
.head{fill:#aab4c0}
.label{paint-order:stroke;stroke:#f7f8fa;stroke-width:4px}
.paper{fill:#f7f8fa}
@media(prefers-color-scheme:dark){text{fill:#9fabb8}.name{fill:#e8edf2}.box{fill:#1b222b;stroke:#3d4957}.source{stroke:#8fb0ff}\
.line{stroke:#5a6675}.head{fill:#5a6675}.label{stroke:#12171d}.paper{fill:#12171d}}";

pub(super) fn write(drawing: &Drawing) -> String {
    let Drawing { network, width, height, processes, channels } = drawing;
    let mut text = String::new();
    let (processes_count, channels_count) = (processes.len(), channels.len());
    put(
        &mut text,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>{}: {processes_count} processes, {channels_count} channels</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
         <path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n",
            escaped(network),
        ),
    );
    for channel in channels {
        for edge in &channel.edges {
            let path = path(&edge.points);
            put(
                &mut text,
                format_args!("<path class=\"line\" marker-end=\"url(#head)\" d=\"{path}\"/>\n"),
            );
        }
    }
    for channel in channels.iter().filter(|it| !it.edges.is_empty()) {
        let ChannelLine { name, label, .. } = channel;
        let size = match channel.capacity {
            0 => "rendezvous".to_owned(),
            usize::MAX => "unbounded".to_owned(),
            capacity => capacity.to_string(),
        };
        put(
            &mut text,
            format_args!(
                "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{} ({size}){}</text>\n",
                label.x,
                label.y,
                label.anchor,
                escaped(&shown(name)),
                title(name),
            ),
        );
    }
    for process in processes {
        let (x, y, w, h) = (process.x, process.y, process.w, process.h);
        let class = if process.source { "box source" } else { "box" };
        let (across, middle) = (x + 14, y + h / 2);
        put(
            &mut text,
            format_args!(
                "<g><title>{}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"8\"/>\
             <text class=\"name\" x=\"{across}\" y=\"{}\">{}</text><text x=\"{across}\" y=\"{}\">{}</text></g>\n",
                escaped(&format!("{}: {}", process.name, process.about)),
                middle - 3,
                escaped(&shown(&process.name)),
                middle + 14,
                escaped(&shown(&process.component)),
            ),
        );
    }
    text.push_str("</svg>\n");
    text
}

/// A line through points: straight between two on one height or one above the other, and else a curve.
fn path(points: &[[i32; 2]]) -> String {
    let mut text = String::new();
    for (index, &[x, y]) in points.iter().enumerate() {
        match index.checked_sub(1).map(|before| points[before]) {
            None => put(&mut text, format_args!("M{x} {y}")),
            Some([before, above]) if before == x || above == y => {
                put(&mut text, format_args!("L{x} {y}"));
            }
            Some([before, above]) => {
                let middle = (before + x) / 2;
                put(&mut text, format_args!("C{middle} {above} {middle} {y} {x} {y}"));
            }
        }
    }
    text
}

/// The whole of a name that had to be cut.
fn title(name: &str) -> String {
    let cut = shown(name) != name;
    if cut { format!("<title>{}</title>", escaped(name)) } else { String::new() }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // XML has no word for most of them.
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

fn put(text: &mut String, what: Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = text.write_fmt(what);
}
