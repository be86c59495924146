//! The history of hosts in SQLite: one small row a host and piece of time. Rows lie by their time and not by
//! their host, so that a minute of all hosts is some hundred pages, written once, and not a page a host. What
//! is asked of one host is looked up row by row.

use rusqlite::{Connection, OptionalExtension as _};
use tracing::warn;

use super::super::health::{Figures, Gauge, HealthQuery, HealthRow, HealthStore, Measure, Step};
use super::super::{StoreError, StoreFuture};
use super::SqliteStore;
use crate::clock::UnixMillis;
use crate::ids::HostId;

/// The tables. A host has a number here, as its id in each row would double it. What is here is no promise: what
/// was reported within the minute before a crash is lost with it.
pub(super) const SCHEMA: &str = "
    CREATE TABLE health_hosts (
        number INTEGER PRIMARY KEY,
        host   TEXT NOT NULL UNIQUE REFERENCES hosts (id) ON DELETE CASCADE
    ) STRICT;
    CREATE TABLE health (
        step    INTEGER NOT NULL,
        number  INTEGER NOT NULL,
        host    INTEGER NOT NULL,
        figures BLOB NOT NULL,
        PRIMARY KEY (step, number, host)
    ) STRICT, WITHOUT ROWID;
";

/// The rows of a step of one host.
const ONE: &str = "SELECT figures FROM health WHERE step = ?1 AND number = ?2 AND host = ?3";

impl HealthStore for SqliteStore {
    fn put_health(&self, minutes: Vec<HealthRow>) -> StoreFuture<'_, ()> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let mut rows = Vec::with_capacity(minutes.len());
            for row in minutes {
                if let Some(host) = number_for(connection, row.host)? {
                    rows.push((host, row));
                }
            }
            // In the order of the table, which fills its pages best.
            rows.sort_by_key(|(host, row)| (row.at, *host));
            let mut one = connection.prepare_cached(ONE)?;
            let mut put = connection.prepare_cached(
                "INSERT INTO health (step, number, host, figures) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET figures = excluded.figures",
            )?;
            for step in Step::ALL {
                for (host, row) in &rows {
                    let key = (step as i64, step.number(row.at) as i64, *host);
                    let kept: Option<Vec<u8>> = one.query_row(key, |row| row.get(0)).optional()?;
                    // One that is broken is begun anew: it is no reason to lose what comes.
                    let mut figures = kept.and_then(|kept| decode_or_warn(*host, &kept));
                    let figures = match &mut figures {
                        Some(figures) => {
                            figures.add(&row.figures);
                            figures
                        }
                        None => &row.figures,
                    };
                    put.execute((key.0, key.1, key.2, encode(figures)))?;
                }
            }
            Ok(())
        }))
    }

    fn health(&self, query: HealthQuery) -> StoreFuture<'_, Vec<HealthRow>> {
        Box::pin(self.read(move |connection| {
            let HealthQuery {
                host: id,
                step,
                since,
                until,
                count,
            } = query;
            let Some(host) = number_of(connection, id)? else {
                return Ok(Vec::new());
            };
            let mut one = connection.prepare_cached(ONE)?;
            let mut found = Vec::new();
            let from = step.number(since);
            for number in (from..).take(count) {
                let at = step.begin(number);
                if at >= until {
                    break;
                }
                let key = (step as i64, number as i64, host);
                let kept: Option<Vec<u8>> = one.query_row(key, |row| row.get(0)).optional()?;
                if let Some(figures) = kept.and_then(|kept| decode_or_warn(host, &kept)) {
                    found.push(HealthRow {
                        host: id,
                        at,
                        figures,
                    });
                }
            }
            Ok(found)
        }))
    }

    fn remove_health(
        &self,
        step: Step,
        before: UnixMillis,
        count: usize,
    ) -> StoreFuture<'_, usize> {
        Box::pin(self.write_beside_hosts(move |connection| {
            let removed = connection
                .prepare_cached(
                    "DELETE FROM health WHERE (step, number, host) IN
                         (SELECT step, number, host FROM health WHERE step = ?1 AND number < ?2
                          ORDER BY number, host LIMIT ?3)",
                )?
                .execute((step as i64, step.number(before) as i64, count as i64))?;
            Ok(removed)
        }))
    }
}

fn number_of(connection: &Connection, host: HostId) -> Result<Option<i64>, StoreError> {
    let mut number =
        connection.prepare_cached("SELECT number FROM health_hosts WHERE host = ?1")?;
    Ok(number.query_row([host], |row| row.get(0)).optional()?)
}

