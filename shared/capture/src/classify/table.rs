//! Rows of goods and services, and whether the total agrees with them.
//!
//! A table is known by its head: a row of words that name what stands below them, at least the amount and either the
//! description or the quantity. Rows below it are read until one that adds up, also on the pages that follow, which need
//! not repeat the head; a row without an amount goes on with the description of the one before. Numbers are understood so
//! that quantity times price gives the amount where they can be: `2.000` is two thousand in one country and two in another,
//! and the row itself tells which.

use std::collections::BTreeSet;

use platen_model::{LineItem, Rect};

use super::fields::{Habits, page_words};
use super::fuzzy;
use super::money;
use super::reading::Reading;

/// Most rows that are read.
const ITEMS_MAX: usize = 500;
/// Most words of a head for each column it names.
const WORDS_A_COLUMN: usize = 4;
/// Most letters of a description.
const DESCRIPTION_MAX: usize = 300;
/// Certainty of a row of which quantity and price do not give the amount, or are not there.
const UNPROVEN: f32 = 0.85;
/// A row further below the last one than so many heights of type is not part of the table.
const GAP_HEIGHTS: u32 = 8;
/// How much of a total may be tax, shipping and the like beside its rows.
const BESIDE_MAX: f64 = 0.35;

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Description,
    Quantity,
    Price,
    Amount,
}

const HEADS: [(Holds, &[&str]); 4] = [
    (
        Holds::Description,
        &[
            "description",
            "designation",
            "bezeichnung",
            "beschreibung",
            "artikel",
            "article",
            "item",
            "leistung",
            "descripcion",
            "concepto",
            "produkt",
            "product",
            "particulars",
            "details",
            "libelle",
            "detalle",
        ],
    ),
    (
        Holds::Quantity,
        &[
            "quantity", "qty", "menge", "anzahl", "quantite", "qte", "cantidad", "cant", "hours", "stunden",
            "heures", "horas",
        ],
    ),
    (Holds::Price, &["price", "rate", "einzelpreis", "preis", "unitaire", "unitario", "stuckpreis", "pu"]),
    (
        Holds::Amount,
        &["amount", "total", "betrag", "gesamtpreis", "gesamt", "montant", "importe", "summe", "sum"],
    ),
];
/// The first words of rows that add up.
const ADDS_UP: [&str; 31] = [
    "subtotal",
    "soustotal",
    "sous",
    "suma",
    "somme",
    "zwischentotal",
    "nettosumme",
    "gesamtsumme",
    "sub",
    "total",
    "totals",
    "zwischensumme",
    "summe",
    "gesamt",
    "gesamtbetrag",
    "nettobetrag",
    "net",
    "netto",
    "mwst",
    "ust",
    "vat",
    "tva",
    "iva",
    "tax",
    "balance",
    "base",
    "order",
    "bestellwert",
    "amount",
    "rechnungsbetrag",
    "zzgl",
];

/// The first words of rows that add up, where one word alone may begin the name of something sold.
const ADDS_UP_AS: [&[&str]; 6] = [
    &["montant", "ht"],
    &["montant", "hors"],
    &["montant", "net"],
    &["montant", "ttc"],
    &["montant", "total"],
    &["importe", "total"],
];
/// All words of rows that bring a sum from one page to the next: the table goes on.
const CARRIES: [&[&str]; 10] = [
    &["ubertrag"],
    &["zwischensumme", "ubertrag"],
    &["report"],
    &["a", "reporter"],
    &["carried", "forward"],
    &["carried", "over"],
    &["brought", "forward"],
    &["balance", "brought", "forward"],
    &["balance", "carried", "forward"],
    &["suma", "y", "sigue"],
];

/// How words begin that say that the amount of their row is taken off.
const TAKEN_OFF: [&str; 22] = [
    "discount",
    "rabatt",
    "skonto",
    "nachlass",
    "remise",
    "ristourne",
    "rabais",
    "descuento",
    "deposit",
    "anzahlung",
    "abschlag",
    "acompte",
    "anticipo",
    "prepaid",
    "prepayment",
    "voucher",
    "coupon",
    "gutschein",
    "gutschrift",
    "credit",
    "paid",
    "bezahlt",
];

