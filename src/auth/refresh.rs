//! What a presented refresh token means for its session.
//!
//! The tokens of a session are one family. Each use of a token gives a new one, a generation higher. An old token that
//! comes back may be a thief's, or the owner's whom the answer never reached; the two are told apart by whether anyone
//! has gone on from it:
//!
//! - [`Use::First`]: the newest generation, not used before. The family moves on.
//! - [`Use::Again`]: the token that was used last, while none of its successors has been used. It gets one more
//!   successor. So a lost answer may be asked for again, and two tabs that refresh at once both get an answer.
//! - [`Use::Reuse`]: anything else. Someone has gone on from a successor, so two parties hold tokens of this family: the
//!   session is revoked for both.
//!
//! A thief gains nothing by asking again: as soon as owner and thief have both used what they hold, the second of them
//! ends the session. The rule needs two values of the session ([`Family`]), moved together by one compare-and-set.

use uuid::Uuid;

/// How far a session's family has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// The highest generation of which a token was used; 0 when none was.
    pub generation: i32,
    /// Which token of that generation.
    pub used_token_id: Option<Uuid>,
}

/// What the use of a token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Move the family to this state, if it is still as it was read, and give a successor.
    First(Family),
    /// Give another successor; the family stays as it is.
    Again,
    /// Revoke the session.
    Reuse,
}

impl Family {
    /// What it means that this token of the family is presented.
    #[must_use]
    pub fn judge(self, token_id: Uuid, generation: i32) -> Use {
        if generation.checked_sub(1) == Some(self.generation) {
            Use::First(Self { generation, used_token_id: Some(token_id) })
        } else if generation == self.generation && self.used_token_id == Some(token_id) {
            Use::Again
        } else {
            Use::Reuse
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server with one session: the tokens it gave, and whether the session lives.
    struct Server {
        family: Family,
        given: Vec<(Uuid, i32)>,
        revoked: bool,
    }

    impl Server {
        fn login() -> (Self, usize) {
            let mut server = Self { family: Family::default(), given: Vec::new(), revoked: false };
            let first = server.give(1);
            (server, first)
        }

        fn give(&mut self, generation: i32) -> usize {
            self.given.push((Uuid::from_u128(self.given.len() as u128 + 1), generation));
            self.given.len() - 1
        }

        fn refresh(&mut self, token: usize) -> Option<usize> {
            let (id, generation) = self.given[token];
            if self.revoked {
                return None;
            }
            match self.family.judge(id, generation) {
                Use::First(family) => self.family = family,
                Use::Again => {}
                Use::Reuse => {
                    self.revoked = true;
                    return None;
                }
            }
            Some(self.give(generation + 1))
        }
    }

    #[test]
    fn a_lost_answer_may_be_asked_for_again_while_its_successor_is_unused() {
        let (mut server, first) = Server::login();
        let lost = server.refresh(first).unwrap();
        let second = server.refresh(first).unwrap();
        let third = server.refresh(second).unwrap();
        assert!(server.refresh(third).is_some());
        assert_eq!(server.refresh(lost), None, "a successor that was left behind is a stranger's");
        assert!(server.revoked);
    }

    #[test]
    fn an_old_generation_ends_the_family() {
        let (mut server, first) = Server::login();
        let second = server.refresh(first).unwrap();
        let third = server.refresh(second).unwrap();
        assert_eq!(server.refresh(first), None);
        assert_eq!(server.refresh(third), None, "for the owner too");
    }

    #[test]
    fn a_token_from_the_future_ends_the_family() {
        assert_eq!(Family::default().judge(Uuid::from_u128(1), 2), Use::Reuse);
        assert_eq!(Family::default().judge(Uuid::from_u128(1), 0), Use::Reuse);
        assert_eq!(Family { generation: i32::MAX, used_token_id: None }.judge(Uuid::nil(), i32::MAX), Use::Reuse);
    }

    proptest! {
        /// However many answers are lost, one client that keeps the last answer it got is never logged out.
        #[test]
        fn one_honest_client_is_never_logged_out(lost in prop::collection::vec(any::<bool>(), 0..60)) {
            let (mut server, mut token) = Server::login();
            for lost in lost {
                let answer = server.refresh(token);
                prop_assert!(answer.is_some());
                if !lost {
                    token = answer.unwrap();
                }
            }
        }

        /// When a second party has a copy of a token, the session ends at the latest when both have gone on twice.
        #[test]
        fn a_copied_token_ends_the_session(
            before in 0..5,
            turns in prop::collection::vec(any::<bool>(), 0..40),
        ) {
            let (mut server, mut token) = Server::login();
            for _ in 0..before {
                token = server.refresh(token).unwrap();
            }
            let mut held = [token, token];
            let mut uses = [0, 0];
            for thief in turns {
                let party = usize::from(thief);
                match server.refresh(held[party]) {
                    Some(next) => held[party] = next,
                    None => break,
                }
                uses[party] += 1;
                prop_assert!(uses[0] < 2 || uses[1] < 2, "both went on twice: {uses:?}");
            }
        }
    }
}
