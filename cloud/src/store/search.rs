//! Full-text search over page texts, names and fields: SQLite's FTS5, PostgreSQL's `tsvector`.
//!
//! What a word is, is decided here and not by the engines, so that both find the same: letters and digits, without
//! case and accents. A text becomes such words before it is stored, and so does a question. The tenant is a word as
//! well, one that no text can hold, so that a search reads nothing of other tenants' (INV-12); the join with the
//! tenant's documents holds it once more.
//!
//! The danger is one huge document: PostgreSQL keeps at most 1 MiB of words for a row, and positions up to 16383. So
//! the words of the first [`IN_ORDER_BYTES`] of a text are kept in their order, of the rest only words that are new,
//! until [`NEW_BYTES`]; what lies behind them is not found.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use platen_model::{DocumentId, TenantId};
use sqlx::{AnyConnection, Row as _};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::record::Record;
use super::{Engine, Store, StoreError, Write};

/// Bytes of a text whose words are kept in order.
const IN_ORDER_BYTES: usize = 250_000;
/// Bytes of words that are new in the rest of a text.
const NEW_BYTES: usize = 150_000;
/// Longest word, in characters; longer ones are cut.
const WORD_CHARACTERS: usize = 100;
/// Most words and phrases of a question; what follows is left out.
const PHRASES: usize = 20;
/// Most places of one word, and the last place there is: PostgreSQL's limits.
const PLACES: usize = 255;
const LAST_PLACE: usize = 16_383;

/// The condition that a row of `search_words s` is found; `question` is how the statement names the question.
pub(super) fn matching(engine: Engine, question: &str) -> String {
    match engine {
        Engine::Sqlite => format!("s.search_words MATCH {question}"),
        Engine::Postgres => format!("s.all_of @@ {question}::tsquery"),
    }
}

/// The place of a document; behind all others for one that has none. `document` is how the statement names it.
pub(super) fn place_of(document: &str) -> String {
    format!("COALESCE((SELECT place FROM search_places WHERE document_id = {document}), 9223372036854775807)")
}

/// A question: all of these must be in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question(Vec<Phrase>);

/// Words that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Phrase {
    words: Vec<String>,
    /// The last word may go on.
    open: bool,
}

impl Question {
    /// Reads what a person typed: words, `"phrases in quotes"`, and `begin*` for words that begin so.
    pub fn of(text: &str) -> Self {
        let mut phrases = Vec::new();
        for (index, piece) in text.split('"').enumerate() {
            let quoted = index % 2 == 1;
            let chunks: Vec<&str> = if quoted { vec![piece] } else { piece.split_whitespace().collect() };
            for chunk in chunks {
                let words: Vec<String> = words_of(chunk).collect();
                if !words.is_empty() {
                    phrases.push(Phrase { words, open: !quoted && chunk.ends_with('*') });
                }
            }
        }
        phrases.truncate(PHRASES);
        Self(phrases)
    }

    /// As [`Question::of`], for a field that is searched while somebody still types in it: the last word may go on.
    pub fn of_typing(text: &str) -> Self {
        let mut question = Self::of(text);
        if !text.ends_with(['"', ' '])
            && let Some(last) = question.0.last_mut()
        {
            last.open = true;
        }
        question
    }