/// Words that name a tax which is added to a sum.
const TAXES: [&str; 22] = [
    "mwst",
    "ust",
    "mehrwertsteuer",
    "umsatzsteuer",
    "vat",
    "tva",
    "iva",
    "igic",
    "tax",
    "taxes",
    "gst",
    "hst",
    "pst",
    "qst",
    "sst",
    "cgst",
    "sgst",
    "igst",
    "moms",
    "mva",
    "btw",
    "dph",
];

/// A column with its left and right edge in pixels.
#[derive(Clone, Copy, Debug)]
struct Column {
    holds: Holds,
    left: u32,
    right: u32,
}

/// Words of one row, from left to right.
#[derive(Debug)]
struct Row {
    words: Vec<usize>,
    middle: u32,
    height: u32,
}

/// Reads the rows of all tables with a head that says what they hold.
pub(super) fn line_items(reading: &Reading<'_>, habits: &Habits) -> Vec<LineItem> {
    let mut items = Vec::new();
    let pages = reading.words.last().map_or(0, |last| last.page + 1);
    // The columns of a table that no row has ended yet: it may go on where another page begins.
    let mut open: Vec<Column> = Vec::new();
    for page in 0..pages {
        read_page(reading, page, &mut open, habits, &mut items);
        if items.len() >= ITEMS_MAX {
            items.truncate(ITEMS_MAX);
            return items;
        }
    }
    items
}

fn read_page(
    reading: &Reading<'_>,
    page: usize,
    open: &mut Vec<Column>,
    habits: &Habits,
    items: &mut Vec<LineItem>,
) {
    let mut columns = open.clone();
    // Where the table was last seen on this page: a letterhead may stand above one that goes on.
    let mut last_middle: Option<u32> = None;
    for row in &rows(reading, page) {
        let is_far =
            last_middle.is_some_and(|last| row.middle.saturating_sub(last) > row.height * GAP_HEIGHTS);
        if let Some(found) = head(reading, row) {
            (columns, *open) = (found.clone(), found);
            last_middle = Some(row.middle);
        } else if adds_up(reading, row) {
            columns.clear();
            open.clear();
        } else if is_far {
            // What stands far below is no part of it; on the next page it may go on all the same.
            columns.clear();
        } else if !columns.is_empty() {
            let goes_on = last_middle.is_some() || carries(reading, row);
            let item = item(reading, row, &columns, habits).filter(|_| !carries(reading, row));
            // A letterhead above a table that goes on may hold numbers too.
            let is_named = item.as_ref().is_some_and(|item| item.description.contains(char::is_alphabetic));
            match item {
                Some(item) if goes_on || is_named => items.push(item),
                None if goes_on && !carries(reading, row) => {
                    if let Some(last) = items.last_mut() {
                        go_on(last, reading, row, page);
                    }
                }
                _ => {}
            }
            last_middle = (goes_on || is_named).then_some(row.middle);
        }
    }
}

/// The words of a page in rows, from top to bottom.
fn rows(reading: &Reading<'_>, page: usize) -> Vec<Row> {
    let rect = |word: usize| reading.words[word].word.rect;
    let middle = |word: usize| rect(word).y + rect(word).h / 2;
    let mut words: Vec<usize> = page_words(reading, page).collect();
    words.sort_by_key(|word| middle(*word));
    let mut rows: Vec<Row> = Vec::new();
    for word in words {
        match rows.last_mut() {
            Some(row) if middle(word).saturating_sub(row.middle) * 5 <= row.height.max(rect(word).h) * 3 => {
                row.words.push(word);
                row.height = row.height.max(rect(word).h);
            }
            _ => rows.push(Row { words: vec![word], middle: middle(word), height: rect(word).h.max(1) }),
        }
    }
    for row in &mut rows {
        row.words.sort_by_key(|word| rect(*word).x);
    }
    rows
}

