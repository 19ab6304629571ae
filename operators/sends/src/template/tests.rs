//! Templates: what they give, and what they are refused for.

use serde_json::json;

use super::*;

fn render_as(source: &str, escape: Escape) -> Result<String, RenderError> {
    let variables = json!({
        "user": {"id": "u1", "name": "Ann <b>", "age": 41, "tags": ["a", "b", "c"], "nothing": null, "line": "a\r\nBcc: x"},
        "shop": "Blum & Co",
    });
    let limits = RenderLimits { steps: 1_000, bytes: 10_000 };
    LiquidTemplate::parse(source).unwrap().render(variables.as_object().unwrap(), escape, limits)
}

fn text(source: &str) -> String {
    render_as(source, Escape::Text).unwrap()
}

#[test]
fn output_is_escaped_for_its_place() {
    assert_eq!(render_as("<p>{{ user.name }}</p>", Escape::Html).unwrap(), "<p>Ann &lt;b&gt;</p>");
    assert_eq!(render_as("{{ user.line }}", Escape::Header).unwrap(), "a  Bcc: x");
    assert_eq!(text("{{ user.name }} of {{shop}}"), "Ann <b> of Blum & Co");
}

#[test]
fn a_missing_value_is_an_error_unless_it_has_a_default() {
    let missing = |name: &str| Err(RenderError::Missing(name.to_owned()));
    assert_eq!(render_as("Hello {{ user.city }}", Escape::Text), missing("user.city"));
    assert_eq!(render_as("Hello {{ user.nothing | upcase }}", Escape::Text), missing("user.nothing"));
    assert_eq!(text("Hello {{ user.city | default: \"you\" }}"), "Hello you");
    assert_eq!(text("{% if user.city %}{{ user.city }}{% else %}-{% endif %}"), "-");
}

#[test]
fn conditions() {
    assert_eq!(text("{% if user.age >= 18 and shop contains '&' %}y{% else %}n{% endif %}"), "y");
    assert_eq!(text("{% if user.age == '41' %}a{% elsif user.id %}b{% endif %}"), "a");
    assert_eq!(text("{% if user.id == 'x' %}a{% elsif user.id == 'u1' %}b{% else %}c{% endif %}"), "b");
    assert_eq!(text("{% unless user.tags contains 'z' %}none{% endunless %}"), "none");
    // From the right: true or (false and false).
    assert_eq!(text("{% if true or false and false %}y{% endif %}"), "y");
}

#[test]
fn loops_and_assignments() {
    assert_eq!(text("{% for t in user.tags %}{{ t }},{% endfor %}"), "a,b,c,");
    assert_eq!(text("{% for t in user.tags limit:1 offset: 1 %}{{ t }}{% endfor %}"), "b");
    assert_eq!(text("{% for i in (1..3) %}{% for j in (1..i) %}{{ j }}{% endfor %};{% endfor %}"), "1;12;123;");
    assert_eq!(text("{% assign n = user.age | plus: 1 %}{{ n }} {{ user.tags.0 }}"), "42 a");
}

#[test]
fn filters() {
    let cases = [
        ("{{ 'abc' | upcase | append: \"-|-\" }}", "ABC-|-"),
        ("{{ 'a b' | capitalize | replace: ' ', '_' | prepend: '>' }}", ">A_b"),
        ("{{ user.tags | join: '+' }} {{ user.tags | size }} {{ user.tags | last }}", "a+b+c 3 c"),
        ("{{ 7 | divided_by: 2 }} {{ 7.0 | divided_by: 2 }} {{ 2.345 | round: 2 }}", "3 3.5 2.35"),
        ("{{ 'a,b' | split: ',' | first }}{{ ' x ' | strip }}{{ 'abcdefgh' | truncate: 6 }}", "axabc..."),
        ("{{ 2.5 | ceil }}{{ 2.5 | floor }}{{ 3 | times: 2 | minus: 1 }}{{ 'XaX' | remove: 'X' | downcase }}", "325a"),
    ];
    for (source, expected) in cases {
        assert_eq!(text(source), expected, "{source}");
    }
}

#[test]
fn raw_comments_and_whitespace() {
    assert_eq!(text("a {%- comment %}{{ not parsed {% endcomment %} b"), "a b");
    assert_eq!(text("{% raw %}{{ user.id }}{% endraw %}"), "{{ user.id }}");
    assert_eq!(text("a \n {{- shop -}} \n b"), "aBlum & Cob");
}

#[test]
fn hostile_templates_end_at_a_limit() {
    assert_eq!(render_as("{% for i in (1..1000000000) %}{% endfor %}", Escape::Text), Err(RenderError::Steps(1_000)));
    let nested = "{% for i in (1..99999) %}{% for j in (1..99999) %}x{% endfor %}{% endfor %}";
    assert_eq!(render_as(nested, Escape::Text), Err(RenderError::Steps(1_000)));
    let doubling = format!("{{% assign a = 'xxxxxxxxxx' %}}{}", "{% assign a = a | append: a %}".repeat(40));
    assert_eq!(render_as(&doubling, Escape::Text), Err(RenderError::Bytes(10_000)));
    let replacing = format!("{{{{ '{0}' | replace: 'x', '{0}' }}}}", "x".repeat(500));
    assert_eq!(render_as(&replacing, Escape::Text), Err(RenderError::Bytes(10_000)));
    let deep = "{% if true %}".repeat(40) + &"{% endif %}".repeat(40);
    assert!(LiquidTemplate::parse(&deep).unwrap_err().message.contains("32 deep"));
    assert!(LiquidTemplate::parse(&"x".repeat(MOST_SOURCE + 1)).is_err());
}

#[test]
fn faults_name_their_line() {
    let cases = [
        ("a\n{{ user.name", 2, "not closed"),
        ("\n\n{% if x %}", 3, "endif"),
        ("{% endif %}", 1, "closes nothing"),
        ("{{ x | shout }}", 1, "no filter"),
        ("{{ x | append }}", 1, "takes 1 argument"),
        ("{% include 'x' %}", 1, "no tag"),
        ("{% for x %}{% endfor %}", 1, "a loop is"),
        ("{{ a b }}", 1, "is no value"),
        ("{% if a = b %}{% endif %}", 1, "compares nothing"),
        ("{% if a %}{% else %}{% elsif b %}{% endif %}", 1, "follows {% else %}"),
    ];
    for (source, line, message) in cases {
        let fault = LiquidTemplate::parse(source).unwrap_err();
        assert!(fault.line == line && fault.message.contains(message), "{source}: {fault}");
    }
}

#[test]
fn names_are_those_of_variables() {
    let template =
        LiquidTemplate::parse("{{ user.a | default: user.b }}{% if c %}{% for x in d %}{{ x }}{% endfor %}{% endif %}");
    let names: Vec<String> = template.unwrap().names().iter().cloned().collect();
    assert_eq!(names, ["c", "d", "user.a", "user.b", "x"]);
}
