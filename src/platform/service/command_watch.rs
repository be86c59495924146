//! Following one command: how each of its hosts stands, what is going on there, and the end. What is
//! committed comes over the events; what was missed is read from the store.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::deliveries::shown;
use super::{ErrorKind, ServiceError};
use crate::ids::{CommandId, HostId};
use crate::platform::Platform;
use crate::platform::events::watch::{CREDENTIAL_LOOKED_AT, View, ended};
use crate::platform::events::{Ending, Filter, Follower, Happening, News};
use crate::platform::identity::Caller;
use crate::platform::progress::{Numbered, Piece};
use crate::platform::store::deliveries::{
    DeliveryFilter, DeliveryPage, DeliveryPlace, DeliveryRecord,
};
use crate::wire::api::{
    CommandProgress, WatchCommandResponse, WatchCommandResponseMessage as Message,
};

/// Deliveries that are read at once.
const DELIVERIES_READ_MAX: usize = 200;
/// A follower that was told nothing for so long is told how the command stands: so both ends, and what is
/// between them, see that the other is there.
const MARK_EVERY: Duration = Duration::from_secs(30);

/// Somebody who follows a command.
pub(super) struct Watching {
    platform: Arc<Platform>,
    view: View,
    command: CommandId,
    follower: Follower,
    pieces: broadcast::Receiver<Numbered>,
    /// What is told next.
    told: VecDeque<Next>,
    stage: Stage,
    /// The hosts that have not ended.
    open: HashMap<HostId, Open>,
    /// Hosts whose deliveries have changed since they were read.
    changed: HashSet<HostId>,
    looks: Interval,
    mark_at: Instant,
}

/// What is told next.
enum Next {
    Message(Box<Message>),
    /// What this host has printed before. It is taken when its turn comes, so that no more than one is held.
    Before(HostId),
}

/// A host that has not ended.
struct Open {
    name: String,
    /// Pieces up to this number were told, or are going to be with what was printed before.
    told: u64,
}

/// ```text
///  listing ──all were told──▶ live ──all have ended──▶ over
///     ▲                        │
///     └──events were missed────┘
/// ```
enum Stage {
    /// The deliveries are told as they are, from after this one on.
    Listing(Option<DeliveryPlace>),
    /// What changes is told.
    Live,
    /// There is nothing more.
    Over,
}