fn folded(reading: &Reading<'_>, word: usize) -> String {
    fuzzy::words(&reading.words[word].word.text).collect()
}

/// The columns that a row names, from left to right.
fn head(reading: &Reading<'_>, row: &Row) -> Option<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for (place, &word) in row.words.iter().enumerate() {
        let text = folded(reading, word);
        let Some(holds) =
            HEADS.iter().find(|(_, heads)| heads.contains(&text.as_str())).map(|(holds, _)| *holds)
        else {
            continue;
        };
        let rect = reading.words[word].word.rect;
        // The name of a column may begin a word earlier: "unit price", "prix unitaire".
        let before = place.checked_sub(1).map(|before| reading.words[row.words[before]].word.rect);
        let near = before.filter(|before| rect.x.saturating_sub(before.x + before.w) < rect.h);
        let left = near.map_or(rect.x, |before| before.x);
        let right = rect.x + rect.w;
        match columns.iter_mut().find(|column| column.holds == holds) {
            // "Line total" after "total": the last one is the amount.
            Some(column) if holds == Holds::Amount => (column.left, column.right) = (left, right),
            Some(_) => {}
            None => columns.push(Column { holds, left, right }),
        }
    }
    let has = |holds| columns.iter().any(|column| column.holds == holds);
    // A sentence may name two of them; the head of a table says little else.
    let names_columns = columns.len() >= 2 && row.words.len() <= columns.len() * WORDS_A_COLUMN;
    let is_head = has(Holds::Amount) && (has(Holds::Description) || has(Holds::Quantity)) && names_columns;
    let no_amounts = amounts(reading, &row.words).is_empty();
    columns.sort_by_key(|column| column.left);
    (is_head && no_amounts).then_some(columns)
}

fn adds_up(reading: &Reading<'_>, row: &Row) -> bool {
    let read: Vec<String> = row.words.iter().take(2).map(|word| folded(reading, *word)).collect();
    let read: Vec<&str> = read.iter().map(String::as_str).collect();
    let is_named =
        read.first().is_some_and(|first| ADDS_UP.contains(first)) || ADDS_UP_AS.contains(&read.as_slice());
    is_named && !carries(reading, row) && !amounts(reading, &row.words).is_empty()
}

/// Whether a row only brings a sum from one page to the next.
fn carries(reading: &Reading<'_>, row: &Row) -> bool {
    let text = text_of(reading, &row.words);
    let read: Vec<String> =
        fuzzy::words(&text).filter(|word| !word.contains(|c: char| c.is_numeric())).collect();
    let read: Vec<&str> =
        read.iter().map(String::as_str).filter(|word| !money::is_currency(&word.to_uppercase())).collect();
    CARRIES.contains(&read.as_slice())
}

/// The row as an item; `None` where it has no amount.
fn item(reading: &Reading<'_>, row: &Row, columns: &[Column], habits: &Habits) -> Option<LineItem> {
    let mut cells: [Vec<usize>; 4] = Default::default();
    for &word in &row.words {
        cells[holds(reading, word, columns) as usize].push(word);
    }
    let text = |holds: Holds| text_of(reading, &cells[holds as usize]);
    let amount = amounts(reading, &cells[Holds::Amount as usize]).pop()?;
    let price = amounts(reading, &cells[Holds::Price as usize]).pop();
    let quantity_text = text(Holds::Quantity);
    let proven = price.as_ref().and_then(|price| {
        readings(&quantity_text).into_iter().find(|quantity| gives(*quantity, price.cents, amount.cents))
    });
    let quantity = match proven {
        Some(quantity) => Some(plain(quantity)),
        None => Some(quantity_text).filter(|text| text.chars().any(|c| c.is_ascii_digit())),
    };
    let read = row.words.iter().map(|word| reading.words[*word].word.confidence).fold(1.0f32, f32::min);
    let description: String = text(Holds::Description).chars().take(DESCRIPTION_MAX).collect();
    Some(LineItem {
        description,
        quantity,
        unit_price: price.map(|price| price.normal(habits.currency())),
        amount: amount.normal(habits.currency()),
        confidence: read * if proven.is_some() { 1.0 } else { UNPROVEN },
        page: reading.words[row.words[0]].page as u32,
        rect: reading.rect_of(row.words.iter().copied()),
    })
}

