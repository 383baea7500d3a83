//! Conditions, in CEL (<https://cel.dev>): compiled when the policy is loaded, their names checked, and tried on some
//! document, so that a typing error is found then and not by a document at night.
//!
//! A condition sees one variable, `document`. Values of fields are text; where they can be read as more, a field also has
//! `number`, `currency`, `date` and `day`, so that conditions compare amounts with amounts and days with days. A condition
//! that asks for a field the document does not have holds for no document; what that means is for its user to say.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use cel::objects::{Key, Map};
use cel::{Context, ExecutionError, Program, Value};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use platen_model::Field;
use platen_model::api::Document;
use serde::Serialize;

/// What a condition may ask of `document`.
const MEMBERS: [&str; 11] = [
    "tenant_id",
    "document_type",
    "confidence",
    "ocr_confidence",
    "fields",
    "file_name",
    "source",
    "department",
    "page_count",
    "received_on",
    "received_day",
];
/// What a condition may ask of a field.
const FIELD_MEMBERS: [&str; 7] = ["value", "text", "confidence", "number", "currency", "date", "day"];

/// Longest condition, in characters.
const CHARACTERS: usize = 1_000;
/// Most brackets within brackets, and most operators of one sort in a row, which nest as deep.
const DEPTH: usize = 48;
/// Most comprehensions (`exists`, `all`, `map`) within one another: each multiplies the time of those within.
const COMPREHENSIONS: usize = 2;

/// Values of fields that conditions are tried on: what fails with each of them fails with any.
const SPECIMENS: [&str; 3] = ["a", "1", "2026-03-31"];

/// The document as conditions see it.
#[derive(Clone, Debug)]
pub(super) struct Facts(Value);

#[derive(Debug, Serialize)]
struct SeenDocument<'d> {
    tenant_id: &'d str,
    document_type: &'d str,
    confidence: f64,
    ocr_confidence: f64,
    fields: BTreeMap<&'d str, SeenField<'d>>,
    file_name: &'d str,
    source: &'d str,
    department: &'d str,
    page_count: i64,
    received_on: String,
    received_day: i64,
}

#[derive(Debug, Serialize)]
struct SeenField<'d> {
    value: &'d str,
    text: &'d str,
    confidence: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<i64>,
}

impl Facts {
    /// What conditions see of a document.
    pub(super) fn of(document: &Document) -> Self {
        let received = document.created_at.to_zoned(TimeZone::UTC).date();
        // A field without a value is as good as none.
        let fields = document.fields.iter().filter(|(_, field)| !field.value.trim().is_empty());
        Self::new(&SeenDocument {
            tenant_id: document.tenant_id.as_str(),
            document_type: &document.document_type.0,
            confidence: exactly(document.confidence),
            ocr_confidence: exactly(document.ocr_confidence),
            fields: fields.map(|(name, field)| (name.as_str(), seen(field))).collect(),
            file_name: &document.file_name,
            source: &document.source,
            department: document.department.as_deref().unwrap_or_default(),
            page_count: document.page_count.into(),
            received_on: received.to_string(),
            received_day: day(received),
        })
    }

    /// Some document with these fields of this value, for trying conditions on.
    fn specimen(names: &BTreeSet<String>, value: &str) -> Self {
        let field = Field { value: value.into(), text: value.into(), confidence: 0.5, page: 0, rect: None };
        let full = || Some("2026-03-31".to_owned());
        let with_all = |name| {
            let (number, currency) = (Some(1.0), Some("EUR"));
            (name, SeenField { number, currency, date: full(), day: Some(20_543), ..seen(&field) })
        };
        let received = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC).date();
        Self::new(&SeenDocument {
            tenant_id: "tenant",
            document_type: "unknown",
            confidence: 0.5,
            ocr_confidence: 0.5,
            fields: names.iter().map(String::as_str).map(with_all).collect(),
            file_name: "scan.tif",
            source: "front-desk",
            department: "",
            page_count: 1,
            received_on: received.to_string(),
            received_day: day(received),
        })
    }

    fn new(seen: &SeenDocument<'_>) -> Self {
        Self(cel::to_value(seen).expect("plain data with string keys"))
    }

    fn context(&self) -> Context<'static, 'static> {
        let mut context = Context::default();
        context.add_variable_from_value("document", self.0.clone());
        context
    }
}

