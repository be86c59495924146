//! The video: one generator draws frames while anybody watches, and every viewer takes the newest
//! one when it is ready for it. A slow viewer skips frames, so nothing queues.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use super::Device;
use super::picture::Painter;
use super::reply::{self, Reply};

/// 20 frames a second.
const FRAME_INTERVAL: Duration = Duration::from_millis(50);
const CONTENT_TYPE: &str = "multipart/x-mixed-replace; boundary=frame";
/// Ends a part. Sent with the part it ends, not before the next: browsers show a part when it ends.
const BOUNDARY: &[u8] = b"\r\n--frame\r\n";

#[derive(Clone, Default)]
struct Frame {
    number: u64,
    /// The frame as a part of the stream: headers, JPEG, boundary.
    part: Bytes,
}

/// The newest frame, and who waits for the next.
#[derive(Default)]
pub(super) struct Video {
    newest: watch::Sender<Frame>,
    viewer_came: Notify,
}

impl Video {
    /// How many streams are open.
    pub(super) fn viewers(&self) -> usize {
        self.newest.receiver_count()
    }

    /// How many frames were drawn since the start.
    pub(super) fn frames_drawn(&self) -> u64 {
        self.newest.borrow().number
    }

    async fn watched(&self) {
        while self.viewers() == 0 {
            self.viewer_came.notified().await;
        }
    }
}

/// The endless stream. Its viewer counts until the stream is dropped.
pub(super) fn stream(device: &Device) -> Reply {
    let newest = device.video.newest.subscribe();
    device.video.viewer_came.notify_one();
    let pieces = stream::unfold((newest, true), |(mut newest, first)| async move {
        if first {
            return Some((Bytes::from_static(&BOUNDARY[2..]), (newest, false)));
        }
        newest.changed().await.ok()?;
        let part = newest.borrow_and_update().part.clone();
        Some((part, (newest, false)))
    });
    reply::pieces(CONTENT_TYPE, pieces)
}

/// Draws frames for as long as somebody watches, and waits while nobody does. Never ends unless a
/// frame cannot be drawn at all.
pub(super) async fn generate(device: Arc<Device>) {
    let mut painter = Painter::new();
    let mut ticks = tokio::time::interval(FRAME_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 1_u64.. {
        device.video.watched().await;
        ticks.tick().await;
        let machine = device.machine().clone();
        // Some milliseconds of computing, which must not delay the connections' acknowledgements.
        let drawn = tokio::task::spawn_blocking(move || {
            let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            let jpeg = painter.jpeg(&machine, number, time);
            (painter, jpeg)
        });
        match drawn.await {
            Ok((returned, Ok(jpeg))) => {
                painter = returned;
                device.video.newest.send_replace(Frame {
                    number,
                    part: part(&jpeg),
                });
            }
            Ok((_, Err(error))) => return tracing::error!(%error, "cannot encode a frame"),
            Err(error) => return tracing::error!(%error, "cannot draw a frame"),
        }
    }
}

fn part(jpeg: &[u8]) -> Bytes {
    let head = format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        jpeg.len()
    );
    [head.as_bytes(), jpeg, BOUNDARY].concat().into()
}