/// The column a word stands in: words in the description, numbers where their right edge or middle is nearest.
fn holds(reading: &Reading<'_>, word: usize, columns: &[Column]) -> Holds {
    let read = reading.words[word].word;
    let digits = read.text.chars().filter(char::is_ascii_digit).count();
    let is_number = digits > 0 && digits * 2 >= read.text.chars().filter(|c| c.is_alphanumeric()).count();
    let is_currency = money::is_currency(&read.text);
    let Rect { x, w, .. } = read.rect;
    let (middle, right) = (x + w / 2, x + w);
    let distance = |column: &Column| {
        let from_middle = match middle {
            left if left < column.left => column.left - left,
            beyond => beyond.saturating_sub(column.right),
        };
        from_middle.min(right.abs_diff(column.right))
    };
    let numbers = columns.iter().filter(|column| column.holds != Holds::Description);
    let nearest = numbers.min_by_key(|column| distance(column));
    match nearest {
        Some(column) if is_currency && middle >= column.left.saturating_sub(read.rect.h * 3) => column.holds,
        Some(column) if is_number => {
            let description = columns.iter().find(|column| column.holds == Holds::Description);
            // A number within a description is nearer to its words than to the next column.
            let inside = description.is_some_and(|description| {
                middle >= description.left && right + read.rect.h < column.left && distance(column) > w
            });
            if inside { Holds::Description } else { column.holds }
        }
        _ => Holds::Description,
    }
}

/// A row that only goes on with the description above it.
fn go_on(item: &mut LineItem, reading: &Reading<'_>, row: &Row, page: usize) {
    let text = text_of(reading, &row.words);
    let room = DESCRIPTION_MAX.saturating_sub(item.description.chars().count());
    let near = row.middle.saturating_sub(item.rect.y + item.rect.h) <= row.height * 2;
    if item.page as usize == page
        && near
        && text.chars().count() < room
        && text.chars().any(char::is_alphabetic)
    {
        item.description = format!("{} {text}", item.description).trim().to_owned();
        item.rect.h = row.middle + row.height / 2 - item.rect.y;
    }
}

/// The numbers that a text may mean, the likelier first.
fn readings(text: &str) -> Vec<f64> {
    let number: String = text.chars().filter(|c| c.is_ascii_digit() || ",.".contains(*c)).collect();
    let thousands: String = number.chars().filter(char::is_ascii_digit).collect();
    let decimal = number.rfind([',', '.']).map(|at| {
        let whole: String = number[..at].chars().filter(char::is_ascii_digit).collect();
        format!("{whole}.{}", &number[at + 1..])
    });
    decimal.into_iter().chain([thousands]).filter_map(|text| text.parse().ok()).collect()
}

/// Whether a quantity at a price in cents gives an amount, to the cent or to what rounding a price of few cents costs.
fn gives(quantity: f64, price: i64, amount: i64) -> bool {
    let exact = quantity * price as f64;
    (exact - amount as f64).abs() <= 1.0_f64.max(quantity * 0.5)
        && (exact - amount as f64).abs() <= amount.unsigned_abs() as f64 * 0.1 + 1.0
}

fn plain(quantity: f64) -> String {
    format!("{quantity}")
}