fn seen(field: &Field) -> SeenField<'_> {
    let value = field.value.trim();
    let amount = amount(value);
    let date: Option<Date> = value.parse().ok().filter(|_| is_iso_date(value));
    SeenField {
        value,
        text: &field.text,
        confidence: exactly(field.confidence),
        number: amount.map(|(number, _)| number),
        currency: amount.and_then(|(_, currency)| currency),
        date: date.map(|date| date.to_string()),
        day: date.map(day),
    }
}

/// `0.9` is 0.9, and not the nearest number of half the digits.
fn exactly(confidence: f32) -> f64 {
    (f64::from(confidence) * 1e6).round() / 1e6
}

/// Days since 1970-01-01.
fn day(date: Date) -> i64 {
    let since = date.duration_since(jiff::civil::date(1970, 1, 1));
    since.as_secs().div_euclid(86_400)
}

/// Whether a text is `2026-03-31`: parsers of dates take more.
pub(super) fn is_iso_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && text.parse::<Date>().is_ok()
}

/// The number and the currency of `1234.56 EUR` or `1234.56`.
pub fn amount(text: &str) -> Option<(f64, Option<&str>)> {
    let (number, currency) = match text.split_once(' ') {
        Some((number, currency)) => (number, Some(currency)),
        None => (text, None),
    };
    let is_currency = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (whole, cents) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = all_digits(whole) && all_digits(cents) && currency.is_none_or(is_currency);
    is_number.then(|| number.parse().ok()).flatten().map(|number| (number, currency))
}

/// A condition that was compiled and checked.
#[derive(Debug)]
pub(super) struct Condition {
    /// As it was written.
    pub(super) text: String,
    program: Program,
    fields: BTreeSet<String>,
}

/// What a condition answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It asks for what the document does not have: a field, or a number where the field is none.
    Missing(String),
}

impl Condition {
    /// Compiles and checks a condition.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let characters = text.chars().count();
        if characters > CHARACTERS {
            return Err(format!("it has {characters} characters; a condition has at most {CHARACTERS}"));
        }
        // Before it is compiled: what is nested too deep overflows the stack of its compiler.
        let deepest = depths(text).map(|(_, _, depth)| depth).max().unwrap_or(0);
        if deepest > DEPTH as i32 || prefixes(text) > DEPTH {
            return Err(format!("it is nested more than {DEPTH} deep"));
        }
        let program = Program::compile(text).map_err(|error| error.to_string())?;
        if comprehensions(program.expression()) > COMPREHENSIONS {
            let most = "it looks through lists within lists within lists; at most two such are nested";
            return Err(most.into());
        }
        let mut fields = BTreeSet::new();
        check_names(program.expression(), &mut fields)?;
        let condition = Self { text: text.trim().to_owned(), program, fields };
        // A condition that is not about truth, or compares words with numbers, shows with some document; where it asks for
        // fields, only with one that has them.
        condition.answer(&Facts::specimen(&BTreeSet::new(), ""))?;
        let tried = SPECIMENS.map(|value| condition.answer(&Facts::specimen(&condition.fields, value)));
        match tried.into_iter().reduce(|before, next| before.or(next)) {
            Some(Err(error)) => Err(error),
            _ => Ok(condition),
        }
    }

    /// The names of the fields it asks for, in alphabetical order.
    pub(super) fn fields(&self) -> &BTreeSet<String> {
        &self.fields
    }

    /// Asks it about a document; an error says why it cannot be asked.
    pub(super) fn answer(&self, facts: &Facts) -> Result<Answer, String> {
        match self.program.execute(&facts.context()) {
            Ok(Value::Bool(true)) => Ok(Answer::Yes),
            Ok(Value::Bool(false)) => Ok(Answer::No),
            Ok(other) => Err(format!("it answers {}, not true or false", shown(&other))),
            // The names of members were checked: what is missing is a field, or what a field's value is not.
            Err(ExecutionError::NoSuchKey(name)) => Ok(Answer::Missing(name.to_string())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Its parts, as joined by `&&` and `||`, each with its answer and the values it saw.
    pub(super) fn parts(&self, facts: &Facts) -> Vec<Part> {
        let texts = split(&self.text);
        let parts: Option<Vec<Part>> = texts.iter().map(|text| Part::of(text, facts)).collect();
        parts.or_else(|| Part::of(&self.text, facts).map(|part| vec![part])).unwrap_or_default()
    }
}

/// A part of a condition, asked about a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// As it was written.
    pub(super) text: String,
    /// What it answers.
    pub(super) answer: Result<Answer, String>,
    /// What it saw, by the names in it; a name that stands for nothing in this document has `None`.
    pub(super) values: BTreeMap<String, Option<String>>,
}

impl Part {
    fn of(text: &str, facts: &Facts) -> Option<Self> {
        let condition = Condition {
            text: text.to_owned(),
            program: Program::compile(text).ok()?,
            fields: BTreeSet::new(),
        };
        let mut paths = BTreeSet::new();
        collect_paths(condition.program.expression(), &mut paths);
        let context = facts.context();
        let value = |path: &String| {
            let value = Program::compile(path).ok()?.execute(&context).ok()?;
            Some(shown(&value))
        };
        let values = paths.iter().map(|path| (path.clone(), value(path))).collect();
        Some(Self { text: condition.text.clone(), answer: condition.answer(facts), values })
    }
}

/// A value in the words of CEL.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        Value::Map(Map { map }) => {
            let name = |key: &Key| match key {
                Key::String(name) => name.to_string(),
                other => format!("{other:?}"),
            };
            let mut names: Vec<String> = map.keys().map(name).collect();
            names.sort();
            format!("{{{}}}", names.join(", "))
        }
        Value::Null => "null".into(),
        other => format!("{other:?}"),
    }
}

