//! E-mail from the API to the mail server: what arrives, what is tried again, what is given up.

use std::time::Instant;

use chrono::Duration;
use entity::tenant::email_message::{self, EmailStatus};
use rapport::{config::Secret, data::mail::Sent};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    on_each_engine,
    support::{
        Engine, Session, TestApp, TestTenant,
        app::PASSWORD,
        platform::connect,
        smtp::{Reply, SmtpServer},
    },
};

const INVITE: &str =
    "mutation($input: UserInviteInput!) { userInvite(input: $input) { user { id } userErrors { code } } }";

/// An application whose mail goes to this server.
async fn mailing(engine: Engine, url: String) -> TestApp {
    TestApp::start_with(engine, |config| {
        config.mail.url = Some(Secret::new(url));
        config.mail.from = Some("Rapport <crm@rapport.example>".to_owned());
    })
    .await
}

async fn started(engine: Engine) -> (TestApp, SmtpServer, TestTenant) {
    let server = SmtpServer::start().await;
    let app = mailing(engine, server.url()).await;
    let tenant = app.tenant("acme").await;
    (app, server, tenant)
}

async fn invite(tenant: &TestTenant, name: &str, email: &str) {
    let roles = tenant.admin.data("{ roles { nodes { id name } } }", json!({})).await;
    let agent = roles["roles"]["nodes"].as_array().unwrap().iter().find(|role| role["name"] == "Agent").unwrap();
    let input = json!({ "name": name, "email": email, "roleId": agent["id"] });
    tenant.admin.mutate(INVITE, json!({ "input": input })).await;
}

/// The tenant's outgoing mail, oldest first.
async fn mail(app: &TestApp, tenant: &TestTenant) -> Vec<email_message::Model> {
    let connection = connect(&app.tenant_url(tenant.id)).await;
    let mail = email_message::Entity::find().order_by_asc(email_message::Column::Id).all(&connection).await.unwrap();
    connection.close().await.unwrap();
    mail
}

async fn queue(app: &TestApp, tenant: &TestTenant, recipient: &str, template: &str, variables: Value) {
    let db = app.system(tenant.id).await;
    db.write(async |unit| unit.queue_email(recipient, template, variables).await.map(|_| ())).await.unwrap();
}

fn variables(app: &TestApp) -> Value {
    let until = rapport::data::value::moment(app.clock.now() + Duration::days(30));
    json!({ "name": "Bob", "tenant": "Acme", "locale": "en", "link": "https://crm.example/x", "expiresAt": until })
}

async fn drain(app: &TestApp) {
    app.app.worker().drain().await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "tests speak to the server that they started")]
async fn health(app: &TestApp) -> Value {
    reqwest::get(app.url("/health")).await.unwrap().json().await.unwrap()
}

fn statuses(mail: &[email_message::Model]) -> Vec<(EmailStatus, i32)> {
    mail.iter().map(|message| (message.status, message.attempts)).collect()
}

