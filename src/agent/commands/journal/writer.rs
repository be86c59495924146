//! The thread that the journal's file belongs to. Orders are taken in the order in which they are given, and
//! answered in it; appends that wait while the disk is busy share one sync.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::file::{JournalFile, Kept};
use super::record::Record;
use super::storage::Storage;

/// The most records that share a sync: their answers wait for the last of them.
const BATCH_MAX: usize = 512;
/// The most bytes of them, but for the last record's.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Where to give orders. The thread ends when it is dropped. As many wait as whoever gives them lets: the
/// desk bounds what it has open.
#[derive(Debug)]
pub struct Writer<T> {
    orders: Sender<Order<T>>,
}

enum Order<T> {
    Append(Record, T),
    Fetch(String, T),
}

/// What became of an order.
#[derive(Debug)]
pub enum Done<T> {
    /// The record is in the journal, and synced where it must survive; or it is not.
    Appended {
        /// What the order came with.
        token: T,
        /// The finished commands that were forgotten for it, or why it could not be written.
        result: Result<Vec<String>, String>,
    },
    /// What the journal has of a command.
    Fetched {
        /// What the order came with.
        token: T,
        /// It; `None` where it has nothing; or why it could not be read.
        result: Result<Option<Kept>, String>,
    },
}

impl<T: Send + 'static> Writer<T> {
    /// Starts the thread; the answers come out of the channel.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start<S>(journal: JournalFile<S>) -> io::Result<(Self, UnboundedReceiver<Done<T>>)>
    where
        S: Storage,
        S::File: Send,
    {
        let (orders, receiver) = mpsc::channel();
        let (done, answers) = unbounded_channel();
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(journal, &receiver, &done))?;
        Ok((Self { orders }, answers))
    }

    /// Appends a record.
    pub fn append(&self, record: Record, token: T) {
        // The thread lives as long as this; where it panicked, no answer comes, and nothing is told.
        let _ = self.orders.send(Order::Append(record, token));
    }

    /// Reads what the journal has of a command.
    pub fn fetch(&self, id: String, token: T) {
        let _ = self.orders.send(Order::Fetch(id, token));
    }
}

fn write<S: Storage, T>(
    mut journal: JournalFile<S>,
    orders: &mpsc::Receiver<Order<T>>,
    done: &UnboundedSender<Done<T>>,
) {
    let mut next = orders.recv().ok();
    while let Some(order) = next.take() {
        let mut records = Vec::new();
        let mut tokens = Vec::new();
        let mut bytes = 0;
        match order {
            Order::Fetch(id, token) => {
                let result = journal.fetch(&id).map_err(|error| error.to_string());
                // Whoever does not wait any more is not told.
                let _ = done.send(Done::Fetched { token, result });
            }
            Order::Append(record, token) => {
                bytes += record.payload_bytes();
                records.push(record);
                tokens.push(token);
            }
        }
        while (1..BATCH_MAX).contains(&records.len()) && bytes < BATCH_BYTES_MAX {
            match orders.try_recv() {
                Ok(Order::Append(record, token)) => {
                    bytes += record.payload_bytes();
                    records.push(record);
                    tokens.push(token);
                }
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        if !records.is_empty() {
            let mut result = journal.append(&records).map_err(|error| error.to_string());
            for token in tokens {
                // Each is told of the failure, the first of what was forgotten.
                let each = match &mut result {
                    Ok(forgotten) => Ok(std::mem::take(forgotten)),
                    Err(error) => Err(error.clone()),
                };
                let _ = done.send(Done::Appended {
                    token,
                    result: each,
                });
            }
        }
        if next.is_none() {
            next = orders.recv().ok();
        }
    }
}