/// What an expression names.
enum Named<'e> {
    Document,
    Fields,
    Field(&'e str),
}

fn named(expression: &Expr) -> Option<Named<'_>> {
    match expression {
        Expr::Ident(name) if name == "document" => Some(Named::Document),
        Expr::Select(select) => match named(&select.operand.expr)? {
            Named::Document if select.field == "fields" => Some(Named::Fields),
            Named::Fields => Some(Named::Field(&select.field)),
            _ => None,
        },
        Expr::Call(call) => {
            let (whole, key) = indexed(call)?;
            matches!(named(whole)?, Named::Fields).then_some(Named::Field(key))
        }
        _ => None,
    }
}

/// The parts of `whole["key"]`.
fn indexed(call: &CallExpr) -> Option<(&Expr, &str)> {
    let [whole, key] = &call.args[..] else { return None };
    match &key.expr {
        Expr::Literal(LiteralValue::String(key)) if call.func_name == operators::INDEX => {
            Some((&whole.expr, key.inner()))
        }
        _ => None,
    }
}

/// The longest run of signs that apply to what follows: `!!!!x`, `- - -1`, `a ? b : a ? b : c`.
fn prefixes(text: &str) -> usize {
    let (mut run, mut most, mut chained) = (0, 0, 0);
    for (_, c, _) in depths(text) {
        match c {
            '!' | '-' => run += 1,
            '?' => chained += 1,
            c if c.is_whitespace() => {}
            _ => run = 0,
        }
        most = most.max(run);
    }
    most.max(chained)
}

/// How many comprehensions lie within one another.
fn comprehensions(expression: &IdedExpr) -> usize {
    let within = children(&expression.expr).into_iter().map(comprehensions).max().unwrap_or(0);
    within + usize::from(matches!(expression.expr, Expr::Comprehension(_)))
}

/// Refuses names that no document has, which are typing errors, and collects those of fields.
fn check_names(expression: &IdedExpr, fields: &mut BTreeSet<String>) -> Result<(), String> {
    if let Some(Named::Field(name)) = named(&expression.expr) {
        fields.insert(name.to_owned());
    }
    if let Expr::Select(SelectExpr { operand, field, .. }) = &expression.expr {
        let (known, of) = match named(&operand.expr) {
            Some(Named::Document) => (&MEMBERS[..], "document"),
            Some(Named::Field(_)) => (&FIELD_MEMBERS[..], "a field"),
            _ => (&[][..], ""),
        };
        if !of.is_empty() && !known.contains(&field.as_str()) {
            return Err(format!("{of} has no `{field}`; it has {}", known.join(", ")));
        }
    }
    children(&expression.expr).into_iter().try_for_each(|child| check_names(child, fields))
}

/// The longest names of an expression that begin at `document`, as they are written.
fn collect_paths(expression: &IdedExpr, paths: &mut BTreeSet<String>) {
    match path(&expression.expr) {
        Some(path) => {
            paths.insert(path);
        }
        None => children(&expression.expr).into_iter().for_each(|child| collect_paths(child, paths)),
    }
}

