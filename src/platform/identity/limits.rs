//! How often somebody may try to sign in: by account, by address, and by the two together. What is
//! counted takes the same memory whatever comes: a table of times, into which a name or an address is
//! hashed with a key of this process. So a flood of names pushes nobody out of it, nor makes anybody
//! forgotten who was refused; two that fall on one place, one in 65,536, share it.
//!
//! Who floods an account does not lock its owner out for good. Each meter gives a try back in
//! seconds, so that nothing is ever locked; the account's own meter, the only one that others can use
//! up, is not asked where the account is signed in from this address already; and neither what is
//! signed in nor an API key nor a provider is held up by any of this.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::UnixMillis;

/// Places of a meter, of 8 bytes each, which are real memory once they are used.
const PLACES: usize = 1 << 16;
/// Tries from one address: 30 at once, then one each 2 s. Those that end well are given back, so that
/// an office behind one address can start its day.
const BY_ADDRESS: Rate = Rate {
    every: Duration::from_secs(2),
    at_once: 30,
};
/// Tries at one account from one address: whoever cannot remember gets ten, then one each 30 s.
const BY_BOTH: Rate = Rate {
    every: Duration::from_secs(30),
    at_once: 10,
};
/// Tries at one account from anywhere: 100 at once, then one each 10 s, 8,740 on the first day from as
/// many machines as one likes, against passwords of twelve characters and more.
const BY_ACCOUNT: Rate = Rate {
    every: Duration::from_secs(10),
    at_once: 100,
};
/// Failed sign-ins that are audited in a minute one by one; the rest are counted into one entry, so that
/// a flood fills neither the log nor the disk.
const AUDITED_A_MINUTE: u64 = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// The limits on signing in.
pub(super) struct Limits {
    meters: Mutex<Meters>,
    failures: Mutex<Failures>,
    failed: AtomicU64,
}

struct Meters {
    address: Meter,
    both: Meter,
    account: Meter,
}

/// A try that was let through, and what it was charged.
#[must_use]
#[derive(Debug)]
pub(super) struct Try {
    name: String,
    address: Network,
    of_account: bool,
}

/// Who counts as one address: whoever has an IPv6 address has the 2^64 beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network([u8; 8]);

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let mut bytes = [0xff; 8];
                bytes[4..].copy_from_slice(&address.octets());
                Self(bytes)
            }
            IpAddr::V6(address) => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&address.octets()[..8]);
                Self(bytes)
            }
        }
    }
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            meters: Mutex::new(Meters {
                address: Meter::new(BY_ADDRESS),
                both: Meter::new(BY_BOTH),
                account: Meter::new(BY_ACCOUNT),
            }),
            failures: Mutex::default(),
            failed: AtomicU64::new(0),
        }
    }

    /// Lets a try from this address through, or says how long to wait.
    pub(super) fn admit_address(&self, now: UnixMillis, address: IpAddr) -> Result<(), Duration> {
        self.meters().address.charge(now, &Network::of(address))
    }

    /// Lets a try at this account through, or says how long to wait. It is charged before anything is
    /// looked at, so that many at once are counted as well.
    pub(super) fn admit(
        &self,
        now: UnixMillis,
        name: &str,
        address: IpAddr,
        is_signed_in_there: bool,
    ) -> Result<Try, Duration> {
        let address = Network::of(address);
        let of_account = !is_signed_in_there;
        let mut meters = self.meters();
        meters.address.charge(now, &address)?;
        meters.both.charge(now, &(name, address))?;
        if of_account {
            meters.account.charge(now, name)?;
        }
        Ok(Try {
            name: name.to_owned(),
            address,
            of_account,
        })
    }

    /// Gives back what a try was charged that was none at guessing.
    pub(super) fn give_back(&self, tried: Try) {
        let mut meters = self.meters();
        meters.address.give_back(&tried.address);
        meters.both.give_back(&(&*tried.name, tried.address));
        if tried.of_account {
            meters.account.give_back(&*tried.name);
        }
    }

    /// Gives back what was charged for letting a try from this address through.
    pub(super) fn give_back_address(&self, address: IpAddr) {
        self.meters().address.give_back(&Network::of(address));
    }

    /// Whether one more failure is to be audited by itself, and how many before it were not.
    pub(super) fn failed(&self, now: UnixMillis) -> (bool, u64) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.failures();
        let uncounted = failures.begin(now);
        failures.count += 1;
        (failures.count <= AUDITED_A_MINUTE, uncounted)
    }

    /// How many failures there were since this process began.
    pub(super) fn all_failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many failures of a minute that is over are not audited yet.
    pub(super) fn unaudited(&self, now: UnixMillis) -> u64 {
        self.failures().begin(now)
    }

    fn meters(&self) -> MutexGuard<'_, Meters> {
        // Every place is whole at every step.
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Failures within a minute.
#[derive(Default)]
struct Failures {
    since: UnixMillis,
    count: u64,
}

impl Failures {
    /// Begins another minute where this one is over; answers how many of it were not audited.
    fn begin(&mut self, now: UnixMillis) -> u64 {
        // A clock that was set back begins anew as well.
        if now >= self.since && now.since(self.since) < MINUTE {
            return 0;
        }
        self.since = now;
        std::mem::take(&mut self.count).saturating_sub(AUDITED_A_MINUTE)
    }
}

#[derive(Clone, Copy)]
struct Rate {
    every: Duration,
    at_once: u64,
}

/// Counts tries by the generic cell rate algorithm: each place holds the instant at which all that was
/// charged is given back.
struct Meter {
    every_ms: u64,
    depth_ms: u64,
    keyed: RandomState,
    places: Vec<u64>,
}

