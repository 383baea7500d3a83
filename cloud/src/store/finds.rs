//! Searches, page by page, at a cost that does not grow with the documents, whatever is asked.
//!
//! Among all documents, finds come in the order in which documents were received, newest first. A few of the newest show
//! whether the words are frequent:
//!
//! 1. If one of them is rare there, the **index of words** leads to all finds. It costs little for a rare word and much for
//!    frequent ones: indices answer all finds at once, or hold the rarest word against the others. PostgreSQL's planner cannot
//!    tell the two apart in a large table, so it is never left to choose.
//! 2. If all are frequent, a stretch of the **newest documents** is read in their order, which soon fills a page, unless the
//!    words are seldom or never together: then the page is short, or empty, and names where the next begins.
//!
//! Within a state or a type finds come in the order of lists. Its newest documents are held against the words one by one; where
//! they do not fill the page, few finds (of rare words) are held against the state or type instead; and where there are many
//! of both, the page is short.

use platen_model::TenantId;
use platen_model::api::Page;
use sqlx::Row as _;

use super::documents::{Filter, Wording, failures, read};
use super::record::Record;
use super::search::{self, Question};
use super::{Engine, Store, StoreError};

/// How much is read at most for one page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// So many of the tenant's newest documents show whether words are frequent.
    pub(super) newest: u32,
    /// A word is frequent if it is in so many of those.
    pub(super) frequent: u32,
    /// So many documents are read for a page of frequent words: enough to fill one of a single word.
    pub(super) stretch: u32,
    /// So many documents of a state or type are held against the words.
    pub(super) walked: u32,
    /// So many finds are held against a state or type.
    pub(super) finds: u32,
}

impl Bounds {
    /// PostgreSQL reads each of the newest documents' words, which are long for long documents; SQLite has a word's documents
    /// in their order in its index.
    pub(super) fn of(engine: Engine) -> Self {
        let newest = match engine {
            Engine::Sqlite => 2_000,
            Engine::Postgres => 1_000,
        };
        Self { newest, frequent: newest / 80, stretch: 5_000, walked: 500, finds: 500 }
    }
}

/// One search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    pub(super) store: &'a Store,
    pub(super) tenant: &'a TenantId,
    /// What finds are narrowed to, and which page.
    pub(super) filter: &'a Filter,
    pub(super) question: &'a Question,
    pub(super) bounds: Bounds,
}

/// Which finds are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'a> {
    /// Those among the tenant's newest documents, down to this one (`None`: to the first of all).
    AmongNewest(Option<&'a str>),
    /// All, by the index of words.
    ByWords,
}

/// What a part of the documents holds.
struct Part {
    /// What was found in it: one more than a page shows, if there are so many.
    items: Vec<Record>,
    /// Its last document; `None` if there is nothing after it.
    end: Option<String>,
}

impl Part {
    fn is_full(&self, limit: usize) -> bool {
        self.items.len() > limit
    }

    /// The page, and after what the next one goes on.
    fn page(mut self, limit: usize) -> Page<Record> {
        let next = match self.is_full(limit) {
            true => self.items.get(limit - 1).map(|record| record.document.document_id.to_string()),
            false => self.end,
        };
        self.items.truncate(limit);
        Page { items: self.items, next }
    }
}

