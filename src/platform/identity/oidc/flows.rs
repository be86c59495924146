//! The sign-ins that are under way: what has to be known again when the browser comes back from the
//! provider. Bounded in number and in time, in memory only: a restart asks for a new sign-in.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::secret::{Secret, SecretHash};

/// How long a user has for the provider's pages.
pub const FLOW_TTL: Duration = Duration::from_secs(10 * 60);
/// Most at once. Whoever begins more pushes out the oldest, so that a flood costs others their
/// sign-in only where they take longer than it needs for this many; it is 12 MiB at the most.
pub const FLOWS_MAX: usize = 8192;

/// One sign-in under way.
#[derive(Debug)]
pub struct Flow {
    /// What the ID token has to carry.
    pub nonce: Secret,
    /// Proves to the provider that who completes has begun (PKCE).
    pub verifier: Secret,
    /// Where the browser comes back to; the provider compares it.
    pub redirect_uri: String,
}

/// All of them, each found by its state.
#[derive(Debug, Default)]
pub struct Flows {
    /// In the order in which they began, which is that of their ends.
    by_age: BTreeMap<u64, (Instant, SecretHash, Flow)>,
    by_state: HashMap<SecretHash, u64>,
    begun: u64,
}

impl Flows {
    /// Keeps one, and gives the state by which it is taken out again.
    pub fn begin(&mut self, now: Instant, flow: Flow) -> Secret {
        self.expire(now);
        if self.by_age.len() >= FLOWS_MAX
            && let Some((_, (_, oldest, _))) = self.by_age.pop_first()
        {
            self.by_state.remove(&oldest);
        }
        let state = Secret::generate("");
        // Kept by its hash: how long a look-up takes says nothing of the states that there are.
        self.by_state.insert(state.hash(), self.begun);
        self.by_age.insert(self.begun, (now, state.hash(), flow));
        self.begun += 1;
        state
    }

    /// Takes one out, once and while its time is not over.
    pub fn take(&mut self, now: Instant, state: &str) -> Option<Flow> {
        self.expire(now);
        let number = self.by_state.remove(&SecretHash::of(state.as_bytes()))?;
        self.by_age.remove(&number).map(|(_, _, flow)| flow)
    }

    fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.by_age.first_entry()
            && now.saturating_duration_since(oldest.get().0) >= FLOW_TTL
        {
            let (_, state, _) = oldest.remove();
            self.by_state.remove(&state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(redirect_uri: &str) -> Flow {
        Flow {
            nonce: Secret::generate(""),
            verifier: Secret::generate(""),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    #[test]
    fn a_state_is_good_once_and_for_ten_minutes() {
        let mut flows = Flows::default();
        let now = Instant::now();
        let first = flows.begin(now, flow("a"));
        let second = flows.begin(now, flow("b"));
        assert!(flows.take(now, "").is_none());
        let taken = flows.take(now, second.expose()).expect("under way");
        assert_eq!(taken.redirect_uri, "b");
        assert!(flows.take(now, second.expose()).is_none(), "good once");
        assert!(
            flows.take(now + FLOW_TTL, first.expose()).is_none(),
            "too late"
        );
        assert!(flows.by_age.is_empty() && flows.by_state.is_empty());
    }

    #[test]
    fn a_flood_takes_no_more_memory_and_pushes_out_the_oldest() {
        let mut flows = Flows::default();
        let now = Instant::now();
        let oldest = flows.begin(now, flow("a"));
        let next = flows.begin(now, flow("b"));
        for _ in 0..FLOWS_MAX - 1 {
            flows.begin(now, flow("c"));
        }
        assert_eq!(
            (flows.by_age.len(), flows.by_state.len()),
            (FLOWS_MAX, FLOWS_MAX)
        );
        assert!(flows.take(now, oldest.expose()).is_none());
        assert!(flows.take(now, next.expose()).is_some());
    }
}
