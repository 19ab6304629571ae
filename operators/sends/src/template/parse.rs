//! From the source of a template to its nodes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::filters::FILTERS;
use super::{MOST_DEPTH, TemplateFault};

/// A piece of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TemplateNode {
    /// Text as it is.
    Text(String),
    /// A value.
    Output(TemplateValue),
    /// The first arm whose condition holds.
    If(Vec<(TemplateCondition, Vec<TemplateNode>)>),
    /// Its body for each of a list.
    For {
        name: String,
        list: LoopList,
        limit: Option<TemplateOperand>,
        offset: Option<TemplateOperand>,
        body: Vec<TemplateNode>,
    },
    /// A name for a value.
    Assign(String, TemplateValue),
}

/// The list of a loop.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum LoopList {
    /// A value.
    Value(TemplateOperand),
    /// Numbers from one to another.
    Range(TemplateOperand, TemplateOperand),
}

/// A value with filters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TemplateValue {
    pub(super) base: TemplateOperand,
    pub(super) filters: Vec<TemplateFilter>,
}

/// A filter with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TemplateFilter {
    pub(super) name: &'static str,
    pub(super) arguments: Vec<TemplateOperand>,
}

/// A value as it stands in a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TemplateOperand {
    /// A constant.
    Constant(Value),
    /// A path of names.
    Path(Vec<String>),
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TemplateCondition {
    /// Always.
    Else,
    /// The value is neither nil nor false.
    Holds(TemplateOperand),
    /// Two values compare so.
    Compare(TemplateOperand, &'static str, TemplateOperand),
    /// The condition does not hold.
    Not(Box<TemplateCondition>),
    /// Both hold.
    And(Box<TemplateCondition>, Box<TemplateCondition>),
    /// One of them holds.
    Or(Box<TemplateCondition>, Box<TemplateCondition>),
}

const COMPARISONS: [&str; 7] = ["==", "!=", ">=", "<=", ">", "<", "contains"];

/// A piece of the source.
#[derive(Clone, Debug, PartialEq)]
enum SourcePiece<'a> {
    Text(&'a str),
    Output(&'a str),
    Tag(&'a str),
}

/// The pieces of a source, each with its line.
struct SourcePieces<'a> {
    pieces: Vec<(usize, SourcePiece<'a>)>,
    at: usize,
}

fn fault<T>(line: usize, message: impl Into<String>) -> Result<T, TemplateFault> {
    Err(TemplateFault { line, message: message.into() })
}

/// Parses a source.
pub(super) fn parse(source: &str) -> Result<Vec<TemplateNode>, TemplateFault> {
    let mut pieces = SourcePieces { pieces: split(source)?, at: 0 };
    let (nodes, end) = block(&mut pieces, &[], 0)?;
    match end {
        None => Ok(nodes),
        Some((line, tag)) => fault(line, format!("{{% {tag} %}} closes nothing")),
    }
}

/// Splits a source into its pieces.
fn split(source: &str) -> Result<Vec<(usize, SourcePiece<'_>)>, TemplateFault> {
    let (mut pieces, mut rest, mut line) = (Vec::new(), source, 1);
    let mut trims = false;
    while let Some(begin) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let (is_tag, open) = (rest[begin..].starts_with("{%"), &rest[begin + 2..]);
        let close = if is_tag { "%}" } else { "}}" };
        let line_here = line + count_lines(&rest[..begin]);
        let Some(end) = open.find(close) else {
            return fault(line_here, format!("{} is not closed by {close}", &rest[begin..begin + 2]));
        };
        let inner = &open[..end];
        let text = if trims { rest[..begin].trim_start() } else { &rest[..begin] };
        pieces.push((line, SourcePiece::Text(if inner.starts_with('-') { text.trim_end() } else { text })));
        trims = inner.ends_with('-');
        let inside = inner.trim_start_matches('-').trim_end_matches('-').trim();
        line = line_here + count_lines(inner);
        rest = &open[end + 2..];
        if is_tag && matches!(inside, "raw" | "comment") {
            let (taken, after) = until_end(rest, inside, line_here)?;
            if inside == "raw" {
                pieces.push((line_here, SourcePiece::Text(taken)));
            }
            line += count_lines(taken);
            rest = after;
            trims = false;
        } else {
            pieces.push((line_here, if is_tag { SourcePiece::Tag(inside) } else { SourcePiece::Output(inside) }));
        }
    }
    pieces.push((line, SourcePiece::Text(if trims { rest.trim_start() } else { rest })));
    Ok(pieces)
}

/// Splits at the tag that ends `raw` or `comment`.
fn until_end<'a>(source: &'a str, name: &str, line: usize) -> Result<(&'a str, &'a str), TemplateFault> {
    let mut from = 0;
    while let Some(begin) = source[from..].find("{%").map(|begin| begin + from) {
        let Some(end) = source[begin..].find("%}").map(|end| end + begin) else { break };
        let inside = source[begin + 2..end].trim_matches('-').trim();
        if inside.strip_prefix("end") == Some(name) {
            return Ok((&source[..begin], &source[end + 2..]));
        }
        from = end + 2;
    }
    fault(line, format!("{{% {name} %}} has no {{% end{name} %}}"))
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// The nodes up to one of the tags `ends`, which is given too.
type Block<'a> = (Vec<TemplateNode>, Option<(usize, &'a str)>);

