//! One who follows events: it reads the store until it has come up to what is told now, then takes what
//! waits for it. Bytes and sockets are not here.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::bus::{PAGE, Place};
use super::{Ending, Filter, Happening, Position, Told, Viewer};
use crate::platform::store::{EventPage, StoreError};

/// A follower that was told nothing for so long is told where it stands: so its position does not grow
/// old while nothing happens that it wants, and whoever carries it sees that it is still there.
const MARK_EVERY: Duration = Duration::from_secs(30);

/// What a follower is told.
#[derive(Clone, Debug)]
pub enum News {
    /// Something has happened.
    Event(Arc<Told>),
    /// Nothing was missed until here.
    Mark(Position),
    /// Something was missed; it goes on from here.
    Reload(Position, ReloadReason),
    /// That was all.
    End(Ending),
}

/// Why something was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadReason {
    /// The position is older than what is kept.
    PositionTooOld,
    /// The platform has given out no such position.
    PositionUnknown,
    /// Events could not be written.
    EventsLost,
}

/// One who follows events.
pub struct Follower {
    place: Place,
    viewer: Box<dyn Viewer>,
    filter: Filter,
    /// Until where it was told, or did not want to be.
    position: Position,
    stage: Stage,
    mark_at: Instant,
}

/// ```text
///  beginning ──a position that is known──▶ reading ──up to what is told now──▶ live
///      └──────────none, or one that is not known────────────────────────────────┘
/// ```
enum Stage {
    /// Nothing was said yet; with the position that it came with.
    Beginning(Option<Position>),
    /// What the store has is told, page by page.
    Reading(VecDeque<Arc<Told>>),
    /// The pump tells it.
    Live,
}

impl Follower {
    pub(super) fn new(
        place: Place,
        viewer: Box<dyn Viewer>,
        filter: Filter,
        position: Option<Position>,
    ) -> Self {
        Self {
            place,
            viewer,
            filter,
            position: Position::default(),
            stage: Stage::Beginning(position),
            mark_at: Instant::now() + MARK_EVERY,
        }
    }

    /// Waits for the next. May be dropped and called again; nothing is lost by it. After
    /// [`News::End`] there is nothing more.
    pub async fn next(&mut self) -> News {
        let news = self.wait().await;
        self.mark_at = Instant::now() + MARK_EVERY;
        news
    }

    /// Waits until it is told no more, whether or not what waits for it is taken.
    pub fn ended(&self) -> impl Future<Output = Ending> + use<> {
        let mut ended = self.place.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(ending) => ending.unwrap_or(Ending::Stopping),
                // The place was given back.
                Err(_) => Ending::Stopping,
            }
        }
    }

    async fn wait(&mut self) -> News {
        loop {
            if let Some(ending) = self.place.ending() {
                return News::End(ending);
            }
            let news = match &mut self.stage {
                Stage::Beginning(_) => Some(self.begin().await),
                Stage::Reading(page) => match page.pop_front() {
                    Some(told) => self.take(told),
                    None => self.read().await,
                },
                Stage::Live => match self.place.pop() {
                    Some(told) => self.take(told),
                    None => self.rest().await,
                },
            };
            if let Some(news) = news {
                return news;
            }
        }
    }

    async fn begin(&mut self) -> News {
        let Stage::Beginning(position) = self.stage else {
            return News::Mark(self.position);
        };
        let Some(position) = position else {
            return self.start_now(News::Mark);
        };
        let page = match self
            .place
            .store()
            .events_from(position.sequence, PAGE)
            .await
        {
            Ok(page) => page,
            Err(error) => return failed(&error),
        };
        match judge(position, &page) {
            Ok(()) => {
                let later = page.events.into_iter().map(Told::stored);
                let later = later.filter(|told| told.position.sequence > position.sequence);
                self.position = position;
                self.stage = Stage::Reading(later.collect());
                News::Mark(position)
            }
            Err(reason) => self.start_now(|now| News::Reload(now, reason)),
        }
    }

    /// Begins with what is told from now on.
    fn start_now(&mut self, news: impl FnOnce(Position) -> News) -> News {
        self.position = self.place.told();
        // The ring cannot have gone on since: where it has, the next read finds the way.
        self.stage = if self.place.go_live(self.position) {
            Stage::Live
        } else {
            Stage::Reading(VecDeque::new())
        };
        news(self.position)
    }

    /// Goes on after a page: with what is told now, or with the next page.
    async fn read(&mut self) -> Option<News> {
        if self.place.go_live(self.position) {
            self.stage = Stage::Live;
            return None;
        }
        let next = self.position.sequence + 1;
        let page = match self.place.store().events_from(next, PAGE).await {
            Ok(page) => page,
            Err(error) => return Some(failed(&error)),
        };
        if page.oldest > next {
            // Retention was faster than this follower.
            return Some(self.start_now(|now| News::Reload(now, ReloadReason::PositionTooOld)));
        }
        self.stage = Stage::Reading(page.events.into_iter().map(Told::stored).collect());
        // A long way without anything that is wanted is still a way.
        (Instant::now() >= self.mark_at).then_some(News::Mark(self.position))
    }

    /// What is told of an event, if it is wanted and this viewer may see it.
    fn take(&mut self, told: Arc<Told>) -> Option<News> {
        self.position = told.position;
        if matches!(told.event.what, Happening::Lost) {
            return Some(News::Reload(told.position, ReloadReason::EventsLost));
        }
        let wanted = self.filter.wants(&told.event, &*self.viewer);
        wanted.then_some(News::Event(told))
    }

    /// Waits until something is there, or it is time for a mark.
    async fn rest(&mut self) -> Option<News> {
        let mut ended = self.place.ended.clone();
        tokio::select! {
            () = self.place.woken.notified() => None,
            _ = ended.wait_for(Option::is_some) => None,
            () = sleep_until(self.mark_at) => {
                let now = self.place.caught_up()?;
                if now.sequence > self.position.sequence {
                    self.position = now;
                }
                Some(News::Mark(self.position))
            }
        }
    }
}

/// Whether this is a position that was given out, and what follows it is all there.
fn judge(position: Position, page: &EventPage) -> Result<(), ReloadReason> {
    let EventPage {
        events,
        oldest,
        newest,
    } = page;
    if position == Position::default() {
        return if *oldest <= 1 {
            Ok(())
        } else {
            Err(ReloadReason::PositionTooOld)
        };
    }
    if position.sequence > *newest {
        return Err(ReloadReason::PositionUnknown);
    }
    if position.sequence < *oldest {
        return Err(ReloadReason::PositionTooOld);
    }
    let first = events.first().map(|stored| Position {
        sequence: stored.sequence,
        at: stored.event.at,
    });
    if first == Some(position) {
        Ok(())
    } else {
        Err(ReloadReason::PositionUnknown)
    }
}

fn failed(error: &StoreError) -> News {
    warn!(%error, "events could not be read for a follower");
    News::End(Ending::StoreFailed)
}
