//! From nodes and variables to text, within limits.

use serde_json::{Map, Value};

use super::filters::{apply, escaped, number_of, text_of};
use super::parse::{LoopList, TemplateCondition, TemplateNode, TemplateOperand, TemplateValue};
use super::{Escape, RenderError, RenderLimits};

struct Renderer<'a> {
    variables: &'a Map<String, Value>,
    /// Names of assignments and loops, the innermost last.
    locals: Vec<(&'a str, Value)>,
    escape: Escape,
    limits: RenderLimits,
    steps: u32,
    out: String,
}

/// Renders nodes.
pub(super) fn render(
    nodes: &[TemplateNode],
    variables: &Map<String, Value>,
    escape: Escape,
    limits: RenderLimits,
) -> Result<String, RenderError> {
    let mut renderer = Renderer { variables, locals: Vec::new(), escape, limits, steps: 0, out: String::new() };
    renderer.nodes(nodes)?;
    Ok(renderer.out)
}

impl<'a> Renderer<'a> {
    fn nodes(&mut self, nodes: &'a [TemplateNode]) -> Result<(), RenderError> {
        nodes.iter().try_for_each(|node| self.node(node))
    }

    fn step(&mut self) -> Result<(), RenderError> {
        self.steps += 1;
        if self.steps > self.limits.steps { Err(RenderError::Steps(self.limits.steps)) } else { Ok(()) }
    }

    fn push(&mut self, text: &str) -> Result<(), RenderError> {
        self.check(self.out.len() + text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    fn check(&self, bytes: usize) -> Result<(), RenderError> {
        if bytes > self.limits.bytes { Err(RenderError::Bytes(self.limits.bytes)) } else { Ok(()) }
    }

    fn node(&mut self, node: &'a TemplateNode) -> Result<(), RenderError> {
        self.step()?;
        match node {
            TemplateNode::Text(text) => self.push(text),
            TemplateNode::Output(expression) => {
                let value = self.value(expression)?;
                if value.is_null() {
                    return Err(RenderError::Missing(name_of(&expression.base)));
                }
                let text = text_of(&value);
                match self.escape {
                    Escape::Html => self.push(&escaped(&text)),
                    Escape::Header => self.push(&text.replace(['\r', '\n', '\0'], " ")),
                    Escape::Text => self.push(&text),
                }
            }
            TemplateNode::If(arms) => match arms.iter().find(|(condition, _)| self.holds(condition)) {
                Some((_, body)) => self.nodes(body),
                None => Ok(()),
            },
            TemplateNode::Assign(name, expression) => {
                let value = self.value(expression)?;
                self.locals.push((name, value));
                Ok(())
            }
            TemplateNode::For { name, list, limit, offset, body } => {
                let bound =
                    |value: &Option<TemplateOperand>| value.as_ref().and_then(|value| number_of(&self.look_up(value)));
                let limit = bound(limit).map_or(usize::MAX, |most| most.max(0.0) as usize);
                let offset = bound(offset).map_or(0, |first| first.max(0.0) as usize);
                self.repeat(name, list, (offset, limit), body)
            }
        }
    }

    /// A range is never collected: a billion rounds end at the limit of steps.
    fn repeat(
        &mut self,
        name: &'a str,
        list: &'a LoopList,
        (offset, limit): (usize, usize),
        body: &'a [TemplateNode],
    ) -> Result<(), RenderError> {
        match list {
            LoopList::Value(list) => {
                let Value::Array(list) = self.look_up(list) else { return Ok(()) };
                self.rounds(name, list.into_iter().skip(offset).take(limit), body)
            }
            LoopList::Range(from, to) => {
                let end = |end: &TemplateOperand| number_of(&self.look_up(end)).unwrap_or(0.0) as i64;
                let range = end(from)..=end(to);
                self.rounds(name, range.skip(offset.min(u32::MAX as usize)).take(limit).map(Value::from), body)
            }
        }
    }

    fn rounds(
        &mut self,
        name: &'a str,
        values: impl Iterator<Item = Value>,
        body: &'a [TemplateNode],
    ) -> Result<(), RenderError> {
        let outer = self.locals.len();
        for value in values {
            self.step()?;
            self.locals.push((name, value));
            self.nodes(body)?;
            self.locals.truncate(outer);
        }
        Ok(())
    }

    fn value(&mut self, expression: &TemplateValue) -> Result<Value, RenderError> {
        let mut value = self.look_up(&expression.base);
        for filter in &expression.filters {
            self.step()?;
            let arguments: Vec<Value> = filter.arguments.iter().map(|one| self.look_up(one)).collect();
            // Replacing is the one filter that multiplies lengths.
            let factor =
                if filter.name == "replace" { arguments.get(1).map_or(1, |new| text_of(new).len().max(1)) } else { 1 };
            self.check(text_of(&value).len().saturating_mul(factor))?;
            // Nil stays nil but for a default, so that what is missing is noticed at the end.
            if !value.is_null() || filter.name == "default" {
                value = apply(filter.name, value, &arguments);
            }
        }
        self.check(text_of(&value).len())?;
        Ok(value)
    }

    /// The value of an operand; nil where there is none.
    fn look_up(&self, operand: &TemplateOperand) -> Value {
        let path = match operand {
            TemplateOperand::Constant(value) => return value.clone(),
            TemplateOperand::Path(path) => path,
        };
        let Some((first, rest)) = path.split_first() else { return Value::Null };
        let local = self.locals.iter().rev().find(|(name, _)| name == first).map(|(_, value)| value);
        let mut value = local.or_else(|| self.variables.get(first));
        for name in rest {
            value = match value {
                Some(Value::Object(members)) => members.get(name),
                Some(Value::Array(list)) => name.parse::<usize>().ok().and_then(|index| list.get(index)),
                _ => None,
            };
        }
        value.cloned().unwrap_or_default()
    }

    fn holds(&self, condition: &TemplateCondition) -> bool {
        match condition {
            TemplateCondition::Else => true,
            TemplateCondition::Holds(value) => !matches!(self.look_up(value), Value::Null | Value::Bool(false)),
            TemplateCondition::Compare(one, comparison, other) => {
                compares(&self.look_up(one), comparison, &self.look_up(other))
            }
            TemplateCondition::Not(inner) => !self.holds(inner),
            TemplateCondition::And(one, other) => self.holds(one) && self.holds(other),
            TemplateCondition::Or(one, other) => self.holds(one) || self.holds(other),
        }
    }
}

fn compares(one: &Value, comparison: &str, other: &Value) -> bool {
    let numbers = number_of(one).zip(number_of(other));
    let is_equal = || match numbers {
        Some((one, other)) => one == other,
        None => one == other,
    };
    match (comparison, numbers) {
        ("==", _) => is_equal(),
        ("!=", _) => !is_equal(),
        ("contains", _) => match one {
            Value::Array(list) => list.contains(other),
            Value::String(text) => text.contains(&text_of(other)),
            _ => false,
        },
        (">", Some((one, other))) => one > other,
        ("<", Some((one, other))) => one < other,
        (">=", Some((one, other))) => one >= other,
        ("<=", Some((one, other))) => one <= other,
        _ => false,
    }
}

fn name_of(operand: &TemplateOperand) -> String {
    match operand {
        TemplateOperand::Path(path) => path.join("."),
        TemplateOperand::Constant(value) => value.to_string(),
    }
}