fn block<'a>(pieces: &mut SourcePieces<'a>, ends: &[&str], depth: usize) -> Result<Block<'a>, TemplateFault> {
    let mut nodes = Vec::new();
    while let Some((line, piece)) = pieces.pieces.get(pieces.at).cloned() {
        pieces.at += 1;
        if depth > MOST_DEPTH {
            return fault(line, format!("blocks are nested more than {MOST_DEPTH} deep"));
        }
        match piece {
            SourcePiece::Text("") => {}
            SourcePiece::Text(text) => nodes.push(TemplateNode::Text(text.to_owned())),
            SourcePiece::Output(inside) => nodes.push(TemplateNode::Output(expression(inside, line)?)),
            SourcePiece::Tag(inside) => {
                let word = inside.split_whitespace().next().unwrap_or_default();
                if ends.contains(&word) || word.starts_with("end") {
                    return match ends.contains(&word) {
                        true => Ok((nodes, Some((line, inside)))),
                        false => fault(line, format!("{{% {inside} %}} closes nothing that is open")),
                    };
                }
                nodes.push(tag(pieces, word, inside[word.len()..].trim(), line, depth)?);
            }
        }
    }
    Ok((nodes, None))
}

fn tag(
    pieces: &mut SourcePieces<'_>,
    word: &str,
    rest: &str,
    line: usize,
    depth: usize,
) -> Result<TemplateNode, TemplateFault> {
    match word {
        "if" => branches(pieces, condition(rest, line)?, "endif", line, depth),
        "unless" => {
            let condition = TemplateCondition::Not(Box::new(condition(rest, line)?));
            branches(pieces, condition, "endunless", line, depth)
        }
        "for" => repeated(pieces, rest, line, depth),
        "assign" => match rest.split_once('=') {
            Some((name, value)) if is_name(name.trim()) => {
                Ok(TemplateNode::Assign(name.trim().to_owned(), expression(value, line)?))
            }
            _ => fault(line, "an assignment is {% assign name = value %}"),
        },
        "elsif" | "else" => fault(line, format!("{{% {word} %}} stands outside of {{% if %}}")),
        other => fault(
            line,
            format!("there is no tag {other:?}; there are if, elsif, else, unless, for, assign, comment and raw"),
        ),
    }
}

fn branches(
    pieces: &mut SourcePieces<'_>,
    first: TemplateCondition,
    close: &str,
    line: usize,
    depth: usize,
) -> Result<TemplateNode, TemplateFault> {
    let (mut arms, mut open) = (Vec::new(), first);
    loop {
        let (body, end) = block(pieces, &["elsif", "else", close], depth + 1)?;
        let Some((at, tag)) = end else { return fault(line, format!("a block has no {{% {close} %}}")) };
        let is_last = open == TemplateCondition::Else;
        arms.push((open, body));
        open = match tag.split_once(char::is_whitespace) {
            _ if tag == close => return Ok(TemplateNode::If(arms)),
            _ if is_last => return fault(at, "nothing but the end of the block follows {% else %}"),
            None if tag == "else" => TemplateCondition::Else,
            Some(("elsif", rest)) => condition(rest, at)?,
            _ => return fault(at, format!("{{% {tag} %}} has no condition, or has one and needs none")),
        };
    }
}