/// The number of a host, given to it now where it has none; `None` where there is no such host.
fn number_for(connection: &Connection, host: HostId) -> Result<Option<i64>, StoreError> {
    if let Some(number) = number_of(connection, host)? {
        return Ok(Some(number));
    }
    let made = connection
        .prepare_cached("INSERT INTO health_hosts (host) SELECT id FROM hosts WHERE id = ?1")?
        .execute([host])?;
    Ok((made > 0).then(|| connection.last_insert_rowid()))
}

/// Numbers in seven bits a byte, small ones short: the five counts; which gauges were measured, as bits; which of
/// them fewer times than there were reports, as bits; of each its count where that is so, its sum, and how far its
/// maximum is above its mean.
fn encode(figures: &Figures) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    for count in [
        figures.reports,
        figures.online_seconds,
        figures.reconnects,
        figures.bytes_from_agent,
        figures.bytes_to_agent,
    ] {
        put(&mut out, count);
    }
    let bits = |of: &dyn Fn(&Measure) -> bool| {
        let is = |gauge: &Gauge| figures.of(*gauge).is_some_and(of);
        Gauge::ALL
            .into_iter()
            .filter(is)
            .fold(0, |bits, gauge| bits | 1 << gauge as u8)
    };
    let counted = |measure: &Measure| measure.count != figures.reports;
    put(&mut out, bits(&|_| true));
    put(&mut out, bits(&counted));
    for measure in figures.measures.iter().flatten() {
        if counted(measure) {
            put(&mut out, measure.count);
        }
        put(&mut out, zigzag(measure.sum));
        put(
            &mut out,
            zigzag(
                measure
                    .max
                    .saturating_sub(floor_mean(measure.count, measure.sum)),
            ),
        );
    }
    out
}

/// `None` of a row that is broken, which is taken for one that is not there.
fn decode_or_warn(host: i64, bytes: &[u8]) -> Option<Figures> {
    decode(bytes)
        .inspect_err(|error| warn!(host, %error, "it is passed over"))
        .ok()
}

fn decode(mut bytes: &[u8]) -> Result<Figures, StoreError> {
    let read = read_figures(&mut bytes).filter(|_| bytes.is_empty());
    read.ok_or_else(|| StoreError::Failed("a row of the health history is broken".to_owned()))
}

fn read_figures(from: &mut &[u8]) -> Option<Figures> {
    let mut figures = Figures {
        reports: take(from)?,
        online_seconds: take(from)?,
        reconnects: take(from)?,
        bytes_from_agent: take(from)?,
        bytes_to_agent: take(from)?,
        measures: Default::default(),
    };
    let (measured, counted) = (take(from)?, take(from)?);
    for gauge in Gauge::ALL {
        let is_in = |bits: u64| bits & 1 << gauge as u8 != 0;
        if !is_in(measured) {
            continue;
        }
        let count = if is_in(counted) {
            take(from)?
        } else {
            figures.reports
        };
        let sum = unzigzag(take(from)?);
        let above = unzigzag(take(from)?);
        let max = floor_mean(count, sum).saturating_add(above);
        figures.measures[gauge as usize] = Some(Measure { count, sum, max });
    }
    Some(figures)
}

