//! Versions of agents and their order, as Semantic Versioning 2.0.0 has it: whether a program is older than
//! the one that runs.

use std::cmp::Ordering;

/// A version: three numbers, and what may come before it is final. What is said of the build does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    numbers: [u64; 3],
    before: Option<&'a str>,
}

impl<'a> Version<'a> {
    /// Reads one, such as `1.2.3` or `1.2.3-rc.1+build`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (core, before) = match text.split_once('-') {
            Some((core, before)) => (core, Some(before)),
            None => (text, None),
        };
        let mut parts = core.split('.').map(number);
        let numbers = [parts.next()??, parts.next()??, parts.next()??];
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let words = [before, build].into_iter().flatten();
        let good = words.flat_map(|text| text.split('.')).all(is_word);
        (parts.next().is_none() && good).then_some(Self { numbers, before })
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let before = match (self.before, other.before) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(two)) => order_of(one, two),
        };
        self.numbers.cmp(&other.numbers).then(before)
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn order_of(one: &str, two: &str) -> Ordering {
    let (mut one, mut two) = (one.split('.'), two.split('.'));
    loop {
        let order = match (one.next(), two.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(two)) => match (number(one), number(two)) {
                (Some(one), Some(two)) => one.cmp(&two),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => one.cmp(two),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_the_order_of_semantic_versioning() {
        let order = [
            "0.1.0",
            "0.9.9",
            "0.10.0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
        ];
        for pair in order.windows(2) {
            assert!(
                Version::parse(pair[0]) < Version::parse(pair[1]),
                "{pair:?}"
            );
        }
        let build = Version::parse("1.0.0+one").expect("a version");
        assert_eq!(
            build.cmp(&Version::parse("1.0.0+two").expect("one")),
            Ordering::Equal
        );
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "1.2.x",
            "1.2.3-",
            "1.2.3\n",
            "1.2.3-a b",
            "+1.2.3",
        ] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }
}