fn repeated(
    pieces: &mut SourcePieces<'_>,
    rest: &str,
    line: usize,
    depth: usize,
) -> Result<TemplateNode, TemplateFault> {
    let wrong =
        || TemplateFault { line, message: "a loop is {% for name in list %}, with limit: or offset:".to_owned() };
    let (name, rest) = rest.split_once(" in ").ok_or_else(wrong)?;
    let name = Some(name.trim()).filter(|name| is_name(name)).ok_or_else(wrong)?.to_owned();
    let (list, options) = match rest.trim().strip_prefix('(') {
        Some(range) => {
            let (range, options) = range.split_once(')').ok_or_else(wrong)?;
            let (from, to) = range.split_once("..").ok_or_else(wrong)?;
            (LoopList::Range(operand(from, line)?, operand(to, line)?), options)
        }
        None => {
            let rest = rest.trim();
            let (list, options) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            (LoopList::Value(operand(list, line)?), options)
        }
    };
    let (mut limit, mut offset) = (None, None);
    let options = options.replace(':', ": ");
    let mut words = options.split_whitespace();
    while let Some(word) = words.next() {
        let value = operand(words.next().ok_or_else(wrong)?, line)?;
        match word {
            "limit:" => limit = Some(value),
            "offset:" => offset = Some(value),
            _ => return Err(wrong()),
        }
    }
    let (body, end) = block(pieces, &["endfor"], depth + 1)?;
    match end {
        Some(_) => Ok(TemplateNode::For { name, list, limit, offset, body }),
        None => fault(line, "a loop has no {% endfor %}"),
    }
}

/// A condition. As in Liquid, the words `and` and `or` bind from the right, without brackets.
fn condition(text: &str, line: usize) -> Result<TemplateCondition, TemplateFault> {
    let words = words(text, line)?;
    condition_of(&words, line)
}

fn condition_of(words: &[&str], line: usize) -> Result<TemplateCondition, TemplateFault> {
    if let Some(at) = words.iter().position(|word| matches!(*word, "and" | "or")) {
        let (one, other) = (condition_of(&words[..at], line)?, condition_of(&words[at + 1..], line)?);
        let (one, other) = (Box::new(one), Box::new(other));
        return Ok(if words[at] == "and" {
            TemplateCondition::And(one, other)
        } else {
            TemplateCondition::Or(one, other)
        });
    }
    match *words {
        [value] => Ok(TemplateCondition::Holds(operand(value, line)?)),
        [one, comparison, other] => match COMPARISONS.iter().find(|known| **known == comparison) {
            Some(known) => Ok(TemplateCondition::Compare(operand(one, line)?, known, operand(other, line)?)),
            None => fault(line, format!("{comparison:?} compares nothing; there are {}", COMPARISONS.join(", "))),
        },
        _ => fault(line, "a condition is a value, or two values with a comparison between them"),
    }
}