fn floor_mean(count: u64, sum: i64) -> i64 {
    let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
    sum.div_euclid(count)
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Entry;
    use crate::platform::store::{NewHost, Store as _};
    use crate::secret::{SecretHash, random};

    fn figures() -> Figures {
        let mut figures = Figures {
            reports: 4,
            online_seconds: 60,
            reconnects: 0,
            bytes_from_agent: 1600,
            bytes_to_agent: 900,
            ..Figures::default()
        };
        for report in 0..4 {
            figures.measure(Gauge::Cpu, 12.3 + f64::from(report));
            figures.measure(Gauge::Memory, 61.0);
            figures.measure(Gauge::Disk, 80.5);
            figures.measure(Gauge::Load, 0.42);
            figures.measure(Gauge::Temperature, 48.0);
        }
        for _ in 0..3 {
            figures.measure(Gauge::RoundTrip, 31.4);
        }
        figures
    }

    #[test]
    fn what_is_kept_is_read_as_it_was() {
        let mut extreme = Figures {
            reports: u64::MAX,
            bytes_to_agent: u64::MAX,
            ..Figures::default()
        };
        extreme.measure(Gauge::Temperature, -40.0);
        extreme.measure(Gauge::Temperature, f64::NEG_INFINITY);
        extreme.measure(Gauge::Load, f64::INFINITY);
        extreme.measure(Gauge::Cpu, f64::NAN);
        assert_eq!(extreme.of(Gauge::Cpu), None);
        let sums = Figures {
            measures: [Some(Measure {
                count: 3,
                sum: i64::MIN,
                max: i64::MAX,
            }); 6],
            ..Figures::default()
        };
        for figures in [Figures::default(), figures(), extreme] {
            assert_eq!(decode(&encode(&figures)), Ok(figures));
        }
        decode(&encode(&sums)).expect("bounded, if not as it was");
        assert_eq!(encode(&figures()).len(), 29, "a usual minute");
    }

    /// `docs/OPERATIONS.md` says what a host takes; a step's row takes no more than it says there.
    #[tokio::test]
    async fn a_row_is_as_small_as_the_documents_say() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("platform.db");
        let store = SqliteStore::open(&path, super::super::tests::key()).expect("opened");
        let bytes = || {
            let connection = Connection::open(&path).expect("opened");
            let bytes = "SELECT (page_count - freelist_count) * page_size
                 FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
            connection
                .query_row(bytes, [], |row| row.get::<_, i64>(0))
                .expect("read")
        };
        let mut hosts: Vec<_> = (0..512).map(|_| HostId::random(random())).collect();
        for host in &hosts {
            let host = NewHost {
                id: *host,
                name: host.to_string(),
                auth_token: SecretHash::of(&random::<32>()),
                at: UnixMillis(0),
            };
            let audit = Entry::new(UnixMillis(0), "admin", "host.create", "host");
            store.create_host(host, audit.into()).await.expect("made");
        }
        let before = bytes();
        let minutes = 60;
        for minute in 0..minutes {
            // Not in the order in which they have their numbers.
            hosts.rotate_left(77);
            for some in hosts.chunks(64) {
                let rows = some.iter().map(|host| HealthRow {
                    host: *host,
                    at: Step::Minute.begin(29_000_000 + minute),
                    figures: figures(),
                });
                store.put_health(rows.collect()).await.expect("written");
            }
        }
        let rows = (minutes + minutes / 15 + 1) as i64 * hosts.len() as i64;
        let each = (bytes() - before) / rows;
        assert!((45..58).contains(&each), "{each} bytes a row");
    }

    #[tokio::test]
    async fn a_row_that_is_broken_holds_up_no_other() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("platform.db");
        let store = SqliteStore::open(&path, super::super::tests::key()).expect("opened");
        let hosts = [(); 2].map(|()| HostId::random(random()));
        for host in hosts {
            let host = NewHost {
                id: host,
                name: host.to_string(),
                auth_token: SecretHash::of(&random::<32>()),
                at: UnixMillis(0),
            };
            let audit = Entry::new(UnixMillis(0), "admin", "host.create", "host");
            store.create_host(host, audit.into()).await.expect("made");
        }
        let at = Step::ThreeHours.begin(9000);
        let rows = || {
            hosts.map(|host| HealthRow {
                host,
                at,
                figures: figures(),
            })
        };
        let read = async |host| {
            let query = HealthQuery {
                host,
                step: Step::ThreeHours,
                since: at,
                until: at.plus(Step::ThreeHours.length()),
                count: 10,
            };
            let rows = store.health(query).await.expect("read");
            rows.first().map(|row| row.figures.reports)
        };
        store.put_health(rows().to_vec()).await.expect("written");
        let connection = Connection::open(&path).expect("opened");
        let broken = "UPDATE health SET figures = x'ff' WHERE step = 2
             AND host = (SELECT number FROM health_hosts WHERE host = ?1)";
        assert_eq!(connection.execute(broken, [hosts[0]]), Ok(1));
        assert_eq!(read(hosts[0]).await, None);
        store.put_health(rows().to_vec()).await.expect("written");
        assert_eq!(read(hosts[0]).await, Some(4), "begun anew");
        assert_eq!(read(hosts[1]).await, Some(8));
    }

    #[test]
    fn what_is_broken_is_found_to_be() {
        let whole = encode(&figures());
        for length in 0..whole.len() {
            decode(&whole[..length]).expect_err("cut");
        }
        decode(&[&whole[..], &[0]].concat()).expect_err("too long");
        decode(&[0xff; 64]).expect_err("a number without an end");
    }
}
