//! Passwords: what does for one, and argon2id over it. Hashing takes a core and memory by design, so that
//! it is done beside the runtime, a few at a time, and a flood of sign-ins waits in a short queue or is
//! sent away. A user who is not there, or has no password, costs the same work as one who has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tracing::error;

use super::names::UserName;
use crate::platform::service::{ErrorKind, ServiceError};
use crate::secret::{Secret, random};

/// OWASP's first choice for argon2id ("Password Storage Cheat Sheet"): 19 MiB and two passes, one lane.
/// Of its choices, all equal in strength, this one has the most memory, which is what graphics cards lack.
/// A hash takes about 20 ms of one core here.
const MEMORY_KIB: u32 = 19 * 1024;
/// As above.
const PASSES: u32 = 2;
/// As above: one thread, as the others serve agents meanwhile.
const LANES: u32 = 1;
/// RFC 9106 section 3.1: 16 bytes suffice for all applications.
const SALT_BYTES: usize = 16;
/// RFC 9106 section 4: a tag of 256 bits.
const HASH_BYTES: usize = 32;
/// What a stored hash may ask for: the database is not trusted to take the machine.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// As above.
const PASSES_MAX: u32 = 16;
/// Hashes that wait for their turn, each with its password: 64 are a second or two of work. Whoever
/// comes after them is told to come again.
const WAITING_MAX: usize = 64;
/// When to come again.
const BUSY_RETRY: Duration = Duration::from_secs(2);
/// The fewest characters of a password. NIST SP 800-63B asks for 15 where it is the only factor and 8
/// beside another; there are no rules on which characters, which only make passwords alike.
const CHARACTERS_MIN: usize = 12;
/// The most bytes of a password: a sentence is welcome, a file is not.
const BYTES_MAX: usize = 256;

/// Hashes and checks passwords.
pub(super) struct Passwords {
    /// Turns at hashing.
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// Counts one who waits, until it is dropped: also where its caller has gone.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    /// Half of the machine at most: the rest is for those who are signed in.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            turns: Arc::new(Semaphore::new((cores / 2).max(1))),
            waiting: Arc::default(),
        }
    }

    /// The hash of a password, to be stored.
    pub(super) async fn hash(&self, password: Secret) -> Result<Secret, ServiceError> {
        self.run(move || {
            let stored = Stored {
                params: params(MEMORY_KIB, PASSES, LANES)?,
                salt: random::<SALT_BYTES>().to_vec(),
                hash: [0; HASH_BYTES],
            };
            let hash = stored.hash_again(&password)?;
            Some(Stored { hash, ..stored }.to_text())
        })
        .await
    }

    /// Whether this is the password of that hash; never, in the same time, where there is no hash.
    pub(super) async fn verify(
        &self,
        stored: Option<Secret>,
        password: Secret,
    ) -> Result<bool, ServiceError> {
        self.run(move || {
            let known = match &stored {
                Some(text) => Some(Stored::parse(text.expose())?),
                None => None,
            };
            let there = known.is_some();
            let known = match known {
                Some(known) => known,
                None => Stored {
                    params: params(MEMORY_KIB, PASSES, LANES)?,
                    salt: random::<SALT_BYTES>().to_vec(),
                    hash: random(),
                },
            };
            let hash = known.hash_again(&password)?;
            Some(bool::from(hash.ct_eq(&known.hash)) && there)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let waits = Waits(self.waiting.clone());
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            let detail = "too many sign in just now: try again in a moment";
            let error = ServiceError::new(ErrorKind::TooMany, "sign_in_busy", detail);
            return Err(error.retry_after(BUSY_RETRY));
        }
        let turn = self.turns.clone().acquire_owned().await;
        let worked = tokio::task::spawn_blocking(move || {
            // Both go with the work, which nobody stops once it runs.
            let _held = (turn, waits);
            work()
        });
        worked.await.ok().flatten().ok_or_else(|| {
            error!("a password could not be hashed or its hash could not be read");
            let detail = "the password could not be checked; the platform's log says why";
            ServiceError::new(ErrorKind::Internal, "internal", detail)
        })
    }
}

/// Refuses what does not do for a password of this user.
pub(super) fn check(password: &Secret, user: &UserName) -> Result<(), ServiceError> {
    let text = password.expose();
    let detail = if text.len() > BYTES_MAX {
        format!("a password has at most {BYTES_MAX} bytes")
    } else if text.chars().count() < CHARACTERS_MIN {
        format!("a password has at least {CHARACTERS_MIN} characters: a few words do well")
    } else if text.to_ascii_lowercase().contains(user.as_str()) && user.as_str().len() > 3 {
        "a password does not contain the user's name".to_owned()
    } else {
        return Ok(());
    };
    Err(ServiceError::new(
        ErrorKind::Invalid,
        "password_weak",
        detail,
    ))
}