/// Words, of which texts in quotes are one each.
fn words(text: &str, line: usize) -> Result<Vec<&str>, TemplateFault> {
    let (mut words, mut rest) = (Vec::new(), text.trim());
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' | '\'' => match rest[1..].find(first) {
                Some(end) => end + 2,
                None => return fault(line, "a text in quotes is not closed"),
            },
            _ => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

/// Splits at a letter that stands in no quotes.
fn split_outside(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut begin, mut quote) = (Vec::new(), 0, None);
    for (place, letter) in text.char_indices() {
        match quote {
            Some(open) if letter == open => quote = None,
            Some(_) => {}
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            None if letter == at => {
                parts.push(&text[begin..place]);
                begin = place + letter.len_utf8();
            }
            None => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

fn expression(text: &str, line: usize) -> Result<TemplateValue, TemplateFault> {
    let mut parts = split_outside(text, '|').into_iter();
    let base = operand(parts.next().unwrap_or_default(), line)?;
    let filters = parts.map(|part| filter(part, line)).collect::<Result<_, _>>()?;
    Ok(TemplateValue { base, filters })
}

fn filter(text: &str, line: usize) -> Result<TemplateFilter, TemplateFault> {
    let (name, arguments) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
    let Some((name, count)) = FILTERS.iter().find(|(known, _)| *known == name.trim()) else {
        let names: Vec<&str> = FILTERS.iter().map(|(name, _)| *name).collect();
        return fault(line, format!("there is no filter {:?}; there are {}", name.trim(), names.join(", ")));
    };
    let arguments = arguments.map(|rest| split_outside(rest, ',')).unwrap_or_default();
    let arguments: Vec<TemplateOperand> =
        arguments.into_iter().map(|one| operand(one, line)).collect::<Result<_, _>>()?;
    if arguments.len() != *count {
        return fault(line, format!("the filter {name} takes {count} argument(s), not {}", arguments.len()));
    }
    Ok(TemplateFilter { name, arguments })
}

fn operand(text: &str, line: usize) -> Result<TemplateOperand, TemplateFault> {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
            && !inside.contains(quote)
        {
            return Ok(TemplateOperand::Constant(Value::from(inside)));
        }
    }
    let constant = match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "nil" | "null" => Some(Value::Null),
        "empty" | "blank" => Some(Value::from("")),
        number => number.parse::<i64>().map(Value::from).ok().or_else(|| number.parse::<f64>().map(Value::from).ok()),
    };
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    if let Some(constant) = constant.filter(|constant| !constant.is_number() || is_number) {
        return Ok(TemplateOperand::Constant(constant));
    }
    let path: Vec<String> = text.split('.').map(str::to_owned).collect();
    match path.iter().all(|name| is_name(name)) {
        true => Ok(TemplateOperand::Path(path)),
        false => {
            fault(line, format!("{text:?} is no value; names have letters, digits, _ and -, with dots between them"))
        }
    }
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_alphanumeric() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
}

/// Collects the paths that nodes name.
pub(super) fn names(nodes: &[TemplateNode], names: &mut BTreeSet<String>) {
    for node in nodes {
        match node {
            TemplateNode::Text(_) => {}
            TemplateNode::Output(expression) | TemplateNode::Assign(_, expression) => of_expression(expression, names),
            TemplateNode::If(arms) => arms.iter().for_each(|(condition, body)| {
                of_condition(condition, names);
                self::names(body, names);
            }),
            TemplateNode::For { list, limit, offset, body, .. } => {
                match list {
                    LoopList::Value(list) => of_operand(list, names),
                    LoopList::Range(from, to) => [from, to].into_iter().for_each(|end| of_operand(end, names)),
                }
                limit.iter().chain(offset).for_each(|value| of_operand(value, names));
                self::names(body, names);
            }
        }
    }
}

fn of_expression(expression: &TemplateValue, names: &mut BTreeSet<String>) {
    of_operand(&expression.base, names);
    expression.filters.iter().flat_map(|filter| &filter.arguments).for_each(|one| of_operand(one, names));
}

fn of_condition(condition: &TemplateCondition, names: &mut BTreeSet<String>) {
    match condition {
        TemplateCondition::Else => {}
        TemplateCondition::Holds(value) => of_operand(value, names),
        TemplateCondition::Compare(one, _, other) => {
            [one, other].into_iter().for_each(|value| of_operand(value, names))
        }
        TemplateCondition::Not(inner) => of_condition(inner, names),
        TemplateCondition::And(one, other) | TemplateCondition::Or(one, other) => {
            [one, other].into_iter().for_each(|inner| of_condition(inner, names));
        }
    }
}

fn of_operand(operand: &TemplateOperand, names: &mut BTreeSet<String>) {
    if let TemplateOperand::Path(path) = operand {
        names.insert(path.join("."));
    }
}
