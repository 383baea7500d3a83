//! Putting the sides of a stack of paper together: a file of fronts and a file of backs become leaves again. Pure.

/// How the pages of the inputs follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collation {
    /// One input after the other.
    #[default]
    AsGiven,
    /// The first input has the fronts, the second the backs.
    Leaves {
        /// Whether the backs come last page first, as they do when the stack is turned over.
        backs_reversed: bool,
    },
}

impl Collation {
    /// Whether the inputs with so many pages can be put together so. Sides of unequal number cannot: nobody knows
    /// where one is missing. They stay one after the other, for a person.
    pub fn fits(self, pages: &[u32]) -> bool {
        match self {
            Self::AsGiven => true,
            Self::Leaves { .. } => matches!(pages, [fronts, backs] if fronts == backs),
        }
    }

    /// Puts what stands for pages in order. `items` are those of the inputs with so many pages, one after the other.
    pub fn order<T>(self, mut items: Vec<T>, pages: &[u32]) -> Vec<T> {
        let Self::Leaves { backs_reversed } = self else { return items };
        let fronts = pages.first().map_or(0, |&fronts| fronts as usize);
        if !self.fits(pages) || items.len() != 2 * fronts {
            return items;
        }
        let mut backs = items.split_off(fronts);
        if backs_reversed {
            backs.reverse();
        }
        items.into_iter().zip(backs).flat_map(|(front, back)| [front, back]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backs_of_a_stack_that_was_turned_over_come_in_the_opposite_order() {
        let check = |backs_reversed, pages: &[u32], items: &[u8], expected: &[u8]| {
            assert_eq!(Collation::Leaves { backs_reversed }.order(items.to_vec(), pages), expected);
        };
        check(true, &[3, 3], &[1, 3, 5, 6, 4, 2], &[1, 2, 3, 4, 5, 6]);
        check(false, &[3, 3], &[1, 3, 5, 2, 4, 6], &[1, 2, 3, 4, 5, 6]);
        check(true, &[3, 2], &[1, 3, 5, 4, 2], &[1, 3, 5, 4, 2]);
        check(true, &[3], &[1, 3, 5], &[1, 3, 5]);
    }
}
