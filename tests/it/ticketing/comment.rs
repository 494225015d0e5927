//! Comments on tickets, and the first response.

use chrono::Duration;
use serde_json::{Value, json};

use super::ticket::raised;
use crate::{on_both_engines, support::Session};

const ADD: &str = "mutation($input: TicketCommentAddInput!) {
    ticketCommentAdd(input: $input) {
        ticketComment { id body isPublic version contact { id } createdBy { id }
            ticket { status firstRespondedAt } }
        userErrors { field message code }
    }
}";

const RESPOND: &str = "mutation($id: ID!, $body: String!) {
    ticketRespond(id: $id, input: { body: $body }) {
        ticket { status firstRespondedAt comments(orderBy: [{ field: CREATED_AT }]) { nodes { body isPublic } } }
        userErrors { field message code }
    }
}";

async fn add(session: &Session, input: Value) -> Value {
    session.mutate(ADD, json!({ "input": input })).await["ticketComment"].clone()
}

async fn ticket(session: &Session, input: Value) -> Value {
    let create = "mutation($input: TicketCreateInput!) {
        ticketCreate(input: $input) { ticket { id } userErrors { field message code } }
    }";
    session.mutate(create, json!({ "input": input })).await["ticket"]["id"].clone()
}

/// A customer with a contact; answers the contact.
async fn contact(session: &Session) -> Value {
    let create = "mutation { customerCreate(input: { name: \"C\" }) { customer { id } userErrors { code } } }";
    let customer = session.mutate(create, json!({})).await["customer"]["id"].clone();
    let create = "mutation($customer: ID!) {
        contactCreate(input: { customerId: $customer, lastName: \"X\" }) { contact { id } userErrors { code } }
    }";
    session.mutate(create, json!({ "customer": customer })).await["contact"]["id"].clone()
}

on_both_engines! {
    /// The first public answer is noted once; what is internal, or said by the requester, is none.
    async fn the_first_response(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let contact = contact(&tenant.admin).await;
        let id = ticket(&tenant.admin, json!({ "title": "Help", "contactId": contact })).await;
        let note = add(&tenant.admin, json!({ "ticketId": id, "body": "A note" })).await;
        assert_eq!((&note["isPublic"], &note["ticket"]["firstRespondedAt"]), (&json!(false), &Value::Null));
        let words = add(&tenant.admin, json!({ "ticketId": id, "body": "Please!", "contactId": contact })).await;
        assert_eq!((&words["isPublic"], &words["ticket"]["firstRespondedAt"]), (&json!(true), &Value::Null));
        assert_eq!(words["contact"]["id"], contact);

        let (first, events) = raised(&app, &tenant, async || {
            tenant.admin.mutate(RESPOND, json!({ "id": id, "body": "We are on it" })).await["ticket"].clone()
        }).await;
        assert_eq!(first["status"], "OPEN", "an answer takes up a new ticket");
        assert!(!first["firstRespondedAt"].is_null());
        assert_eq!(first["comments"]["nodes"][2], json!({ "body": "We are on it", "isPublic": true }));
        assert_eq!(events, [
            "ticket_comment.created",
            "ticket.updated",
            "ticket.responded",
            "ticket.updated",
            "ticket.status_changed",
        ]);
        app.clock.advance(Duration::minutes(5));
        let (second, events) = raised(&app, &tenant, async || {
            tenant.admin.mutate(RESPOND, json!({ "id": id, "body": "Done" })).await["ticket"].clone()
        }).await;
        assert_eq!(second["firstRespondedAt"], first["firstRespondedAt"]);
        assert_eq!(events, ["ticket_comment.created"]);
    }

    /// Where nobody outside asks, the user who made the ticket does: his own words are no answer.
    async fn a_ticket_among_colleagues(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let id = ticket(&tenant.agent, json!({ "title": "My screen" })).await;
        let own = add(&tenant.agent, json!({ "ticketId": id, "body": "Still dark", "isPublic": true })).await;
        assert_eq!(own["ticket"]["firstRespondedAt"], Value::Null);
        let answer = add(&tenant.manager, json!({ "ticketId": id, "body": "Plug it in", "isPublic": true })).await;
        assert!(!answer["ticket"]["firstRespondedAt"].is_null());
    }

    /// A ticket that waits for the customer is open again when the customer writes; a closed one takes no comments.
    async fn what_a_comment_does_to_a_ticket(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let contact = contact(&tenant.admin).await;
        let id = ticket(&tenant.admin, json!({ "title": "Help", "contactId": contact })).await;
        let act = async |verb: &str| {
            let action = format!("mutation($id: ID!) {{ ticket{verb}(id: $id) {{ userErrors {{ code }} }} }}");
            tenant.admin.mutate(&action, json!({ "id": id })).await;
        };
        act("Pend").await;
        let (words, events) = raised(&app, &tenant, async || {
            add(&tenant.admin, json!({ "ticketId": id, "body": "Here it is", "contactId": contact })).await
        }).await;
        assert_eq!(words["ticket"]["status"], "OPEN");
        assert_eq!(events, ["ticket_comment.created", "ticket.updated", "ticket.status_changed"]);
        act("Resolve").await;
        add(&tenant.admin, json!({ "ticketId": id, "body": "For the record" })).await;
        act("Close").await;
        let late = json!({ "input": { "ticketId": id, "body": "Too late" } });
        let refused = tenant.admin.refused(ADD, late).await;
        assert_eq!(refused, [("INVALID_STATE".to_owned(), vec!["input".to_owned(), "ticketId".to_owned()])]);
        let refused = tenant.admin.refused(RESPOND, json!({ "id": id, "body": "Too late" })).await;
        assert_eq!(refused, [("INVALID_STATE".to_owned(), vec!["id".to_owned()])]);
    }

    /// The text can be mended, the rest stays as it was said. Deleted comments come back.
    async fn changes(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let id = ticket(&tenant.manager, json!({ "title": "Help" })).await;
        let comment = add(&tenant.manager, json!({ "ticketId": id, "body": "Teh note" })).await["id"].clone();
        let update = "mutation($id: ID!, $input: TicketCommentUpdateInput!) {
            ticketCommentUpdate(id: $id, input: $input) {
                ticketComment { body version } userErrors { field message code }
            }
        }";
        let mended = tenant.manager.mutate(update, json!({ "id": comment, "input": { "body": "The note\nin two lines" } })).await;
        assert_eq!(mended["ticketComment"], json!({ "body": "The note\nin two lines", "version": 2 }));
        let public = json!({ "id": comment, "input": { "isPublic": true } });
        let refused = tenant.manager.refused(update, public).await;
        assert_eq!(refused, [("INVALID_STATE".to_owned(), vec!["input".to_owned(), "isPublic".to_owned()])]);

        let delete = "mutation($id: ID!) { ticketCommentDelete(id: $id) { deletedId userErrors { code } } }";
        tenant.manager.mutate(delete, json!({ "id": comment })).await;
        let count = "query($id: ID!) { ticket(id: $id) { comments { totalCount } } }";
        assert_eq!(tenant.manager.data(count, json!({ "id": id })).await["ticket"]["comments"]["totalCount"], 0);
        let restore = "mutation($id: ID!) { ticketCommentRestore(id: $id) { ticketComment { body } userErrors { code } } }";
        tenant.manager.mutate(restore, json!({ "id": comment })).await;
        assert_eq!(tenant.manager.data(count, json!({ "id": id })).await["ticket"]["comments"]["totalCount"], 1);
    }

    /// Who sees a ticket sees its comments, whoever wrote them; who does not, sees none.
    async fn comments_go_with_their_ticket(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let mine = ticket(&tenant.agent, json!({ "title": "Mine" })).await;
        let theirs = ticket(&tenant.colleague, json!({ "title": "Theirs" })).await;
        let by_manager = add(&tenant.manager, json!({ "ticketId": mine, "body": "x" })).await["id"].clone();
        let hidden = add(&tenant.manager, json!({ "ticketId": theirs, "body": "y" })).await["id"].clone();
        let list = "{ ticketComments { totalCount nodes { id } } }";
        let seen = tenant.agent.data(list, json!({})).await;
        assert_eq!(seen["ticketComments"], json!({ "totalCount": 1, "nodes": [{ "id": by_manager }] }));
        let one = "query($id: ID!) { ticketComment(id: $id) { body } }";
        assert_eq!(tenant.agent.data(one, json!({ "id": hidden })).await["ticketComment"], Value::Null);
        let foreign = json!({ "input": { "ticketId": theirs, "body": "z" } });
        let refused = tenant.agent.refused(ADD, foreign).await;
        assert_eq!(refused, [("NOT_FOUND".to_owned(), vec!["input".to_owned(), "ticketId".to_owned()])]);
        let viewer = tenant.viewer.send(ADD, json!({ "input": { "ticketId": mine, "body": "z" } })).await;
        assert_eq!(viewer.body["errors"][0]["extensions"]["requiredPermission"], "tickets.write");
    }
}