    /// Whether it has no words: nothing is found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of its words by itself.
    pub(super) fn words(&self) -> Vec<Self> {
        let mut words: Vec<Self> = Vec::new();
        for Phrase { words: of_one, open } in &self.0 {
            for (index, word) in of_one.iter().enumerate() {
                let open = *open && index + 1 == of_one.len();
                let word = Self(vec![Phrase { words: vec![word.clone()], open }]);
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        words
    }

    /// The condition that a row of SQLite's `search_words s` holds it, for rows that are come by otherwise: the index would
    /// be read from the beginning for each of them. `bind` takes a value, and answers how the statement names it.
    pub(super) fn held(&self, bind: &mut dyn FnMut(String) -> String) -> String {
        let phrases = self.0.iter().map(|Phrase { words, open }| {
            let text = bind(format!(" {}{}", words.join(" "), if *open { "" } else { " " }));
            format!("(instr(' ' || s.names || ' ', {text}) > 0 OR instr(' ' || s.words || ' ', {text}) > 0)")
        });
        phrases.collect::<Vec<_>>().join(" AND ")
    }

    /// In the engine's language.
    pub(crate) fn expression(&self, engine: Engine, tenant: &TenantId) -> String {
        let tenant = tenant_word(tenant);
        // Words are letters and digits: nothing in them needs escaping, on either engine.
        match engine {
            Engine::Sqlite => {
                let phrases = self.0.iter().map(|phrase| {
                    format!("\"{}\"{}", phrase.words.join(" "), if phrase.open { " *" } else { "" })
                });
                let phrases: Vec<String> = phrases.collect();
                format!("tenant : \"{tenant}\" AND {{names words}} : ({})", phrases.join(" AND "))
            }
            Engine::Postgres => {
                let phrases = self.0.iter().map(|phrase| {
                    let words: Vec<String> = phrase.words.iter().map(|word| format!("'{word}'")).collect();
                    format!("({}{})", words.join(" <-> "), if phrase.open { ":*" } else { "" })
                });
                let phrases: Vec<String> = phrases.collect();
                format!("'{tenant}' & {}", phrases.join(" & "))
            }
        }
    }
}

/// Gives a new document its place, and makes its names findable.
pub(super) async fn insert(write: &mut Write, tenant: &TenantId, record: &Record) -> Result<(), StoreError> {
    let row =
        sqlx::query("INSERT INTO search_places (tenant_id, document_id) VALUES ($1, $2) RETURNING place")
            .bind(tenant.as_str())
            .bind(record.document.document_id.to_string())
            .fetch_one(&mut **write)
            .await?;
    let engine = write.engine();
    let tenant = Words::of_one(tenant_word(tenant));
    sqlx::query(engine.pick(
        "INSERT INTO search_words (rowid, tenant, names, words) VALUES ($1, $2, $3, $4)",
        "INSERT INTO search_words (place, tenant, names, words)
         VALUES ($1, $2::tsvector, $3::tsvector, $4::tsvector)",
    ))
    .bind(row.get::<i64, _>("place"))
    .bind(tenant.worded(engine))
    .bind(names_of(record).worded(engine))
    .bind("")
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Makes the names findable that an event gave a document.
pub(super) async fn update_names(
    write: &mut Write,
    before: &Record,
    after: &Record,
) -> Result<(), StoreError> {
    let names = names_of(after);
    if names == names_of(before) {
        return Ok(());
    }
    let engine = write.engine();
    let wording = engine.pick(
        "UPDATE search_words SET names = $1
         WHERE rowid = (SELECT place FROM search_places WHERE document_id = $2)",
        "UPDATE search_words SET names = $1::tsvector
         WHERE place = (SELECT place FROM search_places WHERE document_id = $2)",
    );
    sqlx::query(wording)
        .bind(names.worded(engine))
        .bind(after.document.document_id.to_string())
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Makes the words of a document's pages findable, in place of those before.
pub async fn update_text(write: &mut Write, document: DocumentId, text: &Words) -> Result<(), StoreError> {
    let engine = write.engine();
    let wording = engine.pick(
        "UPDATE search_words SET words = $1
         WHERE rowid = (SELECT place FROM search_places WHERE document_id = $2)",
        "UPDATE search_words SET words = $1::tsvector
         WHERE place = (SELECT place FROM search_places WHERE document_id = $2)",
    );
    sqlx::query(wording).bind(text.worded(engine)).bind(document.to_string()).execute(&mut **write).await?;
    Ok(())
}

/// Whether what is searched for a document is what it should be: its place, its names, and these words of its pages.
pub(crate) async fn is_sound(
    reading: &mut AnyConnection,
    engine: Engine,
    tenant: &TenantId,
    record: &Record,
    text: &Words,
) -> Result<bool, StoreError> {
    let row = sqlx::query(engine.pick(
        "SELECT COUNT(*) AS count FROM search_places p CROSS JOIN search_words s
         WHERE p.document_id = $1 AND p.tenant_id = $2 AND s.rowid = p.place
           AND s.tenant = $3 AND s.names = $4 AND s.words = $5",
        "SELECT COUNT(*) AS count FROM search_places p JOIN search_words s ON s.place = p.place
         WHERE p.document_id = $1 AND p.tenant_id = $2
           AND s.tenant = $3::tsvector AND s.names = $4::tsvector AND s.words = $5::tsvector",
    ))
    .bind(record.document.document_id.to_string())
    .bind(tenant.as_str())
    .bind(Words::of_one(tenant_word(tenant)).worded(engine))
    .bind(names_of(record).worded(engine))
    .bind(text.worded(engine))
    .fetch_one(reading)
    .await?;
    Ok(row.get::<i64, _>("count") == 1)
}

/// How many rows of words have no place: nothing leads from them to a document.
pub(crate) async fn without_place(store: &Store) -> Result<i64, StoreError> {
    if store.engine() == Engine::Postgres {
        // A foreign key keeps them from being there.
        return Ok(0);
    }
    let rows = "SELECT COUNT(*) AS count FROM search_words s
         WHERE NOT EXISTS (SELECT 1 FROM search_places p WHERE p.place = s.rowid)";
    Ok(sqlx::query(rows).fetch_one(store.reading()).await?.get("count"))
}

/// Forgets everything: the first half of a rebuild.
pub(crate) async fn clear(write: &mut Write) -> Result<(), StoreError> {
    for clearing in ["DELETE FROM search_words", "DELETE FROM search_places"] {
        sqlx::query(clearing).execute(&mut **write).await?;
    }
    Ok(())
}

/// The words of a text, as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Of a text, within the limits.
    pub fn of(text: &str) -> Self {
        let (mut kept, mut bytes, mut rest) = (Vec::new(), 0, words_of(text));
        for word in rest.by_ref() {
            bytes += word.len() + 1;
            kept.push(word);
            if bytes >= IN_ORDER_BYTES {
                break;
            }
        }
        let mut known: HashSet<String> = kept.iter().cloned().collect();
        let mut new = 0;
        for word in rest {
            if new >= NEW_BYTES {
                break;
            }
            if known.insert(word.clone()) {
                new += word.len() + 1;
                kept.push(word);
            }
        }
        Self(kept)
    }

    fn of_one(word: String) -> Self {
        Self(vec![word])
    }

    /// As the engine takes them: a text of words, or a `tsvector` written out.
    fn worded(&self, engine: Engine) -> String {
        if engine == Engine::Sqlite {
            return self.0.join(" ");
        }
        let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, word) in (1..).zip(&self.0) {
            let places = places.entry(word).or_default();
            if places.len() < PLACES && (place <= LAST_PLACE || places.is_empty()) {
                places.push(place.min(LAST_PLACE));
            }
        }
        let mut vector = String::new();
        for (word, places) in places {
            let places: Vec<String> = places.iter().map(usize::to_string).collect();
            let _ = write!(vector, "'{word}':{} ", places.join(","));
        }
        vector
    }
}

/// What a document is called by: its file, source, department and type, and the values of its fields.
fn names_of(record: &Record) -> Words {
    let document = &record.document;
    let mut names = vec![document.file_name.as_str(), &document.source, &document.document_type.0];
    names.extend(document.department.as_deref());
    for field in document.fields.values() {
        names.push(&field.value);
        if field.text != field.value {
            names.push(&field.text);
        }
    }
    Words::of(&names.join("\n"))
}

/// A tenant as a word that no text can hold.
fn tenant_word(tenant: &TenantId) -> String {
    format!("tenant-{tenant}")
}

/// The words of a text: letters and digits, without case and accents.
fn words_of(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c)).flat_map(|word| {
        let folded: String = word
            .nfkd()
            .flat_map(char::to_lowercase)
            .filter(|c| !is_combining_mark(*c))
            .flat_map(|c| if c == 'ß' { ['s', 's'].into_iter().take(2) } else { [c, c].into_iter().take(1) })
            .collect();
        // Compatibility forms may unfold into more than letters: "½" is "1⁄2".
        let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(|word| word.chars().take(WORD_CHARACTERS).collect()).collect::<Vec<String>>()
    })
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
