//! A bar for each operation, as SVG.
use super::totals::Totals;
use std::fmt::Write;

const BARS: usize = 20;
const ROW: usize = 22;
const LEFT: usize = 150;
const WIDTH: usize = 420;

/// The busiest operations; lengths are logarithmic, because a job's counts span many powers of ten.
pub fn svg(totals: &Totals) -> String {
    let mut rows: Vec<_> = totals
        .rows
        .iter()
        .filter(|(_, row)| row.all() > 0)
        .collect();
    rows.sort_by_key(|(name, row)| (std::cmp::Reverse(row.all()), *name));
    rows.truncate(BARS);
    let most = rows.first().map_or(1, |(_, row)| row.all());
    let scale = |n: u64| (n as f64 + 1.0).log10() / (most as f64 + 1.0).log10() * WIDTH as f64;
    let (width, height) = (LEFT + WIDTH + 110, rows.len() * ROW + 50);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">Calls on DAOS mounts (logarithmic)</text>\n"
    );
    for (i, (name, row)) in rows.iter().enumerate() {
        let y = 35 + i * ROW;
        let bar = scale(row.all());
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{bar:.1}\" height=\"16\" fill=\"#4477aa\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LEFT - 8,
            y + 13,
            LEFT as f64 + bar + 6.0,
            y + 13,
            row.all()
        );
    }
    out.push_str("</svg>\n");
    out
}