fn text_of(reading: &Reading<'_>, words: &[usize]) -> String {
    words.iter().map(|word| reading.words[*word].word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// The amounts among some words; none goes across a wide gap.
fn amounts(reading: &Reading<'_>, words: &[usize]) -> Vec<money::Found> {
    money::find_all(&reading.spaced_text(words.iter().copied()))
}

/// What the rows say of a total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// They add up to it, or to it with an amount that the document names as tax, shipping or the like.
    Agrees,
    /// They do, and with a tax that the document names to a larger amount that stands on it too: it may be a sum before tax.
    BeforeTax,
    /// They do not.
    Differs {
        /// What they add up to, in hundredths.
        sum: i64,
    },
}

/// Holds a total against the rows; `None` where either cannot be read, or rows may stand on pages that are not.
pub(super) fn agreement(reading: &Reading<'_>, items: &[LineItem], total: &str) -> Option<Agreement> {
    let cents = |text: &str| money::cents_of(text);
    let total = cents(total).filter(|_| reading.is_whole())?;
    let of_rows: Vec<i64> = items.iter().map(|item| cents(&item.amount)).collect::<Option<_>>()?;
    if of_rows.is_empty() {
        return None;
    }
    let sum: i64 = of_rows.iter().sum();
    // What is paid back is held against its rows as what is paid is.
    let (paid, of_paid) = if total < 0 && sum < 0 { (-total, -sum) } else { (total, sum) };
    if paid == of_paid && has_sum_with_tax(reading, paid) {
        return Some(Agreement::BeforeTax);
    }
    if is_explained(reading, paid, of_paid) {
        return Some(Agreement::Agrees);
    }
    // Only rows that prove themselves may contradict: a row of something else looks like one now and then.
    items.iter().all(is_proven).then_some(Agreement::Differs { sum })
}

/// Whether a larger amount than this one stands on the document, and the tax that makes it of this one.
fn has_sum_with_tax(reading: &Reading<'_>, sum: i64) -> bool {
    let (mut taxes, mut all): (BTreeSet<i64>, BTreeSet<i64>) = Default::default();
    for row in all_rows(reading) {
        let found: Vec<i64> =
            amounts(reading, &row.words).into_iter().map(|found| found.cents.abs()).collect();
        if row.words.iter().any(|word| TAXES.contains(&folded(reading, *word).as_str())) {
            taxes.extend(found.iter().copied().filter(|tax| (1..=most_beside(sum)).contains(tax)));
        }
        all.extend(found);
    }
    taxes.iter().any(|tax| all.contains(&(sum + tax)))
}

/// How much may stand beside rows of this sum, in hundredths.
fn most_beside(sum: i64) -> i64 {
    (sum as f64 * BESIDE_MAX) as i64
}

/// The rows of all pages.
fn all_rows(reading: &Reading<'_>) -> impl Iterator<Item = Row> {
    let pages: BTreeSet<usize> = reading.words.iter().map(|read| read.page).collect();
    pages.into_iter().flat_map(move |page| rows(reading, page))
}

/// Whether amounts printed on the document make the total of its rows: tax and the like added, discounts and what was paid
/// before taken off.
fn is_explained(reading: &Reading<'_>, total: i64, sum: i64) -> bool {
    let beside = total - sum;
    if beside == 0 {
        return true;
    }
    let (mut added, mut taken) = (BTreeSet::from([0]), BTreeSet::from([0]));
    for row in all_rows(reading) {
        let found = amounts(reading, &row.words).into_iter().map(|found| found.cents.abs());
        let takes = row.words.iter().any(|word| {
            let folded = folded(reading, *word);
            TAKEN_OFF.iter().any(|known| folded.starts_with(known))
        });
        if takes { taken.extend(found) } else { added.extend(found) }
    }
    added.retain(|amount| *amount <= most_beside(total.abs()));
    taken.iter().any(|one| {
        // Twice at most: a discount and a deposit.
        taken.iter().any(|other| {
            let off = if one == other { *one } else { one + other };
            added.contains(&(beside + off))
        })
    })
}

/// Whether quantity and price give the amount.
fn is_proven(item: &LineItem) -> bool {
    let quantity = item.quantity.as_ref().and_then(|quantity| quantity.parse::<f64>().ok());
    let price = item.unit_price.as_deref().and_then(money::cents_of);
    quantity
        .zip(price)
        .zip(money::cents_of(&item.amount))
        .is_some_and(|((quantity, price), amount)| gives(quantity, price, amount))
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::super::tests::{columns_text, page_text};
    use super::*;

    fn items(text: &platen_model::PageText) -> Vec<(String, Option<String>, Option<String>, String)> {
        let reading = Reading::new(text);
        let rows = line_items(&reading, &Habits::of(&reading, &Origin::default()));
        rows.into_iter().map(|item| (item.description, item.quantity, item.unit_price, item.amount)).collect()
    }

    fn row(
        description: &str,
        quantity: &str,
        price: &str,
        amount: &str,
    ) -> (String, Option<String>, Option<String>, String) {
        (description.into(), Some(quantity.into()), Some(price.into()), amount.into())
    }

    const ENGLISH: &str = "\
INVOICE

Description              Quantity   Unit price     Amount
Menu cards, folded          2,000         0.31     620.00
on 300 g paper
Terracotta pot 30 cm           12         4.50      54.00
Delivery                        1        25.00      25.00
Subtotal                                           699.00
VAT 20%                                            139.80
Total due                                      GBP 838.80
";

    #[test]
    fn rows_are_read_with_what_their_columns_hold() {
        assert_eq!(
            items(&columns_text(ENGLISH)),
            [
                row("Menu cards, folded on 300 g paper", "2000", "0.31 GBP", "620.00 GBP"),
                row("Terracotta pot 30 cm", "12", "4.50 GBP", "54.00 GBP"),
                row("Delivery", "1", "25.00 GBP", "25.00 GBP"),
            ]
        );
    }

    #[test]
    fn a_row_itself_tells_what_its_quantity_means() {
        let text = "\
RECHNUNG

Bezeichnung              Menge    Einzelpreis      Betrag
Sechskantschrauben       4.000           0,06      240,00
Kupferdraht in kg        2,500          12,00       30,00
Gesamtbetrag                                   270,00 EUR
";
        assert_eq!(
            items(&columns_text(text)),
            [
                row("Sechskantschrauben", "4000", "0.06 EUR", "240.00 EUR"),
                row("Kupferdraht in kg", "2.5", "12.00 EUR", "30.00 EUR"),
            ]
        );
    }

    #[test]
    fn a_total_is_held_against_its_rows() {
        let check = |total: &str, expected: Option<Agreement>| {
            let text = columns_text(ENGLISH);
            let reading = Reading::new(&text);
            let rows = line_items(&reading, &Habits::of(&reading, &Origin::default()));
            assert_eq!(agreement(&reading, &rows, total), expected, "{total}");
        };
        check("699.00 GBP", Some(Agreement::BeforeTax));
        check("838.80 GBP", Some(Agreement::Agrees));
        check("888.80 GBP", Some(Agreement::Differs { sum: 69_900 }));
        check("nothing", None);
    }

    #[test]
    fn what_is_paid_back_is_held_against_its_rows_by_its_size() {
        let text = columns_text(
            "\
CREDIT NOTE

Description              Quantity   Unit price     Amount
Terracotta pot                 -1        50.00     -50.00
Delivery                       -1        50.00     -50.00
VAT 20%                                            -20.00
Total                                         GBP -120.00
",
        );
        let reading = Reading::new(&text);
        let rows = line_items(&reading, &Habits::of(&reading, &Origin::default()));
        let check = |total: &str, expected: Agreement| {
            assert_eq!(agreement(&reading, &rows, total), Some(expected), "{total}");
        };
        check("-120.00 GBP", Agreement::Agrees);
        check("-100.00 GBP", Agreement::BeforeTax);
        check("-130.00 GBP", Agreement::Differs { sum: -10_000 });
    }

    #[test]
    fn a_printed_discount_or_deposit_explains_a_total_that_differs_from_its_rows() {
        let check = |between: &str, total: &str, agrees: bool| {
            let text = columns_text(
                &ENGLISH.replace("VAT 20%                                            139.80\n", between),
            );
            let reading = Reading::new(&text);
            let rows = line_items(&reading, &Habits::of(&reading, &Origin::default()));
            let expected = if agrees { Agreement::Agrees } else { Agreement::Differs { sum: 69_900 } };
            assert_eq!(agreement(&reading, &rows, total), Some(expected), "{between} {total}");
        };
        let discount = "Discount 10%                                       -69.90\n";
        check(discount, "629.10 GBP", true);
        check(discount, "768.90 GBP", false);
        let deposit = "VAT 20%                                            139.80\nDeposit paid                                       300.00\n";
        check(deposit, "538.80 GBP", true);
        check(deposit, "399.00 GBP", true);
        check(deposit, "598.80 GBP", false);
        check("Reference                                          100.00\n", "599.00 GBP", false);
        let both = "Rabatt                                              69.90\nAnzahlung                                          100.00\n";
        check(both, "529.10 GBP", true);
    }

    #[test]
    fn a_count_before_an_amount_is_no_thousands_of_it() {
        let text = "\
INVOICE

Description              Quantity   Unit price     Amount
Terracotta pot                 12         4.50      54.00
Total                           4                  120.00
";
        let text = columns_text(text);
        let reading = Reading::new(&text);
        let rows = rows(&reading, 0);
        let last: Vec<i64> = amounts(&reading, &rows.last().expect("there are rows").words)
            .iter()
            .map(|found| found.cents)
            .collect();
        assert_eq!(last, [12_000]);
    }

    /// Pages of one document.
    fn pages(texts: &[&str]) -> platen_model::PageText {
        platen_model::PageText::new(texts.iter().flat_map(|text| columns_text(text).pages).collect())
    }

    const FIRST: &str = "\
INVOICE

Description              Quantity   Unit price     Amount
Menu cards, folded          2,000         0.31     620.00
Carried forward                                    620.00
";
    const SECOND: &str = "\
Harlow Print Ltd
page 2
Brought forward                                    620.00
Terracotta pot 30 cm           12         4.50      54.00
Delivery                        1        25.00      25.00
Total due                                      GBP 699.00
Bank charges may apply         30         1.00      30.00
";

    #[test]
    fn a_table_goes_on_over_the_page_until_a_row_adds_up() {
        let read = items(&pages(&[FIRST, SECOND]));
        let names: Vec<&str> = read.iter().map(|(description, ..)| description.as_str()).collect();
        assert_eq!(names, ["Menu cards, folded", "Terracotta pot 30 cm", "Delivery"]);
        // A foot far below ends the table on its page only.
        let foot = format!("{FIRST}{}Harlow Print Ltd, account 12 34 56, GBP\n", "\n".repeat(20));
        assert_eq!(items(&pages(&[&foot, SECOND])).len(), 3);
        let ended = FIRST.replace("Carried forward", "Total due      ");
        assert_eq!(items(&pages(&[&ended, SECOND])).len(), 1, "a table that has ended does not go on");
    }

    #[test]
    fn rows_that_add_up_are_known_in_the_languages_of_invoices() {
        let check = |last: &str, ends: bool| {
            let text = columns_text(&format!("{FIRST}{last:<51}620.00\n"));
            assert_eq!(items(&text).len(), if ends { 1 } else { 2 }, "{last}");
        };
        for last in
            ["Sous-total", "Sous total", "Montant HT", "Suma", "Übertrag", "Report", "Brought forward"]
        {
            check(last, true);
        }
        check("Report on the soil", false);
        check("Montant d'installation", false);
    }

    #[test]
    fn rows_of_pages_that_are_not_read_contradict_no_total() {
        let check = |between: usize, expected: Option<Agreement>| {
            let mut texts = vec![FIRST];
            texts.extend(vec!["Terms"; between]);
            texts.push(SECOND);
            let text = pages(&texts);
            let reading = Reading::new(&text);
            let rows = line_items(&reading, &Habits::of(&reading, &Origin::default()));
            assert_eq!(agreement(&reading, &rows, "888.00 GBP"), expected, "{between}");
        };
        check(8, Some(Agreement::Differs { sum: 69_900 }));
        check(9, None);
    }

    #[test]
    fn prose_is_no_table() {
        assert!(
            items(&page_text(
                "The total amount of each item that we sent you is due on 5 May.\nIt was 12.00 EUR.\n"
            ))
            .is_empty()
        );
    }
}
