//! A caller of the API that follows events, through whichever door: it sees what its grants allow at each
//! moment, and no longer than its credential lasts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::shown::{asked, shown};
use super::{Ending, Follower, News, Viewer};
use crate::clock::UnixMillis;
use crate::ids::{GroupId, HostId};
use crate::platform::Platform;
use crate::platform::identity::{Caller, Grants};
use crate::platform::service::{ErrorKind, ServiceError};
use crate::wire::api::{WatchEventsRequest, WatchEventsResponse};

/// How often it is looked whether the credential still stands. So long may one go on whose access was
/// withdrawn, and then only with marks: what it may see is asked with each event.
pub(in crate::platform) const CREDENTIAL_LOOKED_AT: Duration = Duration::from_secs(1);

/// A caller that follows.
pub struct Watch {
    follower: Follower,
    view: View,
    looks: Interval,
}

/// What is next for a caller.
pub enum Next {
    /// It is told this.
    News(News),
    /// It has no credential any more.
    CredentialEnded,
}

impl Watch {
    /// Begins for a caller.
    ///
    /// # Errors
    /// `position_invalid`, `kind_unknown`, `followers_exhausted`.
    pub fn begin(
        platform: &Arc<Platform>,
        caller: Caller,
        request: &WatchEventsRequest,
    ) -> Result<Self, ServiceError> {
        let (filter, position) = asked(request)?;
        let view = View::new(platform, caller);
        let follower = platform
            .events
            .follow(&view.name(), view.clone(), filter, position)
            .map_err(|error| {
                let code = "followers_exhausted";
                ServiceError::new(ErrorKind::Exhausted, code, error.to_string())
            })?;
        let mut looks = interval(CREDENTIAL_LOOKED_AT);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            follower,
            view,
            looks,
        })
    }

    /// Waits for the next. May be dropped and called again.
    pub async fn next(&mut self) -> Next {
        loop {
            tokio::select! {
                biased;
                _ = self.looks.tick() => if self.view.now().is_none() {
                    return Next::CredentialEnded;
                },
                news = self.follower.next() => return Next::News(news),
            }
        }
    }

    /// Waits until the bus tells it no more, whether or not anything is taken.
    pub fn ended(&self) -> impl Future<Output = Ending> + use<> {
        self.follower.ended()
    }

    /// Goes on with another credential of the same user. False where it is another's.
    pub fn renew(&self, caller: Caller) -> bool {
        let mut known = self.view.caller();
        let same = known.user == caller.user;
        if same {
            *known = caller;
        }
        same
    }

    /// The same as a stream of the schema's messages, for a method that answers more than once.
    pub fn into_stream(
        self,
    ) -> impl Stream<Item = Result<WatchEventsResponse, ServiceError>> + Send {
        stream::unfold(Some(self), |watch| async {
            let mut watch = watch?;
            let ended = match watch.next().await {
                Next::News(News::End(ending)) => ended(ending),
                Next::News(news) => match shown(&news) {
                    Some(message) => return Some((Ok(message), Some(watch))),
                    None => ended(Ending::StoreFailed),
                },
                Next::CredentialEnded => {
                    let detail = "the credential has ended: sign in again";
                    ServiceError::new(ErrorKind::Unauthenticated, "token_invalid", detail)
                }
            };
            Some((Err(ended), None))
        })
    }
}

/// What it is to a caller that it is told no more.
pub(in crate::platform) fn ended(ending: Ending) -> ServiceError {
    match ending {
        Ending::TooSlow => ServiceError::new(
            ErrorKind::Exhausted,
            "follower_too_slow",
            "events were not taken in time: come back with the last position",
        ),
        Ending::Stopping => ServiceError::new(
            ErrorKind::Unavailable,
            "platform_stopping",
            "the platform stops: come back with the last position",
        ),
        Ending::StoreFailed => ServiceError::new(
            ErrorKind::Internal,
            "store_failed",
            "the platform's store failed; its log says why",
        ),
    }
}

/// What a caller may see.
#[derive(Clone)]
pub(in crate::platform) struct View {
    platform: Arc<Platform>,
    caller: Arc<Mutex<Caller>>,
}

impl View {
    pub(in crate::platform) fn new(platform: &Arc<Platform>, caller: Caller) -> Self {
        Self {
            platform: platform.clone(),
            caller: Arc::new(Mutex::new(caller)),
        }
    }

    /// Whose it is.
    pub(in crate::platform) fn name(&self) -> String {
        self.caller().name.as_str().to_owned()
    }

    fn caller(&self) -> MutexGuard<'_, Caller> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller as it is now.
    pub(in crate::platform) fn now(&self) -> Option<Caller> {
        let identity = &self.platform.identity;
        identity.still(UnixMillis::now(), &self.caller())
    }
}

impl Viewer for View {
    fn sees(&self, host: HostId) -> bool {
        let identity = &self.platform.identity;
        self.now().is_some_and(|caller| identity.may(&caller, host))
    }

    fn sees_group(&self, group: GroupId) -> bool {
        self.now().is_some_and(|caller| caller.may([&group]))
    }

    fn sees_all(&self) -> bool {
        let all = |caller: Caller| *caller.grants() == Grants::All;
        self.now().is_some_and(all)
    }

    fn is_in(&self, host: HostId, groups: &HashSet<GroupId>) -> bool {
        self.platform.identity.is_in(host, groups)
    }
}