fn path(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Ident(name) if name == "document" => Some(name.clone()),
        Expr::Select(select) => Some(format!("{}.{}", path(&select.operand.expr)?, select.field)),
        Expr::Call(call) => {
            let (whole, key) = indexed(call)?;
            Some(format!("{}[{key:?}]", path(whole)?))
        }
        _ => None,
    }
}

fn children(expression: &Expr) -> Vec<&IdedExpr> {
    match expression {
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                EntryExpr::StructField(field) => vec![&field.value],
            })
            .collect(),
        Expr::Comprehension(parts) => {
            vec![&parts.iter_range, &parts.accu_init, &parts.loop_cond, &parts.loop_step, &parts.result]
        }
        _ => Vec::new(),
    }
}

/// The parts of a condition that `||` and `&&` join, in order; the whole where something else joins them.
fn split(text: &str) -> Vec<&str> {
    let text = unwrapped(text);
    let places = places(text);
    if places.iter().any(|(_, sign)| *sign == "?") {
        return vec![text];
    }
    let joint = ["||", "&&"].into_iter().find(|joint| places.iter().any(|(_, sign)| sign == joint));
    let Some(joint) = joint else { return vec![text] };
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, _) in places.iter().filter(|(_, sign)| *sign == joint) {
        parts.extend(split(&text[begin..*at]));
        begin = at + joint.len();
    }
    parts.extend(split(&text[begin..]));
    parts
}

/// Without blanks and without brackets around all of it.
fn unwrapped(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    match inner {
        Some(inner) if is_balanced(inner) => unwrapped(inner),
        _ => text,
    }
}

fn is_balanced(text: &str) -> bool {
    depths(text).all(|(_, _, depth)| depth >= 0)
}

/// Where `||`, `&&` and `?` stand outside brackets and quotes.
fn places(text: &str) -> Vec<(usize, &'static str)> {
    let signs = ["||", "&&", "?"];
    depths(text)
        .filter(|(_, _, depth)| *depth == 0)
        .filter_map(|(at, _, _)| {
            signs.into_iter().find(|sign| text[at..].starts_with(sign)).map(|sign| (at, sign))
        })
        .collect()
}