on_each_engine! {
    async fn an_invitation_arrives_with_a_link_that_lets_its_reader_in(engine) {
        let (app, server, tenant) = started(engine).await;
        let (stop, worker) = (CancellationToken::new(), app.app.worker().clone());
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { worker.run(stop).await }
        });
        let begin = Instant::now();
        invite(&tenant, "Bob Builder", "bob@acme.example").await;
        let answered = begin.elapsed();
        let received = server.wait_for(1).await.remove(0);
        eprintln!("{engine:?}: answered after {answered:?}, with the mail server after {:?}", begin.elapsed());

        assert_eq!((received.from.as_str(), received.to.as_slice()), ("crm@rapport.example", &["bob@acme.example".to_owned()][..]));
        assert_eq!(received.header("To").unwrap(), "\"Bob Builder\" <bob@acme.example>");
        assert_eq!(received.header("Subject").unwrap(), "You are invited to The company acme");
        assert_eq!(received.header("Auto-Submitted").unwrap(), "auto-generated");
        assert!(received.message.contains("Content-Type: text/html"), "{}", received.message);
        let whole = received.message.replace("=\r\n", "").replace("=3D", "=");
        let link = whole.lines().find(|line| line.contains("/invitation?token=")).unwrap();
        let token = link.split("token=").nth(1).unwrap().trim();
        let accept = "mutation($token: String!, $password: String!) {
            invitationAccept(input: { token: $token, password: $password }) { accessToken userErrors { field code } }
        }";
        let payload = app.anonymous().mutate(accept, json!({ "token": token, "password": PASSWORD })).await;
        let bob = Session::new(app.url("/graphql"), payload["accessToken"].as_str().map(str::to_owned));
        assert_eq!(bob.data("{ me { roleName } }", json!({})).await["me"]["roleName"], "Agent");

        let health: Value = health(&app).await;
        let worker = health["components"].as_array().unwrap().iter().find(|part| part["name"] == "worker").unwrap();
        assert_eq!(worker["status"], "up");
        stop.cancel();
        running.await.unwrap();
        let sent = mail(&app, &tenant).await.remove(0);
        assert_eq!((sent.status, sent.attempts, sent.last_error), (EmailStatus::Sent, 1, None));
        assert_eq!(sent.variables, json!({}), "the link is nobody's business any more");
        assert!(sent.sent_at.is_some());
        assert_eq!(app.app.worker().late_finds(), 0);
    }

    /// From the words that an administrator writes to those that arrive.
    async fn a_tenant_sends_its_own_words(engine) {
        let (app, server, tenant) = started(engine).await;
        let other = app.tenant("other").await;
        let set = "mutation($name: EmailTemplateName!, $input: EmailTemplateInput!) {
            emailTemplateSet(name: $name, input: $input) {
                emailTemplate { name subject isCustom variables { name } } userErrors { field code message } } }";
        let mut input = json!({
            "subject": "{{ name }}, come to {{ tenant }}",
            "text": "Hi {{ name }}: {{ link }} until {{ expiresAt|moment }}",
            "html": "<p>Hi {{ name }}</p><a href=\"{{ link }}\">in</a>",
        });
        let payload = tenant.admin.mutate(set, json!({ "name": "INVITATION", "input": input })).await;
        assert_eq!(payload["emailTemplate"]["isCustom"], true, "{payload:#}");
        assert_eq!(payload["emailTemplate"]["variables"][3], json!({ "name": "link" }));
        invite(&tenant, "Bob <b>", "bob@acme.example").await;
        invite(&other, "Bob", "bob@other.example").await;
        drain(&app).await;
        let received = server.wait_for(2).await;
        let to = |to: &str| received.iter().find(|one| one.to == [to.to_owned()]).unwrap();
        let own = to("bob@acme.example");
        assert_eq!(own.header("Subject").unwrap(), "Bob <b>, come to The company acme");
        assert!(own.message.contains("Hi Bob &lt;b&gt;") && own.message.contains("Hi Bob <b>: http"), "{}", own.message);
        assert_eq!(to("bob@other.example").header("Subject").unwrap(), "You are invited to The company other");

        // What cannot be filled is refused with the reason, in a preview as when it is saved.
        input["text"] = json!("{{ nmae }}");
        input["html"] = json!("<p>{{ name </p>");
        let refused = tenant.admin.send(set, json!({ "name": "INVITATION", "input": input })).await.body;
        let errors = refused["data"]["emailTemplateSet"]["userErrors"].as_array().unwrap().clone();
        assert_eq!(errors[0]["field"], json!(["input", "text"]), "{refused:#}");
        assert_eq!(errors[0]["message"], "there is no variable `nmae`; there are name, tenant, locale, link, expiresAt");
        assert_eq!(errors[1]["field"], json!(["input", "html"]));
        let preview = "query($name: EmailTemplateName!, $input: EmailTemplateInput!) {
            emailTemplatePreview(name: $name, input: $input) { subject text html userErrors { field message } } }";
        let previewed = tenant.admin.data(preview, json!({ "name": "INVITATION", "input": input })).await;
        assert_eq!(previewed["emailTemplatePreview"]["userErrors"][0]["message"], errors[0]["message"]);
        assert_eq!(previewed["emailTemplatePreview"]["text"], Value::Null);
        input["text"] = json!("Hi {{ name }}");
        input["html"] = json!("<p>{{ tenant }}</p>");
        let previewed = tenant.admin.data(preview, json!({ "name": "INVITATION", "input": input })).await;
        assert_eq!(previewed["emailTemplatePreview"], json!({
            "subject": "Ann Lee, come to Acme Ltd", "text": "Hi Ann Lee", "html": "<p>Acme Ltd</p>", "userErrors": [],
        }));

        // Back to ours.
        let reset = "mutation { emailTemplateReset(name: INVITATION) { emailTemplate { isCustom subject } userErrors { code } } }";
        let payload = tenant.admin.mutate(reset, json!({})).await;
        assert_eq!(payload["emailTemplate"], json!({ "isCustom": false, "subject": "You are invited to {{ tenant }}" }));
        assert_eq!(tenant.admin.mutate(reset, json!({})).await, payload, "once more changes nothing");
        tenant.admin.mutate(set, json!({ "name": "INVITATION", "input": input })).await;
        let refused = tenant.manager.send(set, json!({ "name": "INVITATION", "input": input })).await;
        assert_eq!(refused.codes(), ["FORBIDDEN"]);
    }

    async fn what_is_not_taken_is_tried_again_when_it_is_due_and_given_up_in_the_end(engine) {
        let (app, server, tenant) = started(engine).await;
        server.when(|verb, _| (verb == "RCPT").then_some(Reply::Say("450 4.2.1 the mailbox is busy")));
        queue(&app, &tenant, "bob@acme.example", "invitation", variables(&app)).await;
        drain(&app).await;
        for (attempts, minutes) in (1..).zip([1, 5, 30, 120, 360, 1440]) {
            let message = mail(&app, &tenant).await.remove(0);
            assert_eq!((message.status, message.attempts), (EmailStatus::Queued, attempts));
            assert!(message.last_error.unwrap().contains("the mailbox is busy"));
            assert_ne!(message.variables, json!({}));
            app.clock.advance(Duration::minutes(minutes) - Duration::seconds(10));
            drain(&app).await;
            assert_eq!(mail(&app, &tenant).await[0].attempts, attempts, "not yet");
            app.clock.advance(Duration::seconds(10));
            drain(&app).await;
        }
        let message = mail(&app, &tenant).await.remove(0);
        assert_eq!((message.status, message.attempts), (EmailStatus::Failed, 7));
        assert!(message.last_error.unwrap().contains("the mailbox is busy"));
        assert_eq!(message.variables, json!({}));
        assert_eq!((server.received().len(), app.app.worker().late_finds()), (0, 0));
        app.clock.advance(Duration::days(2));
        drain(&app).await;
        assert_eq!(server.connections(), 7, "nobody asks again");
    }

    async fn a_refused_recipient_bounces_and_holds_up_nobody(engine) {
        let (app, server, tenant) = started(engine).await;
        server.when(|verb, line| match verb {
            "RCPT" if line.contains("gone@") => Some(Reply::Say("550 5.1.1 no such user")),
            "RCPT" if line.contains("banned@") => Some(Reply::Say("554 5.7.1 not from you")),
            "MAIL" | "RCPT" if line.contains("unlucky@") => Some(Reply::HangUp),
            _ => None,
        });
        for recipient in ["gone@acme.example", "banned@acme.example", "no address", "well@acme.example"] {
            queue(&app, &tenant, recipient, "invitation", variables(&app)).await;
        }
        drain(&app).await;
        let messages = mail(&app, &tenant).await;
        let expected =
            [(EmailStatus::Bounced, 1), (EmailStatus::Failed, 1), (EmailStatus::Failed, 1), (EmailStatus::Sent, 1)];
        assert_eq!(statuses(&messages), expected);
        assert!(messages[0].last_error.as_ref().unwrap().contains("no such user"));
        assert!(messages[1].last_error.as_ref().unwrap().contains("not from you"));
        assert!(messages.iter().all(|message| message.variables == json!({})));

        // A server that hangs up takes nothing from anybody: the others wait, but spend no attempt.
        queue(&app, &tenant, "unlucky@acme.example", "invitation", variables(&app)).await;
        queue(&app, &tenant, "next@acme.example", "invitation", variables(&app)).await;
        drain(&app).await;
        assert_eq!(statuses(&mail(&app, &tenant).await)[4..], [(EmailStatus::Queued, 1), (EmailStatus::Queued, 0)]);
        server.when(|_, _| None);
        app.clock.advance(Duration::seconds(31));
        drain(&app).await;
        assert_eq!(statuses(&mail(&app, &tenant).await)[4..], [(EmailStatus::Queued, 1), (EmailStatus::Sent, 1)]);
        app.clock.advance(Duration::seconds(31));
        drain(&app).await;
        assert_eq!(statuses(&mail(&app, &tenant).await)[4..], [(EmailStatus::Sent, 2), (EmailStatus::Sent, 1)]);
        assert_eq!(server.received().len(), 3);
    }

    async fn a_message_without_a_text_is_given_up_with_its_cause(engine) {
        let (app, server, tenant) = started(engine).await;
        queue(&app, &tenant, "bob@acme.example", "nonsense", variables(&app)).await;
        queue(&app, &tenant, "bob@acme.example", "invitation", json!({ "name": "Bob" })).await;
        let mut expired = variables(&app);
        expired["expiresAt"] = json!(rapport::data::value::moment(app.clock.now()));
        queue(&app, &tenant, "bob@acme.example", "password_reset", expired).await;
        queue(&app, &tenant, "bob@acme.example", "password_reset", variables(&app)).await;
        drain(&app).await;
        let messages = mail(&app, &tenant).await;
        for (message, cause) in messages.iter().zip(["no template nonsense", "undefined value", "its link expired"]) {
            assert_eq!(message.status, EmailStatus::Failed);
            assert!(message.last_error.as_ref().unwrap().contains(cause), "{:?}", message.last_error);
        }
        assert_eq!(messages[3].status, EmailStatus::Sent);
        assert_eq!(server.received()[0].header("Subject").unwrap(), "A new password for Acme");
    }

    /// As a crash leaves it between the beginning and the end of an attempt.
    async fn an_attempt_that_was_cut_off_counts_and_is_followed_by_another(engine) {
        let (app, server, tenant) = started(engine).await;
        queue(&app, &tenant, "bob@acme.example", "invitation", variables(&app)).await;
        let db = app.system(tenant.id).await;
        let message = db.mail_due(10).await.unwrap().remove(0);
        let next = app.clock.now() + Duration::minutes(1);
        assert!(db.mail_begin(&message, next).await.unwrap());
        assert!(!db.mail_begin(&message, next).await.unwrap(), "it has begun already");
        drain(&app).await;
        assert_eq!(server.received().len(), 0);
        app.clock.advance(Duration::seconds(61));
        drain(&app).await;
        assert_eq!(statuses(&mail(&app, &tenant).await), [(EmailStatus::Sent, 2)]);
        // Who was cut off has nothing to say any more.
        db.mail_end(&message, &Sent::Later { reason: "late".to_owned() }).await.unwrap();
        let message = mail(&app, &tenant).await.remove(0);
        assert_eq!((message.status, message.last_error), (EmailStatus::Sent, None));

        queue(&app, &tenant, "crash@acme.example", "invitation", variables(&app)).await;
        for _ in 0..7 {
            let message = db.mail_due(10).await.unwrap().remove(0);
            assert!(db.mail_begin(&message, app.clock.now()).await.unwrap());
        }
        drain(&app).await;
        let message = mail(&app, &tenant).await.remove(1);
        assert_eq!(message.status, EmailStatus::Failed);
        assert!(message.last_error.unwrap().contains("cut off"));
        assert_eq!(server.received().len(), 1, "what crashes the process is not tried for ever");
    }

    async fn more_than_a_batch_is_sent_and_all_arrive_once(engine) {
        let (app, server, tenant) = started(engine).await;
        for index in 0..120 {
            queue(&app, &tenant, &format!("user{index}@acme.example"), "invitation", variables(&app)).await;
        }
        let begin = Instant::now();
        drain(&app).await;
        eprintln!("{engine:?}: 120 messages in {:?}", begin.elapsed());
        let mut recipients: Vec<_> = server.received().into_iter().flat_map(|message| message.to).collect();
        recipients.sort();
        recipients.dedup();
        assert_eq!((recipients.len(), server.received().len()), (120, 120));
    }

    /// A crash between the database of the tenant and the index: only the sweep can find it.
    async fn mail_that_the_index_does_not_know_of_is_found_within_a_day(engine) {
        let (app, server, tenant) = started(engine).await;
        drain(&app).await;
        queue(&app, &tenant, "bob@acme.example", "invitation", variables(&app)).await;
        let master = connect(&app.master_url()).await;
        sea_orm::ConnectionTrait::execute_unprepared(&master, "DELETE FROM due_work WHERE kind = 'EMAIL'").await.unwrap();
        master.close().await.unwrap();
        app.clock.advance(Duration::hours(23));
        drain(&app).await;
        assert_eq!((server.received().len(), app.app.worker().late_finds()), (0, 0));
        app.clock.advance(Duration::hours(2));
        drain(&app).await;
        assert_eq!((server.received().len(), app.app.worker().late_finds()), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_logs_in_and_a_wrong_password_spends_no_other_message() {
    let server = SmtpServer::start().await;
    let url = format!("smtp://crm%40acme:pass%20word@{}?tls=none", server.address);
    let app = mailing(Engine::Sqlite, url).await;
    let tenant = app.tenant("acme").await;
    server.when(|verb, _| (verb == "AUTH").then_some(Reply::Say("535 5.7.8 wrong")));
    for recipient in ["one@acme.example", "two@acme.example"] {
        queue(&app, &tenant, recipient, "invitation", variables(&app)).await;
    }
    drain(&app).await;
    let messages = mail(&app, &tenant).await;
    assert_eq!(statuses(&messages), [(EmailStatus::Queued, 1), (EmailStatus::Queued, 0)]);
    assert!(messages[0].last_error.as_ref().unwrap().contains("535"), "{:?}", messages[0].last_error);
    server.when(|_, _| None);
    app.clock.advance(Duration::seconds(61));
    drain(&app).await;
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].login, Some(("crm@acme".to_owned(), "pass word".to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_stay_where_they_belong() {
    let (app, server, tenant) = started(Engine::Sqlite).await;
    let names =
        ["Bob\" <eve@evil.example>, \"", "Zoë 東京", "Bob\r\nBcc: eve@evil.example", "<script>alert(1)</script>"];
    for name in names {
        let mut variables = variables(&app);
        variables["name"] = json!(name);
        variables["tenant"] = json!(name);
        queue(&app, &tenant, "bob@acme.example", "invitation", variables).await;
    }
    drain(&app).await;
    let received = server.received();
    assert_eq!(received.len(), names.len());
    for message in &received {
        assert_eq!(message.to, ["bob@acme.example"]);
        assert_eq!(message.header("Bcc"), None, "{}", message.message);
        assert!(message.header("To").unwrap().ends_with("<bob@acme.example>"), "{}", message.message);
        let html = message.message.split("Content-Type: text/html").nth(1).unwrap();
        assert!(!html.contains("<script>"), "{html}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_gets_each_message_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail");
    let app = TestApp::start_with(Engine::Sqlite, |config| {
        config.mail.folder = Some(path.clone());
        config.mail.from = Some("crm@rapport.example".to_owned());
    })
    .await;
    let tenant = app.tenant("acme").await;
    queue(&app, &tenant, "bob@acme.example", "invitation", variables(&app)).await;
    drain(&app).await;
    let message = mail(&app, &tenant).await.remove(0);
    assert_eq!(message.status, EmailStatus::Sent);
    let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, [format!("{}.eml", message.id).as_str()]);
    let text = std::fs::read_to_string(path.join(&files[0])).unwrap();
    assert!(text.contains("To: \"Bob\" <bob@acme.example>") || text.contains("To: Bob <bob@acme.example>"), "{text}");
    assert!(text.contains(&format!("Message-ID: <{}@rapport.example>", message.id.simple())), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_way_out_mail_waits() {
    let app = TestApp::start(Engine::Sqlite).await;
    let tenant = app.tenant("acme").await;
    queue(&app, &tenant, "bob@acme.example", "invitation", variables(&app)).await;
    drain(&app).await;
    app.clock.advance(Duration::days(2));
    drain(&app).await;
    assert_eq!(statuses(&mail(&app, &tenant).await), [(EmailStatus::Queued, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_left_after_fifteen_seconds() {
    let (app, server, tenant) = started(Engine::Sqlite).await;
    server.when(|verb, _| (verb == "DATA").then_some(Reply::Silence));
    for recipient in ["one@acme.example", "two@acme.example"] {
        queue(&app, &tenant, recipient, "invitation", variables(&app)).await;
    }
    let begin = Instant::now();
    drain(&app).await;
    let took = begin.elapsed().as_secs();
    assert!((14..25).contains(&took), "{took} s");
    let messages = mail(&app, &tenant).await;
    assert_eq!(statuses(&messages), [(EmailStatus::Queued, 1), (EmailStatus::Queued, 0)]);
    assert!(messages[0].last_error.as_ref().unwrap().contains("longer than 15 s"));
}
