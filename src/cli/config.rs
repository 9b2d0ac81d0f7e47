//! `nakku config`: the settings in force.

use super::arguments::Config;
use super::outcome::Done;
use super::show;
use crate::settings::print;

/// Prints settings, or the page about them.
pub fn run(arguments: &Config) -> Done {
    if arguments.docs {
        return show::line(print::page().trim_end());
    }
    let loaded = arguments.settings.sources(Vec::new())?.load()?;
    let lines = print::lines(&loaded);
    let rows = lines.iter().map(|line| {
        let source = line.set_by.clone().unwrap_or_else(|| line.source.to_owned());
        vec![line.name.into(), line.value.clone(), source, line.default.into(), line.meaning.into()]
    });
    show::rows(arguments.json, &lines, &["setting", "value", "set by", "default", "meaning"], rows)
}
