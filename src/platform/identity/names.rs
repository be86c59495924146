//! Names that people give: of users, of groups and of labels. Each is checked once, here, and is within
//! its bounds from then on. Hosts' names are in `crate::ids`, as agents know them too.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The most bytes of a user's name: long enough for the e-mail addresses that people have.
const USER_NAME_BYTES_MAX: usize = 128;
/// The most bytes of a group's name and of a label's key, as of a host's name.
const NAME_BYTES_MAX: usize = 63;
/// The most bytes of a label's value.
const LABEL_VALUE_BYTES_MAX: usize = 128;
/// What the audit log calls what no user did.
const RESERVED: &[&str] = &["platform", "host"];

/// The text is no such name; says what one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(pub &'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Its text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// A user's name: a login name or an e-mail address, in lower case, whatever case it was typed in.
    /// No UUID, as users are named by id as well, and none of the words by which the audit log names who
    /// is no user.
    UserName
}
name! {
    /// A group's name: as a host's is, letters, digits, hyphens, underscores and dots, and no UUID.
    GroupName
}
name! {
    /// A label's key: as a group's name, and with slashes, as in `site/rack`.
    LabelKey
}
name! {
    /// A label's value: any text of one line, also none.
    LabelValue
}

impl UserName {
    /// The built-in administrator's.
    pub fn administrator() -> Self {
        Self("admin".to_owned())
    }

    /// A name out of any text, for whom another system vouches: what no name has is left out.
    pub fn of_text(text: &str) -> Self {
        let name: String = text
            .trim()
            .chars()
            .filter_map(|char| match char {
                ' ' => Some('.'),
                char => Some(char.to_ascii_lowercase()).filter(|char| is_user_name_char(*char)),
            })
            .skip_while(|char| !char.is_ascii_alphanumeric())
            .take(USER_NAME_BYTES_MAX)
            .collect();
        name.parse().unwrap_or_else(|_| Self("user".to_owned()))
    }

    /// The same name with a number, where the name itself belongs to another.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let end = format!("-{number}");
        let kept = self.0.len().min(USER_NAME_BYTES_MAX - end.len());
        Self(format!("{}{end}", &self.0[..kept]))
    }
}

impl FromStr for UserName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.to_ascii_lowercase();
        let valid = !name.is_empty()
            && name.len() <= USER_NAME_BYTES_MAX
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(is_user_name_char)
            && name.parse::<Uuid>().is_err()
            && !RESERVED.contains(&name.as_str());
        valid.then_some(Self(name)).ok_or(NameError(
            "a user's name is 1 to 128 letters, digits or characters of -_.+@, a letter or digit first, no UUID, and neither platform nor host",
        ))
    }
}

fn is_user_name_char(char: char) -> bool {
    matches!(char, 'a'..='z' | '0'..='9' | '-' | '_' | '.' | '+' | '@')
}

impl FromStr for GroupName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = is_plain(text, b"-_.") && text.parse::<Uuid>().is_err();
        valid.then(|| Self(text.to_owned())).ok_or(NameError(
            "a group's name is 1 to 63 letters, digits, hyphens, underscores or dots, a letter or digit first, and no UUID",
        ))
    }
}

impl FromStr for LabelKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = is_plain(text, b"-_./");
        valid.then(|| Self(text.to_owned())).ok_or(NameError(
            "a label's key is 1 to 63 letters, digits, hyphens, underscores, dots or slashes, a letter or digit first",
        ))
    }
}

impl FromStr for LabelValue {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = text.len() <= LABEL_VALUE_BYTES_MAX
            && text.trim() == text
            && !text.chars().any(char::is_control);
        valid.then(|| Self(text.to_owned())).ok_or(NameError(
            "a label's value is at most 128 bytes of text in one line, without space at its ends",
        ))
    }
}

fn is_plain(text: &str, others: &[u8]) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5b1f6a52-6d0e-4a6e-9d58-0f4f6f1f7c11";

    #[test]
    fn a_users_name_is_in_lower_case_and_no_other_thing() {
        for (text, name) in [
            ("Alice", "alice"),
            ("a.b+c@Example.org", "a.b+c@example.org"),
            ("0", "0"),
        ] {
            assert_eq!(text.parse::<UserName>().expect(text).as_str(), name);
        }
        let long = "x".repeat(129);
        for text in [
            "", "-a", "a b", "host:x", "a\n", "\u{e4}", "Platform", "host", ID, &long,
        ] {
            assert!(text.parse::<UserName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn any_text_gives_a_name() {
        let long = "x".repeat(300);
        for (text, name) in [
            ("Alice Liddell", "alice.liddell"),
            ("  @Bob@X ", "bob@x"),
            ("\u{4e2d}\u{6587}", "user"),
            ("platform", "user"),
            (ID, "user"),
            ("", "user"),
            (&long, &"x".repeat(128)),
        ] {
            let made = UserName::of_text(text);
            assert_eq!(made.as_str(), name);
            for number in [2, u32::MAX] {
                let numbered = made.numbered(number);
                assert_eq!(numbered.as_str().parse(), Ok(numbered.clone()));
            }
        }
    }

    #[test]
    fn groups_and_labels() {
        assert!("Rack_7.lab".parse::<GroupName>().is_ok());
        for text in ["", "a/b", "a b", ".a", ID, &"x".repeat(64)] {
            assert!(text.parse::<GroupName>().is_err(), "{text:?}");
        }
        assert!("site/rack".parse::<LabelKey>().is_ok());
        for text in ["", "/a", "a=b", "a,b", "\u{e4}", &"x".repeat(64)] {
            assert!(text.parse::<LabelKey>().is_err(), "{text:?}");
        }
        for text in ["", "Z\u{fc}rich 2", &"x".repeat(128)] {
            assert!(text.parse::<LabelValue>().is_ok(), "{text:?}");
        }
        for text in [" a", "a\n", "a\0b", &"x".repeat(129)] {
            assert!(text.parse::<LabelValue>().is_err(), "{text:?}");
        }
    }
}
