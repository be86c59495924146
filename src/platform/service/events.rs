//! Events, as a method of the API. By WebSocket they are `events`' own.

use std::sync::Arc;

use futures_util::StreamExt as _;

use crate::platform::Platform;
use crate::platform::api::{Answer, Call, EventService, Stream};
use crate::platform::events::watch::Watch;
use crate::wire::api::{WatchEventsRequest, WatchEventsResponse};

impl EventService for Platform {
    async fn watch_events(
        self: Arc<Self>,
        call: Call,
        request: WatchEventsRequest,
    ) -> Answer<Stream<WatchEventsResponse>> {
        let watch = Watch::begin(&self, call.caller, &request)?;
        Ok(watch.into_stream().boxed())
    }
}
