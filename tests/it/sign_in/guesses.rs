//! Guessing at passwords and codes: slowed down by account and by address, and nobody is locked out by it.
//! Every address of 127.0.0.0/8 is this machine's own, so that one machine is many here.

use std::net::Ipv4Addr;

use super::doors::{DOORS, Door, Refusal, Visitor};
use super::{PASSWORD, create_user, me, sign_in, text, unauthenticated};
use crate::support::Platform;

/// More than any limit allows on the slowest machine.
const TRIES_MAX: usize = 1000;

/// Tries until that is refused for its own sake: how often, and how long to wait.
async fn until_limited(mut guess: impl AsyncFnMut(usize) -> Refusal) -> (usize, u64) {
    for tries in 0..TRIES_MAX {
        let refusal = guess(tries).await;
        if refusal.status == 429 {
            assert_eq!(refusal.code, "rate_limited");
            return (
                tries,
                refusal.retry_after.expect("it says when to come again"),
            );
        }
        assert_eq!(refusal.what(), unauthenticated("credentials_invalid"));
    }
    panic!("{TRIES_MAX} guesses were let through");
}

fn address(of: u8, n: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 1, of, n)
}

#[tokio::test]
async fn who_guesses_at_one_account_waits_and_its_owner_elsewhere_does_not() {
    let platform = Platform::start(&[]);
    for (at, door) in DOORS.into_iter().enumerate() {
        let name = format!("ada-{at}");
        create_user(&platform, &name, "viewer").await;
        let guesser = Visitor::from(&platform, address(0, 1 + at as u8));
        let (tries, wait) = until_limited(async |_| {
            let guessed = sign_in(&guesser, door, &name, "incorrect horse", None).await;
            guessed.expect_err("a guess")
        })
        .await;
        assert!(tries >= 10, "{tries} were let through");
        assert!((1..=30).contains(&wait), "{wait} s");
        // Not even the right one is looked at, by either door: limits are the platform's.
        for door in DOORS {
            let right = sign_in(&guesser, door, &name, PASSWORD, None).await;
            assert_eq!(right.expect_err("too many").status, 429);
        }
        let owner = Visitor::from(&platform, address(0, 101 + at as u8));
        let tokens = sign_in(&owner, door, &name, PASSWORD, None).await;
        let tokens = tokens.expect("signed in");
        me(&platform, door, text(&tokens, "access_token"))
            .await
            .expect("let in");
    }
}

#[tokio::test]
async fn who_guesses_at_many_accounts_from_one_address_waits() {
    let platform = Platform::start(&[]);
    create_user(&platform, "ada", "viewer").await;
    for (at, door) in DOORS.into_iter().enumerate() {
        let guesser = Visitor::from(&platform, address(1, 1 + at as u8));
        let (tries, wait) = until_limited(async |tries| {
            let name = format!("user-{tries}");
            let guessed = sign_in(&guesser, door, &name, PASSWORD, None).await;
            guessed.expect_err("a guess")
        })
        .await;
        assert!(tries >= 30, "{tries} were let through");
        assert!((1..=2).contains(&wait), "{wait} s");
        let elsewhere = Visitor::from(&platform, address(1, 101 + at as u8));
        sign_in(&elsewhere, door, "ada", PASSWORD, None)
            .await
            .expect("signed in");
    }
}

#[tokio::test]
async fn who_guesses_at_one_account_from_many_addresses_waits() {
    let platform = Platform::start(&[]);
    create_user(&platform, "ada", "viewer").await;
    create_user(&platform, "bob", "viewer").await;
    let at_home = Visitor::from(&platform, address(2, 250));
    let home = sign_in(&at_home, Door::Rest, "ada", PASSWORD, None).await;
    let home = home.expect("signed in");
    // Nine from each address, which is less than one address may; by both doors in turn.
    let (tries, wait) = until_limited(async |tries| {
        let guesser = Visitor::from(&platform, address(3, 1 + (tries / 9) as u8));
        let guessed = sign_in(&guesser, DOORS[tries % 2], "ada", "incorrect horse", None);
        guessed.await.expect_err("a guess")
    })
    .await;
    assert!(tries >= 100, "{tries} were let through");
    assert!((1..=10).contains(&wait), "{wait} s");
    // Nobody is locked out: who is signed in stays so and may sign in there; others are not concerned.
    me(&platform, Door::Rest, text(&home, "access_token"))
        .await
        .expect("let in");
    sign_in(&at_home, Door::Grpc, "ada", PASSWORD, None)
        .await
        .expect("signed in");
    sign_in(
        &Visitor::from(&platform, address(4, 1)),
        Door::Rest,
        "bob",
        PASSWORD,
        None,
    )
    .await
    .expect("signed in");
}
