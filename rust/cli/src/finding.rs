//! What `doctor` and `check` have found, one thing each, with what to do about it.
use crate::{print, Failure};
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// In order.
    Ok,
    /// Worth knowing.
    Warning,
    /// Stands in the way.
    Error,
}

/// One thing looked at.
#[derive(Serialize)]
pub struct Finding {
    /// What was looked at.
    pub about: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The findings so far.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// In order.
    pub fn ok(&mut self, about: &'static str, found: impl Into<String>) {
        self.add(about, Level::Ok, found, None);
    }

    /// Worth knowing.
    pub fn warning(&mut self, about: &'static str, found: impl Into<String>, remedy: &str) {
        self.add(about, Level::Warning, found, Some(remedy));
    }

    /// Stands in the way.
    pub fn error(&mut self, about: &'static str, found: impl Into<String>, remedy: &str) {
        self.add(about, Level::Error, found, Some(remedy));
    }

    fn add(
        &mut self,
        about: &'static str,
        level: Level,
        found: impl Into<String>,
        remedy: Option<&str>,
    ) {
        self.0.push(Finding {
            about,
            level,
            found: found.into(),
            remedy: remedy.map(str::to_owned),
        });
    }

    /// Whether something stands in the way.
    pub fn fail(&self) -> bool {
        self.0.iter().any(|f| f.level == Level::Error)
    }

    /// For people.
    pub fn text(&self) -> String {
        self.0.iter().map(paragraph).collect()
    }

    /// Prints them, as text or as one JSON array.
    pub fn show(&self, json: bool) -> Result<(), Failure> {
        print(&match json {
            true => serde_json::to_string_pretty(&self.0).unwrap_or_default() + "\n",
            false => self.text(),
        })
        .map(drop)
    }
}

fn paragraph(finding: &Finding) -> String {
    let mark = match finding.level {
        Level::Ok => "ok     ",
        Level::Warning => "warning",
        Level::Error => "ERROR  ",
    };
    let remedy = finding
        .remedy
        .iter()
        .map(|text| format!("         -> {text}\n"));
    let head = format!("{mark}  {}: {}\n", finding.about, finding.found.trim_end());
    std::iter::once(head).chain(remedy).collect()
}
