//! What the device knows about itself: counters, `/status` for scripts and `/events` for the page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::Device;
use super::reply::{self, Reply};

const EVENT_INTERVAL: Duration = Duration::from_secs(1);

/// The counters.
pub(super) struct Monitor {
    started: Instant,
    requests: AtomicU64,
    uploads: AtomicUsize,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            requests: AtomicU64::new(0),
            uploads: AtomicUsize::new(0),
        }
    }
}

impl Monitor {
    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Counts an upload as running until what it returns is dropped.
    pub(super) fn upload_began(&self) -> RunningUpload<'_> {
        self.uploads.fetch_add(1, Relaxed);
        RunningUpload(self)
    }
}

pub(super) struct RunningUpload<'a>(&'a Monitor);

impl Drop for RunningUpload<'_> {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Relaxed);
    }
}

impl Device {
    /// `requests` counts all since the start, `frames` those drawn; `viewers` and `uploads` are what
    /// runs now.
    pub(super) fn status(&self) -> Value {
        json!({
            "uptime_s": self.monitor.started.elapsed().as_secs(),
            "viewers": self.video.viewers(),
            "uploads": self.monitor.uploads.load(Relaxed),
            "requests": self.monitor.requests.load(Relaxed),
            "frames": self.video.frames_drawn(),
        })
    }
}

/// The status as server-sent events, one at once and one each second.
pub(super) fn events(device: Arc<Device>) -> Reply {
    let mut ticks = tokio::time::interval(EVENT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pieces = stream::unfold((device, ticks), |(device, mut ticks)| async move {
        ticks.tick().await;
        let event = Bytes::from(format!("event: status\ndata: {}\n\n", device.status()));
        Some((event, (device, ticks)))
    });
    reply::pieces("text/event-stream", pieces)
}