/// The characters of a text outside quotes, each with its place and how many brackets are open behind it.
fn depths(text: &str) -> impl Iterator<Item = (usize, char, i32)> {
    let (mut depth, mut quote, mut escaped) = (0, None, false);
    text.char_indices().filter_map(move |(at, c)| {
        if let Some(mark) = quote {
            if !escaped && c == mark {
                quote = None;
            }
            escaped = !escaped && c == '\\';
            return None;
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        Some((at, c, depth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    fn facts() -> Facts {
        let fields = [("total", "1190.50 EUR"), ("date", "2026-03-31"), ("name", "Ada"), ("empty", " ")];
        Facts::of(&record("invoice", &fields).document)
    }

    #[test]
    fn fields_are_numbers_currencies_and_days_where_they_can_be() {
        let check = |text: &str, expected: Answer| {
            let condition = Condition::compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(condition.answer(&facts()), Ok(expected), "{text}");
        };
        let missing = |name: &str| Answer::Missing(name.into());
        check("document.fields.total.number <= 1190.5", Answer::Yes);
        check("document.fields.total.number > 1000", Answer::Yes);
        check("document.fields.total.currency == 'EUR'", Answer::Yes);
        check("document.fields['total'].number * 2.0 == 2381.0", Answer::Yes);
        check("document.fields.date.day - document.received_day > 365", Answer::Yes);
        check("document.fields.date.date >= '2026-01-01' && document.received_on < '2026'", Answer::Yes);
        check("document.fields.total.date == '2026-03-31'", missing("date"));
        check("document.fields.name.number > 1.0", missing("number"));
        check("document.fields.other.number > 1.0", missing("other"));
        check("document.fields.empty.value == ''", missing("empty"));
        check("has(document.fields.other) && document.fields.other.number > 1.0", Answer::No);
        check("document.confidence >= 0.9 && document.page_count - 1 == 0", Answer::Yes);
        check("['a', 'b'].exists(x, x == document.document_type)", Answer::No);
    }

    #[test]
    fn a_condition_that_cannot_be_asked_is_refused_when_it_is_compiled() {
        let check = |text: &str, part: &str| {
            let error = Condition::compile(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        };
        check("document.typ == 'nda'", "document has no `typ`");
        check("document.fields.total.amount == 1.0", "a field has no `amount`");
        check("document.fields['total'].amount == 1.0", "a field has no `amount`");
        check("document.document_type", "not true or false");
        check("document.fields.total.value > 1", "");
        check("document.fields.total.number + 'a' == 'b'", "");
        check("document.", "");
    }

    #[test]
    fn a_condition_that_would_take_too_much_is_refused_before_it_is_compiled() {
        let check = |text: &str, part: &str| {
            let error = Condition::compile(text).expect_err("it is too much");
            assert!(error.contains(part), "{error}");
        };
        check(&format!("1{} == 1", "+1".repeat(10_000)), "20006 characters");
        check(&format!("{}true{}", "(".repeat(400), ")".repeat(400)), "nested more than 48");
        check(&format!("{}true", "!".repeat(900)), "nested more than 48");
        check(&format!("{}1 == 1", "- ".repeat(400)), "nested more than 48");
        check(&format!("{}true", "true ? true : ".repeat(60)), "nested more than 48");
        let thrice = "[1].all(a, [1].all(b, [1].all(c, a == c)))";
        check(thrice, "lists within lists within lists");
        for sound in [
            "[1].all(a, [1].all(b, a == b))",
            "[1].all(a, a == 1) && [1].all(b, b == 1) && [2].all(c, c == 2)",
        ] {
            Condition::compile(sound).expect(sound);
        }
        // The longest ones that are taken need no more stack than a small thread has.
        let longest = [
            format!("1{} == 490", "+1".repeat(489)),
            format!("true{}", " && true".repeat(120)),
            format!("{}true{}", "(".repeat(48), ")".repeat(48)),
            format!("{}true", "!".repeat(48)),
            format!("[{}1].all(a, a == 1)", "1,".repeat(480)),
            format!("document.fields{} == 1.0", ".a".repeat(480)),
        ];
        let asked = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            longest.map(|text| Condition::compile(&text).map(|condition| condition.answer(&facts())).is_ok())
        });
        asked.expect("a thread").join().expect("none overflows the stack");
    }

    #[test]
    fn a_condition_sees_whose_document_it_is() {
        let record = record("invoice", &[]);
        let whose = format!("document.tenant_id == '{}'", record.document.tenant_id);
        let condition = Condition::compile(&whose).expect("sound");
        assert_eq!(condition.answer(&Facts::of(&record.document)), Ok(Answer::Yes));
        let other = Condition::compile("document.tenant_id == 'another'").expect("sound");
        assert_eq!(other.answer(&Facts::of(&record.document)), Ok(Answer::No));
    }

    #[test]
    fn a_condition_tells_which_part_of_it_failed_and_what_that_part_saw() {
        let text = "(document.document_type == 'invoice' || document.page_count > 9) && \
                    document.fields.total.number > 5000.0 && !(document.fields.order.value == 'a && b')";
        let condition = Condition::compile(text).expect("sound");
        let parts = condition.parts(&facts());
        let told: Vec<_> = parts.iter().map(|part| (part.text.as_str(), part.answer.clone())).collect();
        let expected = [
            ("document.document_type == 'invoice'", Answer::Yes),
            ("document.page_count > 9", Answer::No),
            ("document.fields.total.number > 5000.0", Answer::No),
            ("!(document.fields.order.value == 'a && b')", Answer::Missing("order".into())),
        ];
        assert_eq!(told, expected.map(|(text, answer)| (text, Ok(answer))));
        let value = |part: usize, name: &str| parts[part].values.get(name).cloned();
        assert_eq!(value(0, "document.document_type"), Some(Some("\"invoice\"".into())));
        assert_eq!(value(2, "document.fields.total.number"), Some(Some("1190.5".into())));
        assert_eq!(value(3, "document.fields.order.value"), Some(None));
    }

    #[test]
    fn only_normal_forms_are_amounts_and_dates() {
        let check = |text: &str, expected: Option<(f64, Option<&str>)>| assert_eq!(amount(text), expected);
        check("1234.56 EUR", Some((1234.56, Some("EUR"))));
        check("-5", Some((-5.0, None)));
        check("1.234,56 EUR", None);
        check("12 eur", None);
        check("1e3", None);
        check(".5", None);
        for (text, expected) in
            [("2026-03-31", true), ("2026-02-30", false), ("31.03.2026", false), ("20260331", false)]
        {
            assert_eq!(is_iso_date(text), expected, "{text}");
        }
    }
}