impl Meter {
    fn new(rate: Rate) -> Self {
        let every_ms = rate.every.as_millis() as u64;
        Self {
            every_ms,
            depth_ms: every_ms * rate.at_once,
            keyed: RandomState::new(),
            // Zeroes come from the system as they are asked for: what nobody uses is no memory.
            places: vec![0; PLACES],
        }
    }

    fn charge<K: Hash + ?Sized>(&mut self, now: UnixMillis, key: &K) -> Result<(), Duration> {
        let (every, depth) = (self.every_ms, self.depth_ms);
        let place = self.place(key);
        // What is further off than a full meter was charged before the clock was set back.
        let before = if *place > now.0 + depth {
            now.0
        } else {
            (*place).max(now.0)
        };
        let charged = before + every;
        if charged > now.0 + depth {
            return Err(Duration::from_millis(charged - now.0 - depth));
        }
        *place = charged;
        Ok(())
    }

    fn give_back<K: Hash + ?Sized>(&mut self, key: &K) {
        let every = self.every_ms;
        let place = self.place(key);
        *place = place.saturating_sub(every);
    }

    fn place<K: Hash + ?Sized>(&mut self, key: &K) -> &mut u64 {
        let place = self.keyed.hash_one(key) as usize % PLACES;
        &mut self.places[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixMillis = UnixMillis(1_750_000_000_000);

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis(T0.0 + seconds * 1000)
    }

    fn address(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + n).to_be_bytes())
    }

    fn tries(limits: &Limits, now: UnixMillis, name: &str, from: IpAddr, count: usize) -> usize {
        let tried = (0..count).filter(|_| limits.admit(now, name, from, false).is_ok());
        tried.count()
    }

    #[test]
    fn one_address_guesses_at_one_account_slowly_and_is_never_locked() {
        let limits = Limits::new();
        assert_eq!(tries(&limits, T0, "alice", address(1), 1000), 10);
        let wait = limits.admit(T0, "alice", address(1), true).err();
        // The address itself is used up by then, and it is back first.
        assert_eq!(wait, Some(BY_ADDRESS.every));
        assert_eq!(tries(&limits, at(60), "alice", address(1), 1000), 2);
        assert_eq!(tries(&limits, at(3600), "alice", address(1), 1000), 10);
        // Whatever one does, the wait is for the next try and no longer.
        let wait = limits.admit(at(3600), "alice", address(1), false);
        assert!(wait.expect_err("refused") <= BY_BOTH.every);
    }

    #[test]
    fn one_address_guesses_at_many_accounts_slowly() {
        let limits = Limits::new();
        let let_in = (0..1000).filter(|n| {
            let name = format!("user-{n}");
            limits.admit(T0, &name, address(1), false).is_ok()
        });
        assert_eq!(let_in.count(), 30);
        assert!(limits.admit_address(T0, address(1)).is_err());
        assert!(limits.admit_address(T0, address(2)).is_ok());
        // All addresses of one network are one, however they are written.
        for n in 0..30_u16 {
            let address = IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
            assert!(limits.admit_address(T0, address).is_ok());
        }
        let same = IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]);
        assert!(limits.admit_address(T0, same).is_err());
        let other = IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]);
        assert!(limits.admit_address(T0, other).is_ok());
        let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1]);
        assert!(limits.admit_address(T0, mapped).is_err());
    }

    #[test]
    fn who_floods_an_account_does_not_keep_its_owner_out() {
        let limits = Limits::new();
        let let_in: usize = (0..500)
            .map(|n| tries(&limits, T0, "alice", address(n), 5))
            .sum();
        assert!((90..=100).contains(&let_in), "{let_in}");
        let elsewhere = limits.admit(T0, "alice", address(9999), false);
        assert_eq!(elsewhere.err(), Some(BY_ACCOUNT.every), "one try later");
        assert!(limits.admit(T0, "alice", address(9999), true).is_ok());
        assert!(limits.admit(T0, "bob", address(9998), false).is_ok());
        assert!(limits.admit(at(10), "alice", address(9997), false).is_ok());
    }

    #[test]
    fn a_flood_takes_no_memory_and_makes_nobody_forgotten() {
        let limits = Limits::new();
        assert_eq!(tries(&limits, T0, "alice", address(1), 1000), 10);
        for n in 0..200_000 {
            let _ = limits.admit(T0, &format!("user-{n}"), address(100 + n), false);
        }
        assert!(limits.admit(T0, "alice", address(1), false).is_err());
        let meters = limits.meters();
        for meter in [&meters.address, &meters.both, &meters.account] {
            assert_eq!(meter.places.capacity(), PLACES);
        }
    }

    #[test]
    fn what_ends_well_is_given_back() {
        let limits = Limits::new();
        for _ in 0..1000 {
            let tried = limits.admit(T0, "alice", address(1), false);
            limits.give_back(tried.expect("let in"));
        }
        // A clock that is set back makes nobody wait until it has come round again.
        assert_eq!(tries(&limits, at(1_000_000), "alice", address(1), 20), 10);
        assert_eq!(tries(&limits, T0, "alice", address(1), 20), 10);
    }

    #[test]
    fn a_flood_of_failures_is_counted_into_one_entry() {
        let limits = Limits::new();
        let audited = (0..1000).filter(|_| limits.failed(T0).0).count();
        assert_eq!(audited, 20);
        assert_eq!(limits.unaudited(at(59)), 0, "its minute is not over");
        assert_eq!(limits.unaudited(at(60)), 980);
        assert_eq!(limits.unaudited(at(120)), 0);
        (0..30).for_each(|_| assert_eq!(limits.failed(at(200)).1, 0));
        assert_eq!(limits.failed(at(260)), (true, 10));
    }
}
