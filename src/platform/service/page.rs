//! Pages of a list: as many as were asked for, and a token for those after. A token names the last that was
//! answered, in the order of the list, so that what comes and goes between two pages moves nothing.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::{ErrorKind, ServiceError};
use crate::clock::UnixMillis;

/// How many are answered where nobody says.
const SIZE_DEFAULT: usize = 100;

/// What page is asked for.
pub struct Page {
    size: usize,
    after: Option<String>,
}

impl Page {
    /// Reads a request's `page_size` and `page_token`.
    ///
    /// # Errors
    /// `page_token_invalid`.
    pub fn of(size: u32, token: &str) -> Result<Self, ServiceError> {
        let after = if token.is_empty() {
            None
        } else {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
            let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            Some(text.ok_or_else(token_invalid)?)
        };
        let size = if size == 0 {
            SIZE_DEFAULT
        } else {
            size as usize
        };
        Ok(Self { size, after })
    }

    /// Most that the page may hold.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The place in the list's order that the page begins after.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The same in an order by an instant and an id, written with a blank between.
    ///
    /// # Errors
    /// `page_token_invalid`.
    pub fn moment<Id: FromStr>(&self) -> Result<Option<(UnixMillis, Id)>, ServiceError> {
        let read = |place: &str| {
            let (at, id) = place.split_once(' ')?;
            Some((UnixMillis(at.parse().ok()?), id.parse().ok()?))
        };
        self.after()
            .map(|place| read(place).ok_or_else(token_invalid))
            .transpose()
    }

    /// As many as the page may hold, of those after its beginning, and the token for the next.
    pub fn take<T>(
        &self,
        mut found: impl Iterator<Item = T>,
        place: impl Fn(&T) -> String,
    ) -> (Vec<T>, String) {
        let taken: Vec<T> = found.by_ref().take(self.size).collect();
        let token = match (taken.last(), found.next()) {
            (Some(last), Some(_)) => token(&place(last)),
            _ => String::new(),
        };
        (taken, token)
    }
}

/// The token of a page that begins after this place in the list's order.
pub fn token(place: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(place)
}

/// The refusal of a page token that was not given out.
pub fn token_invalid() -> ServiceError {
    let detail = "a page token is the next_page_token of an earlier answer, as it came";
    let mut error = ServiceError::new(ErrorKind::Invalid, "page_token_invalid", detail);
    error.field = Some("page_token".to_owned());
    error
}
