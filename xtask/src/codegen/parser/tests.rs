//! The parser on small schemas: what is refused, with file, line and what was expected; what is understood.

use std::path::Path;

use super::parse;
use crate::codegen::model::{Arguments, Condition, Kind};

/// Parses files given as name and text; the first is the root.
fn parse_files(files: &[(&str, &str)]) -> anyhow::Result<super::Parsed> {
    parse("1.0", Path::new(files[0].0), &|path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    })
}

fn refusal(text: &str) -> String {
    match parse_files(&[("a.json", text)]) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn malformed_schemas_are_refused_with_place_and_expectation() {
    let name_rule = "a name of letters, digits, '-' and '_' that starts with a letter";
    let cases = [
        ("x", "a.json:1: expected one of { } [ ] : , ' # true false, found 'x'".to_owned()),
        ("\n'a'", "a.json:2: expected '{', found string 'a'".to_owned()),
        ("{ 'a", "a.json:1: expected a closing \"'\", found end of file".to_owned()),
        ("{ 'a\n'", "a.json:1: expected a closing \"'\", found end of line".to_owned()),
        ("{ 'a\\n'", "a.json:1: expected '\\\\', the only escape, found '\\n'".to_owned()),
        ("{ 'ä'", "a.json:1: expected a printable ASCII character, found 'ä'".to_owned()),
        ("{ 'a' 'b'", "a.json:1: expected ':', found string 'b'".to_owned()),
        ("{ 'a': 'b'\n'c'", "a.json:2: expected ',' or '}', found string 'c'".to_owned()),
        ("{ 'a': ['b'\n'c'", "a.json:2: expected ',' or ']', found string 'c'".to_owned()),
        ("{ 'a': , }", "a.json:1: expected '{', '[', a string, true or false, found ','".to_owned()),
        ("{ 'a': 'b', }", "a.json:1: expected a member's name in quotes, found '}'".to_owned()),
        ("{ 'a': 'b', 'a': 'c' }", "a.json:1: expected each member once, found 'a' again".to_owned()),
        (
            "##\n# @A:\n",
            "a.json:1: expected a closing '##' for this documentation comment, found end of file".to_owned(),
        ),
        (
            "##\n# @A:\nx\n##",
            "a.json:3: expected '#' inside a documentation comment, found 'x'".to_owned(),
        ),
        (
            "##\n# @A:\n##\n{ 'enum': 'B', 'data': [] }",
            "a.json:1: expected documentation of 'B', found '@A:'".to_owned(),
        ),
        (
            "##\n# @A:\n##\n",
            "a.json:1: expected the definition of 'A' after its documentation, found something else".to_owned(),
        ),
        (
            "{ 'thing': 'A' }",
            "a.json:1: expected include, pragma or one of enum, struct, union, alternate, command, event, found an \
             object without any of them"
                .to_owned(),
        ),
        (
            "{ 'pragma': { 'fast': true } }",
            "a.json:1: expected one of doc-required, command-name-exceptions, command-returns-exceptions, \
             documentation-exceptions, member-name-exceptions, found 'fast'"
                .to_owned(),
        ),
        (
            "{ 'pragma': { 'doc-required': [] } }",
            "a.json:1: expected a boolean for 'doc-required', found a list".to_owned(),
        ),
        ("{ 'include': ['a'] }", "a.json:1: expected a file name after 'include', found a list".to_owned()),
        (
            "{ 'include': 'a.json' }",
            "a.json:1: expected an include without a cycle, found 'a.json', which is being read".to_owned(),
        ),
        ("{ 'enum': 'A' }", "a.json:1: expected 'data' in this enum, found none".to_owned()),
        (
            "{ 'enum': 'A', 'data': [], 'base': 'B' }",
            "a.json:1: expected a key of 'enum' (data, prefix, if, features), found 'base'".to_owned(),
        ),
        ("{ 'enum': 'A', 'data': ['b',\n'b'] }", "a.json:2: expected each word once, found 'b' again".to_owned()),
        ("{ 'enum': 'A', 'data': ['b c'] }", format!("a.json:1: expected {name_rule}, found 'b c'")),
        ("{ 'struct': '1A', 'data': {} }", format!("a.json:1: expected {name_rule}, found '1A'")),
        (
            "{ 'struct': 'A', 'data': { 'q_a': 'str' } }",
            "a.json:1: expected a name that does not start with 'q_', which is reserved, found 'q_a'".to_owned(),
        ),
        (
            "{ 'struct': 'A', 'data': { 'a': ['str', 'int'] } }",
            "a.json:1: expected one type's name in the list, found 2 elements".to_owned(),
        ),
        (
            "{ 'struct': 'A', 'data': { 'a': { 'typ': 'str' } } }",
            "a.json:1: expected one of type, if, features, found 'typ'".to_owned(),
        ),
        (
            "{ 'struct': 'A', 'data': { 'a': 'B' } }",
            "a.json:1: expected the name of a type, found 'B' in 'A'".to_owned(),
        ),
        (
            "{ 'struct': 'A', 'base': 'A', 'data': {} }",
            "a.json:1: expected a base that is not the object itself, found 'A' in 'A'".to_owned(),
        ),
        (
            "{ 'struct': 'A', 'data': {}, 'if': { 'any': ['X'], 'all': ['Y'] } }",
            "a.json:1: expected exactly one of all, any, not, found 2 keys".to_owned(),
        ),
        (
            "{ 'command': 'a', 'gen': true }",
            "a.json:1: expected false for 'gen', found true".to_owned(),
        ),
        (
            "{ 'command': 'a', 'data': 'str' }",
            "a.json:1: expected a struct or union as 'data', found 'str' in 'a'".to_owned(),
        ),
        (
            "{ 'enum': 'A', 'data': [] }\n{ 'enum': 'A', 'data': [] }",
            "a.json:2: expected a new name (the first 'A' is at a.json:1), found 'A' again".to_owned(),
        ),
        (
            "{ 'union': 'A', 'base': { 'x': 'str' }, 'discriminator': 'type', 'data': {} }",
            "a.json:1: expected 'type' among the base's members, found none in 'A'".to_owned(),
        ),
        (
            "{ 'enum': 'E', 'data': ['a'] }\n{ 'union': 'A', 'base': { 'type': 'E' }, 'discriminator': 'type',\n\
             'data': { 'b': 'S' } }\n{ 'struct': 'S', 'data': {} }",
            "a.json:2: expected branches named after words of 'E', found 'b' in 'A'".to_owned(),
        ),
    ];
    let found: Vec<String> = cases.iter().map(|(text, _)| refusal(text)).collect();
    let expected: Vec<String> = cases.into_iter().map(|(_, expected)| expected).collect();
    assert_eq!(found, expected);
    let deep = format!("{{ 'a': {}", "[".repeat(100_000));
    assert_eq!(refusal(&deep), "a.json:1: expected shallower nesting, found more than 64 levels");
}

#[test]
fn the_whole_language_is_understood() {
    let root = "
# a comment
{ 'include': 'sub/common.json' }
{ 'include': 'sub/common.json' }
{ 'pragma': { 'doc-required': true, 'command-name-exceptions': [ 'do_it' ] } }
##
# = free-form text
##
##
# @do_it:
#
# @flag: a flag (since 2.3)
#
# Features:
#
# @unstable: as it says
#
# Since: 1.5
##
{ 'command': 'do_it', 'data': { '*flag': 'bool', 'all': ['Kind'] }, 'returns': ['U'],
  'allow-oob': true, 'gen': false, 'success-response': false, 'coroutine': true, 'allow-preconfig': true,
  'features': [ 'unstable', { 'name': 'deprecated', 'if': 'CONFIG_X' } ],
  'if': { 'all': [ 'A', { 'not': { 'any': [ 'B', 'C' ] } } ] } }
{ 'command': 'boxed', 'boxed': true, 'data': 'S' }
{ 'event': 'DONE', 'data': { 'u': 'U' } }
{ 'union': 'U', 'base': 'Base', 'discriminator': 'type', 'data': { 'one': 'S', 'two': { 'type': 'V', 'if': 'X' } } }
{ 'union': 'V', 'base': { 'which': 'Kind' }, 'discriminator': 'which', 'data': {} }
{ 'alternate': 'A', 'data': { 's': 'S', 'n': 'null', 'i': 'int8' } }
{ 'struct': 'S', 'data': { 'size': { 'type': 'size', 'features': [ 'deprecated' ], 'if': 'X' } } }
";
    let common = "
{ 'enum': 'Kind', 'prefix': 'K', 'data': [ 'one', { 'name': 'two', 'if': 'X', 'features': [ 'unstable' ] } ] }
{ 'struct': 'Base', 'data': { 'type': 'Kind' } }
";
    let parsed =
        parse_files(&[("qapi/root.json", root), ("qapi/sub/common.json", common)]).expect("well-formed");
    assert_eq!(parsed.files.len(), 2);
    let names: Vec<&str> = parsed.schema.definitions.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["A", "Base", "Kind", "S", "U", "V", "boxed", "do_it", "DONE"]);
    let command = &parsed.schema.definitions[7];
    assert_eq!((command.since.as_deref(), command.module.as_str()), (Some("1.5"), "root"));
    let Kind::Command(facts) = &command.kind else { panic!("not a command") };
    let Arguments::Members(members) = &facts.data else { panic!("no members") };
    assert_eq!((members[0].optional, members[0].since.as_deref()), (true, Some("2.3")));
    assert_eq!((members[1].r#type.as_str(), facts.returns.as_deref()), ("[Kind]", Some("[U]")));
    assert!(
        facts.allow_oob
            && facts.coroutine
            && facts.allow_preconfig
            && !facts.r#gen
            && !facts.success_response
    );
    let not = Condition::Not(Box::new(Condition::Any(vec![
        Condition::Is("B".to_owned()),
        Condition::Is("C".to_owned()),
    ])));
    assert_eq!(command.condition, Some(Condition::All(vec![Condition::Is("A".to_owned()), not])));
    // What is written is what is read.
    let text = parsed.schema.to_text().expect("plain data");
    let read: crate::codegen::model::Schema = serde_json::from_str(&text).expect("our own text");
    assert_eq!(read, parsed.schema);
}