/// Whether a text may be one at all: what is longer is not hashed.
pub(super) fn is_bounded(password: &Secret) -> bool {
    password.expose().len() <= BYTES_MAX
}

/// A hash with what it takes to make it again, in the text form of the Password Hashing Competition,
/// which other programs read as well.
struct Stored {
    params: Params,
    salt: Vec<u8>,
    hash: [u8; HASH_BYTES],
}

impl Stored {
    fn hash_again(&self, password: &Secret) -> Option<[u8; HASH_BYTES]> {
        let mut hash = [0; HASH_BYTES];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
            .hash_password_into(password.expose().as_bytes(), &self.salt, &mut hash)
            .ok()?;
        Some(hash)
    }

    fn to_text(&self) -> Secret {
        Secret::new(format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            self.params.m_cost(),
            self.params.t_cost(),
            self.params.p_cost(),
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(self.hash),
        ))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let mut costs = parts.next()?.split(',');
        let mut cost = |prefix| costs.next()?.strip_prefix(prefix)?.parse::<u32>().ok();
        let (memory, passes, lanes) = (cost("m=")?, cost("t=")?, cost("p=")?);
        let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let hash = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        (memory <= MEMORY_KIB_MAX && passes <= PASSES_MAX && parts.next().is_none())
            .then_some(())?;
        Some(Self {
            params: params(memory, passes, lanes)?,
            salt,
            hash: hash.try_into().ok()?,
        })
    }
}

fn params(memory: u32, passes: u32, lanes: u32) -> Option<Params> {
    Params::new(memory, passes, lanes, Some(HASH_BYTES)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let passwords = Passwords::new();
        let stored = passwords
            .hash(secret("correct horse"))
            .await
            .expect("hashed");
        assert!(
            stored
                .expose()
                .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
        );
        let again = passwords
            .hash(secret("correct horse"))
            .await
            .expect("hashed");
        assert_ne!(stored, again, "each with a salt of its own");
        for (of, text, matches) in [
            (Some(stored.clone()), "correct horse", true),
            (Some(stored.clone()), "correct horsf", false),
            (Some(stored), "", false),
            (None, "correct horse", false),
        ] {
            assert_eq!(passwords.verify(of, secret(text)).await, Ok(matches));
        }
    }

    #[tokio::test]
    async fn a_known_answer_of_the_reference_implementation_verifies() {
        // printf password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32
        let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let passwords = Passwords::new();
        let matches = passwords.verify(Some(secret(stored)), secret("password"));
        assert_eq!(matches.await, Ok(true));
    }

    #[tokio::test]
    async fn what_is_no_hash_is_a_failure_and_no_match() {
        let passwords = Passwords::new();
        for stored in [
            "",
            "plain",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$",
        ] {
            let checked = passwords.verify(Some(secret(stored)), secret("")).await;
            assert_eq!(checked.map_err(|error| error.code), Err("internal"));
        }
    }

    #[tokio::test]
    async fn a_flood_waits_in_a_short_queue_or_is_sent_away() {
        let passwords = Arc::new(Passwords::new());
        // Nobody gets a turn, so that all who are let in wait.
        let turns = passwords.turns.available_permits() as u32;
        let held = passwords.turns.clone().acquire_many_owned(turns).await;
        let waiting: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.verify(None, secret("x")).await })
            })
            .collect();
        while passwords.waiting.load(Ordering::Relaxed) < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        let refused = passwords.verify(None, secret("x")).await;
        let refused = refused.expect_err("refused");
        assert_eq!(
            (refused.code, refused.retry_after),
            ("sign_in_busy", Some(BUSY_RETRY))
        );
        // Those who leave make room.
        waiting.iter().for_each(|waiting| waiting.abort());
        for waiting in waiting {
            let _ = waiting.await;
        }
        drop(held);
        assert_eq!(passwords.verify(None, secret("x")).await, Ok(false));
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_password_is_long_enough_and_not_the_name() {
        let user: UserName = "alice".parse().expect("a name");
        for (password, does) in [
            ("correct horse battery", true),
            ("short", false),
            ("Alice in wonderland", false),
            (&"x".repeat(257), false),
            (&"\u{e4}".repeat(12), true),
        ] {
            assert_eq!(
                check(&secret(password), &user).is_ok(),
                does,
                "{password:?}"
            );
        }
    }
}