impl Watching {
    /// Begins for a caller.
    ///
    /// # Errors
    /// `command_unknown`, `followers_exhausted`.
    pub(super) async fn begin(
        platform: &Arc<Platform>,
        caller: Caller,
        command: CommandId,
    ) -> Result<Self, ServiceError> {
        let first = platform.seen_command(&caller, command).await?;
        let exhausted =
            |error: String| ServiceError::new(ErrorKind::Exhausted, "followers_exhausted", error);
        let pieces = platform.progress.follow(command);
        let pieces = pieces.map_err(|error| exhausted(error.to_string()))?;
        let view = View::new(platform, caller);
        let follower = follow(platform, &view, command).await?;
        let mut looks = interval(CREDENTIAL_LOOKED_AT);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            platform: platform.clone(),
            view,
            command,
            follower,
            pieces,
            told: [Next::Message(Box::new(Message::Command(first)))].into(),
            stage: Stage::Listing(None),
            open: HashMap::new(),
            changed: HashSet::new(),
            looks,
            mark_at: Instant::now() + MARK_EVERY,
        })
    }

    /// As the method answers it.
    pub(super) fn into_stream(
        self,
    ) -> impl Stream<Item = Result<WatchCommandResponse, ServiceError>> + Send {
        stream::unfold(Some(self), |watching| async {
            let mut watching = watching?;
            match watching.next().await {
                Ok(Some(message)) => {
                    let message = Some(message);
                    Some((Ok(WatchCommandResponse { message }), Some(watching)))
                }
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Message>, ServiceError> {
        loop {
            let message = match self.told.pop_front() {
                Some(Next::Message(message)) => Some(*message),
                Some(Next::Before(host)) => self.before(host),
                None => {
                    match self.stage {
                        Stage::Over => return Ok(None),
                        Stage::Listing(after) => self.list(after).await?,
                        Stage::Live => self.live().await?,
                    }
                    None
                }
            };
            if message.is_some() {
                self.mark_at = Instant::now() + MARK_EVERY;
                return Ok(message);
            }
        }
    }

    /// What a host has printed until now, if that is kept.
    fn before(&mut self, host: HostId) -> Option<Message> {
        let open = self.open.get_mut(&host)?;
        let before = self.platform.progress.until_now(self.command, host);
        // Pieces of that which wait are not told again.
        open.told = before.as_ref().map_or(0, |(number, _)| *number);
        before.map(|(_, piece)| open.shown(piece))
    }

    /// Tells the next deliveries as they are.
    async fn list(&mut self, after: Option<DeliveryPlace>) -> Result<(), ServiceError> {
        let page = self.read(None, after, DELIVERIES_READ_MAX).await?;
        for delivery in page.found {
            self.tell(delivery)?;
        }
        self.stage = match page.next {
            Some(after) => Stage::Listing(Some(after)),
            None => Stage::Live,
        };
        Ok(())
    }

    /// Waits for what is next, and tells it.
    async fn live(&mut self) -> Result<(), ServiceError> {
        let changed = self.changed.iter().next().copied();
        if let Some(host) = changed {
            self.changed.remove(&host);
            let page = self.read(Some(host), None, 1).await?;
            for delivery in page.found {
                self.tell(delivery)?;
            }
            return Ok(());
        }
        if self.open.is_empty() {
            self.mark().await?;
            self.stage = Stage::Over;
            return Ok(());
        }
        tokio::select! {
            biased;
            _ = self.looks.tick() => {
                self.caller()?;
                if Instant::now() >= self.mark_at {
                    self.mark().await?;
                }
            }
            news = self.follower.next() => match news {
                News::Event(told) => {
                    match (&told.event.what, told.event.host) {
                        (Happening::DeliveryUpdated { .. }, Some(host)) => {
                            self.changed.insert(host);
                        }
                        // A wave has begun, or is not going to.
                        (Happening::CommandUpdated { .. }, _) => self.mark().await?,
                        _ => {}
                    }
                }
                News::Mark(_) => {}
                News::Reload(..) => self.stage = Stage::Listing(None),
                News::End(Ending::TooSlow) => {
                    self.follower = follow(&self.platform, &self.view, self.command).await?;
                    self.stage = Stage::Listing(None);
                }
                News::End(ending) => return Err(ended(ending)),
            },
            piece = self.pieces.recv() => match piece {
                Ok(piece) => self.tell_piece(piece)?,
                // It sees by the offsets how much it has missed.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => {
                    let pieces = self.platform.progress.follow(self.command);
                    self.pieces = pieces.map_err(|_| ended(Ending::TooSlow))?;
                }
            },
        }
        Ok(())
    }

    /// Tells how the command stands.
    async fn mark(&mut self) -> Result<(), ServiceError> {
        let caller = self.caller()?;
        let command = self.platform.seen_command(&caller, self.command).await?;
        self.say(Message::Command(command));
        Ok(())
    }

    fn tell(&mut self, delivery: DeliveryRecord) -> Result<(), ServiceError> {
        let caller = self.caller()?;
        if !self.platform.identity.may(&caller, delivery.host) {
            self.open.remove(&delivery.host);
            return Ok(());
        }
        if delivery.state.is_final() {
            // What it has printed comes before its end.
            while let Ok(piece) = self.pieces.try_recv() {
                self.tell_piece(piece)?;
            }
            self.open.remove(&delivery.host);
            self.say(Message::Delivery(shown(delivery)));
            return Ok(());
        }
        let (host, name) = (delivery.host, delivery.host_name.clone());
        self.say(Message::Delivery(shown(delivery)));
        if let Entry::Vacant(entry) = self.open.entry(host) {
            let told = u64::MAX;
            entry.insert(Open { name, told });
            self.told.push_back(Next::Before(host));
        }
        Ok(())
    }

    fn tell_piece(&mut self, (number, piece): Numbered) -> Result<(), ServiceError> {
        let caller = self.caller()?;
        // Of a host that has ended, its result says all; of one that was not told of yet, what is kept.
        let open = self.open.get(&piece.host);
        if let Some(open) = open.filter(|open| number > open.told)
            && self.platform.identity.may(&caller, piece.host)
        {
            let message = open.shown(piece);
            self.say(message);
        }
        Ok(())
    }

    fn say(&mut self, message: Message) {
        self.told.push_back(Next::Message(Box::new(message)));
    }

    async fn read(
        &self,
        host: Option<HostId>,
        after: Option<DeliveryPlace>,
        count: usize,
    ) -> Result<DeliveryPage, ServiceError> {
        let filter = DeliveryFilter {
            command: Some(self.command),
            hosts: match host {
                Some(host) => Some(vec![host]),
                None => self.platform.identity.granted_hosts(&self.caller()?),
            },
            ..DeliveryFilter::default()
        };
        Ok(self.platform.store.deliveries(filter, after, count).await?)
    }

    /// The caller as it is now.
    fn caller(&self) -> Result<Caller, ServiceError> {
        self.view.now().ok_or_else(|| {
            let detail = "the credential has ended: sign in again";
            ServiceError::new(ErrorKind::Unauthenticated, "token_invalid", detail)
        })
    }
}

impl Open {
    fn shown(&self, piece: Piece) -> Message {
        Message::Progress(CommandProgress {
            host_id: piece.host.into(),
            host: self.name.clone(),
            progress_percent: piece.percent,
            output: piece.output,
            output_offset: piece.offset,
        })
    }
}

/// Follows from here on: what is read after this misses nothing.
async fn follow(
    platform: &Arc<Platform>,
    view: &View,
    command: CommandId,
) -> Result<Follower, ServiceError> {
    let filter = Filter::of_command(command);
    let follower = platform
        .events
        .follow(&view.name(), view.clone(), filter, None);
    let mut follower = follower.map_err(|error| {
        ServiceError::new(
            ErrorKind::Exhausted,
            "followers_exhausted",
            error.to_string(),
        )
    })?;
    match follower.next().await {
        News::End(ending) => Err(ended(ending)),
        _ => Ok(follower),
    }
}
