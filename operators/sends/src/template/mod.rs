//! Liquid, as marketers know it, within limits: no template takes more than its steps and bytes.
//!
//! It has output (`{{ user.name | default: "you" }}`), `if`/`elsif`/`else`, `unless`, `for` over lists and ranges with `limit`
//! and `offset`, `assign`, `comment` and `raw`, whitespace control (`{{-`), and the filters of [`FILTERS`]. Everything else
//! is refused when the template is parsed, at its line.
//!
//! Two rules differ from other implementations. Output is escaped for the place where it stands ([`Escape`]). A variable
//! without a value and without `default` is an error: nobody is greeted as "Hello ,".

mod filters;
mod parse;
mod render;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use filters::FILTERS;
use parse::TemplateNode;

/// The longest template, bytes.
pub const MOST_SOURCE: usize = 256 << 10;
/// The deepest nesting of blocks.
pub const MOST_DEPTH: usize = 32;

/// A template that was parsed.
#[derive(Clone, Debug)]
pub struct LiquidTemplate {
    nodes: Vec<TemplateNode>,
    names: BTreeSet<String>,
}

/// A fault of a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TemplateFault {
    /// The line, from 1.
    pub line: usize,
    /// The fault, and the way out.
    pub message: String,
}

/// The place where output stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// In HTML: `<`, `>`, `&`, `"` and `'` become entities.
    Html,
    /// In the header of a mail: line breaks become spaces.
    Header,
    /// In plain text: as it is.
    Text,
}

/// The limits of a rendering.
#[derive(Clone, Copy, Debug)]
pub struct RenderLimits {
    /// Nodes that are visited, and rounds of loops.
    pub steps: u32,
    /// Bytes of output, and of any value on the way to it.
    pub bytes: usize,
}

impl Default for RenderLimits {
    fn default() -> Self {
        RenderLimits { steps: 20_000, bytes: 512 << 10 }
    }
}

/// A reason why a template is not rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A variable has no value, and no default.
    #[error("{0} has no value for this person; write {{{{ {0} | default: \"…\" }}}}, or leave it out")]
    Missing(String),
    /// The limit of steps is reached.
    #[error("the template takes more than {0} steps; shorten its loops")]
    Steps(u32),
    /// The limit of bytes is reached.
    #[error("the template gives more than {0} bytes; shorten it")]
    Bytes(usize),
}

impl LiquidTemplate {
    /// Parses a template.
    pub fn parse(source: &str) -> Result<LiquidTemplate, TemplateFault> {
        if source.len() > MOST_SOURCE {
            let message = format!("a template has at most {MOST_SOURCE} bytes, and this one {}", source.len());
            return Err(TemplateFault { line: 1, message });
        }
        let nodes = parse::parse(source)?;
        let mut names = BTreeSet::new();
        parse::names(&nodes, &mut names);
        Ok(LiquidTemplate { nodes, names })
    }

    /// The paths of variables that the template names, such as `user.name`.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Renders the template with the values of variables.
    pub fn render(
        &self,
        variables: &Map<String, Value>,
        escape: Escape,
        limits: RenderLimits,
    ) -> Result<String, RenderError> {
        render::render(&self.nodes, variables, escape, limits)
    }
}

#[cfg(test)]
mod tests;