impl Search<'_> {
    /// The page of what is found.
    pub(super) async fn page(&self) -> Result<Page<Record>, StoreError> {
        match self.filter.status.is_some() || self.filter.document_type.is_some() {
            true => self.within().await,
            false => self.everywhere().await,
        }
    }

    async fn everywhere(&self) -> Result<Page<Record>, StoreError> {
        let limit = self.limit();
        let part = match self.are_frequent().await? {
            true => {
                let end = self.id(&self.end_of_newest(self.bounds.stretch)).await?;
                let way = Way::AmongNewest(end.as_deref());
                Part { items: self.records(&self.finds(way)).await?, end }
            }
            false => Part { items: self.records(&self.finds(Way::ByWords)).await?, end: None },
        };
        Ok(part.page(limit))
    }

    async fn within(&self) -> Result<Page<Record>, StoreError> {
        let limit = self.limit();
        let end = self.id(&self.end_of_walk()).await?;
        let items = self.records(&self.walk(end.as_deref())).await?;
        let walked = Part { items, end };
        if walked.is_full(limit) || walked.end.is_none() {
            return Ok(walked.page(limit));
        }
        // The cursor is in the order of lists: it does not lead to a place.
        let first = Search { filter: &Filter { after: None, ..self.filter.clone() }, ..*self };
        let finds = i64::from(self.bounds.finds);
        if !first.are_frequent().await? && self.count(&first.count_by_words()).await? <= finds {
            let items = self.records(&self.narrowed_finds()).await?;
            return Ok(Part { items, end: None }.page(limit));
        }
        Ok(walked.page(limit))
    }

    /// Whether each of the words is in many of the newest documents. Of few documents none counts as frequent.
    async fn are_frequent(&self) -> Result<bool, StoreError> {
        let Some(end) = self.id(&self.end_of_newest(self.bounds.newest)).await? else { return Ok(false) };
        for word in &self.question.words() {
            let counting = Search { question: word, ..*self }.count_among_newest(Some(&end));
            if self.count(&counting).await? < i64::from(self.bounds.frequent) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn limit(&self) -> usize {
        self.filter.limit.max(1) as usize
    }

    async fn records(&self, wording: &Wording) -> Result<Vec<Record>, StoreError> {
        wording.query().fetch_all(self.store.reading()).await?.iter().map(read).collect()
    }

    async fn id(&self, wording: &Wording) -> Result<Option<String>, StoreError> {
        let row = wording.query().fetch_optional(self.store.reading()).await?;
        Ok(row.map(|row| row.get("document_id")))
    }

    async fn count(&self, wording: &Wording) -> Result<i64, StoreError> {
        Ok(wording.query().fetch_one(self.store.reading()).await?.get("count"))
    }
}

/// The statements.
impl Search<'_> {
    fn engine(&self) -> Engine {
        self.store.engine()
    }

    /// The last of so many of the tenant's newest documents.
    pub(super) fn end_of_newest(&self, number: u32) -> Wording {
        let mut wording = Wording::default();
        let newest = self.newest_places(&mut wording, "document_id", "");
        wording.sql = format!("{newest} LIMIT 1 OFFSET {}", number.saturating_sub(1));
        wording
    }

    /// What is found, newest first; one more than a page shows.
    pub(super) fn finds(&self, way: Way<'_>) -> Wording {
        let mut wording = Wording::default();
        let places = self.places(&mut wording, way, self.limit() + 1);
        let tenant = wording.bind(self.tenant);
        wording.sql = format!(
            "SELECT d.record, {} AS failures FROM ({places}) h CROSS JOIN search_places p CROSS JOIN documents d
             WHERE p.place = h.place AND d.document_id = p.document_id AND d.tenant_id = {tenant}
             ORDER BY h.place DESC",
            failures("d")
        );
        wording
    }

    /// The last of so many documents of the state or type.
    pub(super) fn end_of_walk(&self) -> Wording {
        let mut wording = Wording::default();
        let conditions = self.narrowing(&mut wording);
        wording.sql = format!(
            "SELECT d.document_id FROM documents d WHERE {conditions}
             ORDER BY d.document_id DESC LIMIT 1 OFFSET {}",
            self.bounds.walked.saturating_sub(1)
        );
        wording
    }

    /// Documents of the state or type that hold the words, down to this one; one more than a page shows.
    pub(super) fn walk(&self, end: Option<&str>) -> Wording {
        let mut wording = Wording::default();
        let mut conditions = self.narrowing(&mut wording);
        if let Some(end) = end {
            conditions += &format!(" AND d.document_id >= {}", wording.bind(end));
        }
        let (joined, held) = match self.engine() {
            Engine::Sqlite => {
                let held = self.question.held(&mut |text| wording.bind(text));
                let places = "p.document_id = d.document_id AND s.rowid = p.place";
                (
                    "CROSS JOIN search_places p CROSS JOIN search_words s".to_owned(),
                    format!(" AND {places} AND {held}"),
                )
            }
            // The fence keeps the planner from beginning at the words after all.
            Engine::Postgres => {
                let matching = self.matching(&mut wording);
                let held = format!(
                    "SELECT 1 FROM search_places p JOIN search_words s ON s.place = p.place
                     WHERE p.document_id = d.document_id AND {matching} OFFSET 0"
                );
                (format!("CROSS JOIN LATERAL ({held}) s"), String::new())
            }
        };
        wording.sql = format!(
            "SELECT d.record, {} AS failures FROM documents d {joined} WHERE {conditions}{held}
             ORDER BY d.document_id DESC LIMIT {}",
            failures("d"),
            self.limit() + 1
        );
        wording
    }

    /// Counts the finds among the newest documents, up to what makes a word frequent.
    pub(super) fn count_among_newest(&self, end: Option<&str>) -> Wording {
        self.counting(Way::AmongNewest(end), self.bounds.frequent)
    }

    /// Counts all finds, up to one more than are held against a state or type.
    pub(super) fn count_by_words(&self) -> Wording {
        self.counting(Way::ByWords, self.bounds.finds + 1)
    }

    fn counting(&self, way: Way<'_>, up_to: u32) -> Wording {
        let mut wording = Wording::default();
        let places = self.places(&mut wording, way, up_to as usize);
        wording.sql = format!("SELECT COUNT(*) AS count FROM ({places}) counted");
        wording
    }

    /// Which of all finds are of the state or type, in the order of lists; one more than a page shows.
    pub(super) fn narrowed_finds(&self) -> Wording {
        let mut wording = Wording::default();
        let first = Search { filter: &Filter { after: None, ..self.filter.clone() }, ..*self };
        let places = first.places(&mut wording, Way::ByWords, self.bounds.finds as usize);
        let conditions = self.narrowing(&mut wording);
        wording.sql = format!(
            "SELECT d.record, {} AS failures FROM ({places}) h CROSS JOIN search_places p CROSS JOIN documents d
             WHERE p.place = h.place AND d.document_id = p.document_id AND {conditions}
             ORDER BY d.document_id DESC LIMIT {}",
            failures("d"),
            self.limit() + 1
        );
        wording
    }

    /// The documents of the state or type that come after a cursor, as conditions of `d`.
    fn narrowing(&self, wording: &mut Wording) -> String {
        let tenant = wording.bind(self.tenant);
        let narrowing = wording.narrowing(self.filter);
        let after = self.filter.after.map(|after| format!(" AND d.document_id < {}", wording.bind(after)));
        format!("d.tenant_id = {tenant}{narrowing}{}", after.unwrap_or_default())
    }

    /// The condition that a row of `search_words s` is found.
    fn matching(&self, wording: &mut Wording) -> String {
        let asked = wording.bind(self.question.expression(self.engine(), self.tenant));
        search::matching(self.engine(), &asked)
    }

    /// The condition that a place comes after the cursor.
    fn after(&self, wording: &mut Wording, place: &str) -> String {
        let after = self.filter.after.map(|after| search::place_of(&wording.bind(after)));
        after.map_or(String::new(), |after| format!(" AND {place} < {after}"))
    }

    /// The condition that a place is not behind the last document of a stretch.
    fn from(wording: &mut Wording, place: &str, end: Option<&str>) -> String {
        let end = end.map(|end| search::place_of(&wording.bind(end)));
        end.map_or(String::new(), |end| format!(" AND {place} >= {end}"))
    }

    /// The tenant's places after the cursor, newest first, that keep another condition.
    fn newest_places(&self, wording: &mut Wording, column: &str, and: &str) -> String {
        let tenant = wording.bind(self.tenant);
        let after = self.after(wording, "n.place");
        format!(
            "SELECT n.{column} FROM search_places n WHERE n.tenant_id = {tenant}{after}{and} ORDER BY n.place DESC"
        )
    }

    /// The places of finds after the cursor, newest first, at most so many.
    fn places(&self, wording: &mut Wording, way: Way<'_>, limit: usize) -> String {
        match (self.engine(), way) {
            // Of several words the index would be read to its end for one that comes with the others: the documents are
            // read instead.
            (Engine::Sqlite, Way::AmongNewest(end)) if self.question.words().len() > 1 => {
                let tenant = wording.bind(self.tenant);
                let (after, from) = (self.after(wording, "p.place"), Self::from(wording, "p.place", end));
                let held = self.question.held(&mut |text| wording.bind(text));
                format!(
                    "SELECT p.place FROM search_places p CROSS JOIN search_words s
                     WHERE p.tenant_id = {tenant}{after}{from} AND s.rowid = p.place AND {held}
                     ORDER BY p.place DESC LIMIT {limit}"
                )
            }
            (Engine::Sqlite, way) => {
                let matching = self.matching(wording);
                let after = self.after(wording, "s.rowid");
                let from = match way {
                    Way::AmongNewest(end) => Self::from(wording, "s.rowid", end),
                    Way::ByWords => String::new(),
                };
                format!(
                    "SELECT s.rowid AS place FROM search_words s WHERE {matching}{after}{from}
                     ORDER BY s.rowid DESC LIMIT {limit}"
                )
            }
            // The fences keep the planner on the way that was chosen.
            (Engine::Postgres, Way::AmongNewest(end)) => {
                // Down to the very document after which the next page begins: so many of the newest end before it where
                // others were received meanwhile.
                let from = Self::from(wording, "n.place", end);
                let newest = self.newest_places(wording, "place", &from);
                let matching = self.matching(wording);
                format!(
                    "SELECT n.place FROM ({newest} OFFSET 0) n CROSS JOIN LATERAL
                       (SELECT 1 FROM search_words s WHERE s.place = n.place AND {matching} OFFSET 0) s
                     ORDER BY n.place DESC LIMIT {limit}"
                )
            }
            (Engine::Postgres, Way::ByWords) => {
                let matching = self.matching(wording);
                let after = self.after(wording, "s.place");
                format!(
                    "SELECT s.place FROM (SELECT s.place FROM search_words s WHERE {matching}{after} OFFSET 0) s
                     ORDER BY s.place DESC LIMIT {limit}"
                )
            }
        }
    }
}
