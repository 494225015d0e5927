//! The index of what is due keeps what it promises, on both engines alike.

use chrono::Duration;
use entity::master::WorkKind::{Email, Sweep};
use rapport::data::due::{DueWork, Lease};
use uuid::Uuid;

use crate::{
    on_both_databases,
    support::platform::{Platform, tenant_of},
};

async fn tenant(platform: &Platform, slug: &str) -> Uuid {
    tenant_of(&platform.tenant(slug).await)
}

async fn claim(due: &DueWork) -> Option<Lease> {
    due.claim("test", &[Email], 10).await.unwrap().pop()
}

async fn mark(due: &DueWork, platform: &Platform, id: Uuid) {
    due.mark(id, Email, platform.clock.now()).await.unwrap();
}

fn pass(platform: &Platform, seconds: i64) {
    platform.clock.advance(Duration::seconds(seconds));
}

on_both_databases! {
    async fn what_is_due_is_leased_once_the_longest_due_first(platform) {
        let due = platform.tenants.due();
        let (first, second) = (tenant(&platform, "first").await, tenant(&platform, "second").await);
        assert_eq!(claim(due).await, None);
        mark(due, &platform, second).await;
        pass(&platform, 1);
        mark(due, &platform, first).await;
        due.mark(first, Sweep, platform.clock.now() + Duration::hours(1)).await.unwrap();
        let leases = due.claim("test", &[Email, Sweep], 10).await.unwrap();
        let leased: Vec<_> = leases.iter().map(|lease| (lease.tenant_id, lease.kind)).collect();
        assert_eq!(leased, [(second, Email), (first, Email)]);
        assert_eq!(claim(due).await, None, "both are held");
        pass(&platform, 3600);
        assert_eq!(due.claim("test", &[Sweep], 10).await.unwrap().len(), 1);
    }

    /// The worker has looked before the mark was made: it must look again.
    async fn a_mark_between_claim_and_finish_is_not_lost(platform) {
        let due = platform.tenants.due();
        let id = tenant(&platform, "acme").await;
        mark(due, &platform, id).await;
        let lease = claim(due).await.unwrap();
        mark(due, &platform, id).await;
        assert!(due.finish(&lease, None).await.unwrap());
        let lease = claim(due).await.expect("it is due again at once");
        assert!(due.finish(&lease, Some(platform.clock.now() + Duration::hours(1))).await.unwrap());
        assert_eq!(claim(due).await, None);
        pass(&platform, 31);
        let lease = claim(due).await.expect("the mark has not been forgotten");
        assert!(due.finish(&lease, Some(platform.clock.now() + Duration::hours(1))).await.unwrap());
        pass(&platform, 3595);
        assert_eq!(claim(due).await, None);
        pass(&platform, 5);
        let lease = claim(due).await.unwrap();
        assert!(due.finish(&lease, None).await.unwrap());
        assert_eq!(due.known(id, Email).await.unwrap(), Default::default());
        due.mark(id, Email, platform.clock.now() + Duration::hours(2)).await.unwrap();
        due.mark(id, Email, platform.clock.now() + Duration::hours(3)).await.unwrap();
        pass(&platform, 7200);
        assert!(claim(due).await.is_some(), "a later mark does not put off an earlier one");
    }

    async fn a_lease_that_ended_is_taken_over_and_its_holder_changes_nothing(platform) {
        let other = platform.node(Vec::new()).await;
        let (ours, theirs) = (platform.tenants.due(), other.tenants.due());
        let id = tenant(&platform, "acme").await;
        mark(ours, &platform, id).await;
        let old = claim(ours).await.unwrap();
        pass(&platform, 10);
        assert!(ours.renew(&old).await.unwrap());
        pass(&platform, 10);
        assert_eq!(claim(theirs).await, None, "it was renewed");
        pass(&platform, 6);
        let new = claim(theirs).await.expect("nobody has renewed it");
        assert!(!ours.renew(&old).await.unwrap());
        assert!(!ours.finish(&old, None).await.unwrap());
        assert!(!ours.failed(&old, "late").await.unwrap());
        let known = theirs.known(id, Email).await.unwrap();
        assert!(known.leased && !known.failing && known.due_at.is_some());
        assert!(theirs.renew(&new).await.unwrap());
        assert!(theirs.finish(&new, None).await.unwrap());
        assert!(!theirs.known(id, Email).await.unwrap().leased);
    }

    /// A busy tenant costs the master database one mark in 20 seconds; what relies on it is looked at within 30.
    async fn a_mark_that_was_left_out_is_looked_at_in_time(platform) {
        let due = platform.tenants.due();
        let id = tenant(&platform, "acme").await;
        due.hear(true);
        mark(due, &platform, id).await;
        let lease = claim(due).await.unwrap();
        pass(&platform, 12);
        mark(due, &platform, id).await;
        // The hint is lost.
        assert!(due.finish(&lease, None).await.unwrap());
        assert_eq!(claim(due).await, None, "the second mark was not written");
        pass(&platform, 19);
        let lease = claim(due).await.expect("but the first one has not been forgotten");
        assert!(due.finish(&lease, None).await.unwrap());
        mark(due, &platform, id).await;
        assert!(claim(due).await.is_some(), "after 20 seconds a mark is written again");
        // Without a worker in this process nobody hears the hints: every mark is written.
        let silent = platform.node(Vec::new()).await;
        let id = tenant(&platform, "other").await;
        for _ in 0..2 {
            mark(silent.tenants.due(), &platform, id).await;
            let lease = claim(due).await.unwrap();
            assert!(due.finish(&lease, None).await.unwrap());
        }
    }

    async fn hints_are_of_this_process_and_their_lease_needs_no_due_time(platform) {
        let due = platform.tenants.due();
        let id = tenant(&platform, "acme").await;
        due.hint(id, Email);
        assert_eq!(due.hints(), [], "nobody hears");
        due.hear(true);
        assert_eq!(due.claim_hinted("test", id, Email).await.unwrap(), None, "it was never marked");
        mark(due, &platform, id).await;
        let lease = claim(due).await.unwrap();
        due.hint(id, Email);
        due.hinted().await;
        assert_eq!(due.hints(), [(id, Email)]);
        assert_eq!(due.claim_hinted("test", id, Email).await.unwrap(), None, "it is held");
        assert!(due.finish(&lease, None).await.unwrap());
        assert!(due.claim_hinted("test", id, Email).await.unwrap().is_some());
    }

    async fn failures_make_the_pause_longer_and_a_success_forgets_them(platform) {
        let due = platform.tenants.due();
        let id = tenant(&platform, "acme").await;
        mark(due, &platform, id).await;
        pass(&platform, 60);
        for (failures, pause) in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300].into_iter().enumerate() {
            let lease = claim(due).await.unwrap();
            assert_eq!(usize::try_from(lease.failures).unwrap(), failures);
            assert!(due.failed(&lease, "broken").await.unwrap());
            assert!(due.known(id, Email).await.unwrap().failing);
            assert_eq!(due.claim_hinted("test", id, Email).await.unwrap(), None, "a hint does not end the pause");
            let wait = due.known(id, Email).await.unwrap().due_at.unwrap() - platform.clock.now();
            assert!(wait <= Duration::seconds(pause) && wait > Duration::seconds(pause - 2), "{wait}");
            pass(&platform, pause);
        }
        let lease = claim(due).await.unwrap();
        assert!(due.finish(&lease, Some(platform.clock.now())).await.unwrap());
        assert_eq!(claim(due).await.unwrap().failures, 0);
    }

    async fn suspended_tenants_are_left_alone(platform) {
        let due = platform.tenants.due();
        let id = tenant(&platform, "acme").await;
        mark(due, &platform, id).await;
        platform.identity.tenant_suspend(id).await.unwrap();
        assert_eq!(claim(due).await, None);
        assert_eq!(due.claim_hinted("test", id, Email).await.unwrap(), None);
        assert_eq!(due.enrol_for_sweep().await.unwrap(), 0);
        platform.identity.tenant_resume(id).await.unwrap();
        assert!(claim(due).await.is_some());
    }

    async fn every_tenant_is_enrolled_for_its_sweep_once(platform) {
        let due = platform.tenants.due();
        tenant(&platform, "first").await;
        assert_eq!(due.enrol_for_sweep().await.unwrap(), 1);
        tenant(&platform, "second").await;
        assert_eq!(due.enrol_for_sweep().await.unwrap(), 1);
        assert_eq!(due.enrol_for_sweep().await.unwrap(), 0);
        assert_eq!(due.claim("test", &[Sweep], 10).await.unwrap().len(), 2);
    }
}
